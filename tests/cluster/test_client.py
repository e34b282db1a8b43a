"""A cluster that cannot work is refused by a sentence that names what is wrong."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from attr2face.cluster import client
from attr2face.cluster.client import client_of
from attr2face.cluster.description import Cluster
from attr2face.errors import WorkersError
from tests.cluster.conftest import Running
from tests.conftest import attr2face, says


def unseen_file(dir: Path) -> contextlib.AbstractContextManager:
    """As `NamedTemporaryFile`, but no file comes to be."""
    return contextlib.nullcontext(SimpleNamespace(name=dir / "unseen"))


def test_a_worker_that_does_not_see_the_folder_is_refused_by_name(machine, monkeypatch):
    monkeypatch.setattr(client, "tempfile", SimpleNamespace(NamedTemporaryFile=unseen_file))
    sentence = r"worker tcp://127.0.0.1:\d+ does not see .*shared.*; let it share that folder, or give SHIP=1"
    with pytest.raises(WorkersError, match=sentence):
        client.check_workers(client_of(machine.cluster), machine.cluster)


def test_a_worker_with_other_software_is_refused_by_name(machine, monkeypatch):
    mine = client.software()
    for name in ("Caffe's build", "processor", "attr2face", "attr2face's code"):
        monkeypatch.setattr(client, "software", lambda name=name: mine | {name: "another"})
        with pytest.raises(WorkersError, match=rf"worker tcp://127.0.0.1:\d+ has {name} .*, and not another"):
            client.check_workers(client_of(machine.cluster), machine.cluster)


def test_where_no_scheduler_answers_the_command_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "PATIENCE", 1)
    sentence = r"no scheduler with a worker answers at SCHEDULER=tcp://127.0.0.1:1; start one"
    with pytest.raises(WorkersError, match=sentence):
        client_of(Cluster("tcp://127.0.0.1:1", tmp_path))


def test_tls_without_certificates_is_a_sentence(tmp_path):
    with pytest.raises(WorkersError, match=r"no certificate for SCHEDULER=tls://127.*; give it tls\.ca-file"):
        client_of(Cluster("tls://127.0.0.1:1", tmp_path))


def test_a_scheduler_without_workers_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "PATIENCE", 3)
    own = Running.begin(tmp_path)
    try:
        with pytest.raises(WorkersError, match=r"no scheduler with a worker answers .*; start one"):
            client_of(Cluster(own.address, tmp_path))
    finally:
        own.end()


def test_a_scheduler_in_another_python_is_a_sentence(monkeypatch, tmp_path):
    """One that an administrator started, or that dask-jobqueue started where it was installed."""
    other = tmp_path / "python" / "attr2face"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'attr2face'\", name='attr2face')"
    )
    with monkeypatch.context() as patched:
        patched.syspath_prepend(other.parent)
        own = Running.begin(tmp_path)
    own.start("worker", "-m", "attr2face", "worker", own.address)
    try:
        sentence = r"lacks the Python package attr2face; start it with the dask of attr2face's own \.venv"
        with pytest.raises(WorkersError, match=sentence):
            client_of(Cluster(own.address, tmp_path))
    finally:
        own.end()


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"scheduler": "nonsense"}, "tcp://host:8786"),
        ({"scheduler": "local:0"}, "local:4"),
        ({"scheduler": "local:2", "ship": "perhaps"}, "ship"),
    ],
)
def test_bad_settings_of_the_cluster_are_refused(given, part, tmp_path):
    says(attr2face("data", store=tmp_path, **given), part)
