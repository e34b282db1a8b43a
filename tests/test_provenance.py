"""What machines that work on one output are compared by."""

import shutil
from pathlib import Path

import pytest

from attr2face import provenance


@pytest.mark.parametrize("name", ["tables/frequencies.csv", "tables/datasets/lfw.toml", "cluster.py"])
def test_other_code_and_tables_are_other_software(name, monkeypatch, tmp_path):
    package = shutil.copytree(Path(provenance.__file__).parent, tmp_path / "attr2face")
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    mine, same = provenance.software(), provenance.software.__wrapped__
    assert same() == mine
    (package / name).write_text((package / name).read_text() + "\n")
    assert same() != mine
    assert "pillow" in mine
