"""Downloads and PubFig, against a server on 127.0.0.1 that behaves as the web does."""

import hashlib
import io
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face import pubfig
from attr2face.attributes import ATTRIBUTES
from attr2face.datasets import image_path, read_faces
from attr2face.downloads import Refused, download, get, session, unpack_file
from attr2face.errors import UserError
from attr2face.pubfig import Entry, download_images, join_attributes, read_index
from attr2face.sources import MODELS, front_matter, unpack_lfw


def photograph(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (14000, 14000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def web():
    """A server; `web.pages` maps paths to (status, headers, body), `web.asked` lists what was asked for."""
    w = SimpleNamespace(pages={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            w.asked.append((self.path, self.headers.get("Range")))
            status, headers, body = w.pages.get(self.path, (404, {}, b""))
            start = 0
            if status == 200 and self.headers.get("Range") and "no-range" not in headers:
                status, start = 206, int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(status)
            headers = {"Content-Length": str(len(body) - start)} | headers
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for i in range(start, len(body), 4096):
                self.wfile.write(body[i : i + 4096])
                time.sleep(float(headers.get("slow", 0)))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    w.url = f"http://127.0.0.1:{server.server_port}"
    yield w
    server.shutdown()


def entry(web, number: int, body: bytes, rect: tuple = (20, 10, 50, 40)) -> Entry:
    return Entry("Ada Lovelace", number, f"{web.url}/{number}", rect, hashlib.md5(body).hexdigest())


def test_every_kind_of_answer_has_its_place_in_the_table(web, tmp_path, monkeypatch):
    monkeypatch.setattr(pubfig, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(pubfig, "MAX_BYTES", 500_000)
    good, big, html = photograph(), bytes(600_000), b" <html>gone</html>"
    web.pages = {
        "/1": (200, {}, good),
        "/2": (404, {}, b""),
        "/3": (200, {}, photograph(3)),
        "/4": (200, {}, big),
        "/5": (200, {"slow": "0.3"}, good * 5),
        "/6": (200, {"Content-Length": str(len(good) + 9)}, good),
        "/7": (302, {"Location": "/1"}, b""),
        "/8": (302, {"Location": "/8"}, b""),
        "/9": (200, {}, html),
        "/10": (200, {}, bomb()),
        "/11": (200, {}, good),
        "/12": (302, {"Location": "file:///etc/hostname"}, b""),
        "/13": (200, {}, b"\xff\xd8 torn"),
    }
    bodies = {4: big, 9: html, 10: bomb(), 13: b"\xff\xd8 torn"}
    entries = [entry(web, n, bodies.get(n, good), (500, 0, 600, 100) if n == 11 else (20, 10, 50, 40)) for n in range(1, 14)]
    table = download_images(entries, tmp_path, pause=0, private=True)
    log = pd.read_csv(tmp_path / "downloads.csv", names=["person", "number", "outcome"]).set_index("number")["outcome"]
    assert log.to_dict() == {
        1: "had",
        2: "status 404",
        3: "another file",
        4: "too large",
        5: "too slow",
        6: "truncated",
        7: "had",
        8: "too many redirects",
        9: "not an image",
        10: "too many pixels",
        11: "rectangle outside",
        12: "no connection",
        13: "not an image",
    }
    assert table["had"] == 2
    assert sorted(path.name for path in (tmp_path / "images").rglob("*.jpg")) == ["Ada_Lovelace_0001.jpg", "Ada_Lovelace_0007.jpg"]


def test_a_face_is_cut_out_with_a_margin(web, tmp_path):
    web.pages = {"/1": (200, {}, photograph())}
    download_images([entry(web, 1, photograph())], tmp_path, pause=0, private=True)
    with Image.open(image_path(tmp_path / "images", "Ada Lovelace", 1)) as face:
        assert face.size == (54, 54)


def test_a_second_run_asks_only_for_what_may_still_be_had(web, tmp_path):
    good = photograph()
    web.pages = {"/1": (200, {}, good), "/3": (503, {}, b"")}
    entries = [entry(web, n, good) for n in (1, 2, 3)]
    download_images(entries, tmp_path, pause=0, private=True)
    with (tmp_path / "downloads.csv").open("a") as log:
        log.write("Ada Lovelace,")
    web.asked.clear()
    web.pages["/3"] = (200, {}, good)
    assert download_images(entries, tmp_path, pause=0, private=True)["had"] == 2
    assert [path for path, _ in web.asked] == ["/3"]


def test_a_private_address_is_not_asked(web, tmp_path):
    web.pages = {"/1": (200, {}, photograph())}
    assert download_images([entry(web, 1, photograph())], tmp_path, pause=0)["private address"] == 1
    assert not web.asked
    with pytest.raises(Refused, match="private"):
        get(session(), f"{web.url}/1")


def test_images_that_were_had_are_joined_with_their_attributes(web, tmp_path):
    web.pages = {"/1": (200, {}, photograph())}
    download_images([entry(web, n, photograph()) for n in (1, 2)], tmp_path, pause=0, private=True)
    header = "\t".join(["#", "person", "imagenum", *ATTRIBUTES])
    rows = [f"Ada Lovelace\t{n}\t" + "\t".join(["0.5"] * 73) for n in (1, 2)]
    (tmp_path / "pubfig_attributes.txt").write_text("\n".join(["# comment", header, *rows]) + "\n")
    assert join_attributes(tmp_path / "pubfig_attributes.txt", tmp_path) == 1
    assert read_faces(tmp_path / "attributes.txt", tmp_path / "images").people.tolist() == ["Ada Lovelace"]


def test_a_wrong_row_of_the_index_is_named_and_a_torn_last_one_left_out(tmp_path, capsys):
    row = f"Ada Lovelace\t1\thttp://example.org/a.jpg\t1,2,3,4\t{'0' * 32}\n"
    index = tmp_path / "dev_urls.txt"
    index.write_text("# PubFig\n" + row + row[:30])
    assert len(read_index(index)) == 1
    assert "line 3" in capsys.readouterr().err
    index.write_text(row.replace("Ada Lovelace", "../Ada"))
    with pytest.raises(UserError, match="line 1"):
        read_index(index)


def test_a_download_goes_on_from_where_it_was(web, tmp_path):
    body = bytes(range(256)) * 100
    web.pages = {"/file": (200, {}, body)}
    (tmp_path / "file.part").write_bytes(body[:1000])
    download(f"{web.url}/file", tmp_path / "file", 10**6, private=True)
    assert (tmp_path / "file").read_bytes() == body
    assert web.asked == [("/file", "bytes=1000-")]


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


def test_of_lfw_only_the_centres_of_its_pictures_are_unpacked(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (250, 250), "gray").save(stream, "JPEG")
    with tarfile.open(tmp_path / "lfw.tgz", "w:gz") as tar:
        for name in ("lfw_funneled/Ada_Lovelace/Ada_Lovelace_0001.jpg", "lfw_funneled/pairs.txt", "../Eve/Eve_0001.png"):
            member = tarfile.TarInfo(name)
            member.size = len(stream.getvalue())
            tar.addfile(member, io.BytesIO(stream.getvalue()))
    unpack_lfw(tmp_path / "lfw.tgz", tmp_path / "lfw")
    (picture,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".tgz")
    assert picture == image_path(tmp_path / "lfw", "Ada Lovelace", 1)
    with Image.open(picture) as image:
        assert image.size == (150, 150)


def test_the_readme_of_vgg_face_says_where_its_weights_are():
    about = front_matter(MODELS / "vgg_face" / "readme.md")
    assert about["caffemodel_url"].endswith("vgg_face_caffe.tar.gz")
    assert int(about["caffemodel_bytes_at_most"]) > 580_000_000
