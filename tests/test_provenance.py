"""What machines that work on one output are compared by."""

import shutil
from pathlib import Path

import pytest

from attr2face import provenance


@pytest.mark.parametrize("name", ["tables/frequencies.csv", "tables/datasets/lfw.toml", "cluster/worker.py"])
def test_other_code_and_tables_are_other_software(name, monkeypatch, tmp_path):
    mine, package = Path(provenance.__file__).parent, tmp_path / "attr2face"
    shutil.copytree(mine, package, ignore=shutil.ignore_patterns("tables", "zoo"))
    for table in [*mine.glob("tables/*.csv"), *mine.glob("tables/datasets/*.toml")]:
        (package / table.relative_to(mine)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table, package / table.relative_to(mine))
    software = provenance.software.__wrapped__  # without what is remembered
    here = software()
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert software() == here
    (package / name).write_text((package / name).read_text() + "\n")
    assert software() != here
    assert "pillow" in here
