"""Downloads, against a server on 127.0.0.1 that behaves as the web does."""

import hashlib
import io
import tarfile

import pytest

from attr2face.data.downloads import Refused, download, get, session, unpack_file
from attr2face.errors import UserError


def test_a_private_address_is_refused(web):
    web.pages = {"/1": (200, {}, b"here")}
    with pytest.raises(Refused, match="private"):
        get(session(), f"{web.url}/1")
    assert not web.asked
    assert get(session(private=True), f"{web.url}/1").content == b"here"


def test_a_download_goes_on_from_where_it_was(web, tmp_path):
    body = bytes(range(256)) * 100
    web.pages = {"/file": (200, {}, body)}
    (tmp_path / "file.part").write_bytes(body[:1000])
    download(f"{web.url}/file", tmp_path / "file", 10**6, private=True)
    assert (tmp_path / "file").read_bytes() == body
    assert web.asked == [("/file", "bytes=1000-")]


def test_a_download_begins_again_where_the_server_cannot_go_on(web, tmp_path):
    web.pages = {"/file": (200, {"no-range": "1"}, b"whole")}
    (tmp_path / "file.part").write_bytes(b"who")
    download(f"{web.url}/file", tmp_path / "file", 10**6, private=True)
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("known", ["given", "recorded"])
def test_a_changed_file_is_refused_and_removed(web, tmp_path, known):
    web.pages = {"/file": (200, {}, b"first")}
    checksum = hashlib.sha256(b"first").hexdigest()
    if known == "recorded":
        download(f"{web.url}/file", tmp_path / "file", 100, private=True).unlink()
    web.pages["/file"] = (200, {}, b"other")
    with pytest.raises(UserError, match="another file"):
        download(f"{web.url}/file", tmp_path / "file", 100, checksum if known == "given" else None, private=True)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".sha256"]


def test_a_file_larger_than_expected_is_refused(web, tmp_path):
    web.pages = {"/file": (200, {}, bytes(2000))}
    with pytest.raises(UserError, match="too large"):
        download(f"{web.url}/file", tmp_path / "file", 1000, private=True)
    assert not (tmp_path / "file").exists()


def test_one_file_of_an_archive_is_unpacked_and_nothing_else(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("../escape", "net/weights.caffemodel"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    unpack_file(tmp_path / "a.tar.gz", "weights.caffemodel", tmp_path / "out" / "w", 10)
    assert (tmp_path / "out" / "w").read_bytes() == b"abc"
    assert not (tmp_path.parent / "escape").exists()
    with pytest.raises(UserError, match="holds no other"):
        unpack_file(tmp_path / "a.tar.gz", "other", tmp_path / "out" / "o", 10)
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b torn")
    with pytest.raises(UserError, match="whole"):
        unpack_file(tmp_path / "a.tar.gz", "w", tmp_path / "out" / "o", 10)
