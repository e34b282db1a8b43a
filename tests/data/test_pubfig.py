"""PubFig, against a server on 127.0.0.1 that behaves as the web does."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face.data import pubfig
from attr2face.data.faces import image_path
from attr2face.data.pubfig import Entry, download_images, join_attributes, read_index
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import UserError


def photograph(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (14000, 14000)).save(stream, "PNG")
    return stream.getvalue()


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
    entries = [
        entry(web, n, bodies.get(n, good), (500, 0, 600, 100) if n == 11 else (20, 10, 50, 40))
        for n in range(1, 14)
    ]
    table = download_images(entries, tmp_path, pause=0, private=True)
    log = pd.read_csv(tmp_path / "downloads.csv", names=["person", "number", "outcome"]).set_index("number")[
        "outcome"
    ]
    assert log.to_dict() == {
        1: "downloaded",
        2: "status 404",
        3: "another file",
        4: "too large",
        5: "too slow",
        6: "truncated",
        7: "downloaded",
        8: "too many redirects",
        9: "not an image",
        10: "too many pixels",
        11: "rectangle outside",
        12: "no connection",
        13: "not an image",
    }
    assert table["downloaded"] == 2
    assert sorted(path.name for path in (tmp_path / "images").rglob("*.jpg")) == [
        "Ada_Lovelace_0001.jpg",
        "Ada_Lovelace_0007.jpg",
    ]


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
    assert download_images(entries, tmp_path, pause=0, private=True)["downloaded"] == 2
    assert [path for path, _ in web.asked] == ["/3"]


def test_broken_rows_have_outcomes_and_are_not_met_again(web, tmp_path):
    good = photograph()
    web.pages = {
        "/1": (200, {"Content-Length": f"{len(good)}, 5"}, good),
        "/2": (200, {}, good),
        "/4": (200, {}, good),
    }
    entries = [entry(web, n, good) for n in (1, 2, 3, 4, 5)]
    entries[1] = replace(entries[1], rect=(0, 0, 10**400, 10**400))
    entries[2] = replace(entries[2], url="http://[broken")
    entries[4] = replace(entries[4], url="ftp://127.0.0.1/a.jpg")
    for _ in range(2):
        table = download_images(entries, tmp_path, pause=0, private=True)
        assert table.to_dict() == {
            "broken URL": 2,
            "broken headers": 1,
            "rectangle outside": 1,
            "downloaded": 1,
        }
        assert sorted(path for path, _ in web.asked) == ["/1", "/2", "/4"]


def test_a_dead_host_is_left_alone_until_the_next_run(web, tmp_path):
    dead = [replace(entry(web, n, b""), url=f"http://127.0.0.1:1/{n}") for n in range(9)]
    for _ in range(2):
        assert download_images(dead, tmp_path, private=True).to_dict() == {
            "host is silent": 7,
            "no connection": 2,
        }


def test_images_that_never_come_do_not_keep_those_behind_them_from_being_asked_for(
    web, tmp_path, monkeypatch
):
    monkeypatch.setattr(pubfig, "MAX_SECONDS", 0.1)
    good = photograph()
    web.pages = {f"/{n}": (200, {"slow": "0.3"}, bytes(9999)) for n in range(4)} | {"/4": (200, {}, good)}
    entries = [entry(web, n, good) for n in range(5)]
    tables = [download_images(entries, tmp_path, pause=0, private=True).to_dict() for _ in range(3)]
    assert tables[:2] == [{"host is silent": 3, "too slow": 2}] * 2
    assert tables[2]["downloaded"] == 1


def test_a_host_that_sends_to_a_dead_one_is_not_silent(web, tmp_path):
    web.pages = {
        f"/{n}": (302, {"Location": url}, b"")
        for n, url in enumerate(["http://localhost:1/", "http://[broken"])
    }
    web.pages["/2"] = (200, {}, photograph())
    entries = [entry(web, n, photograph()) for n in range(3)]
    assert download_images(entries, tmp_path, pause=0, private=True).to_dict() == {
        "no connection": 2,
        "downloaded": 1,
    }


def test_a_private_address_is_not_asked(web, tmp_path):
    web.pages = {"/1": (200, {}, photograph())}
    assert download_images([entry(web, 1, photograph())], tmp_path, pause=0)["private address"] == 1
    assert not web.asked


def test_images_that_were_had_are_joined_with_their_attributes(web, tmp_path):
    web.pages = {"/1": (200, {}, photograph())}
    download_images([entry(web, n, photograph()) for n in (1, 2)], tmp_path, pause=0, private=True)
    header = "\t".join(["#", "person", "imagenum", *dataset_of("pubfig").attributes.names])
    rows = [f"Ada Lovelace\t{n}\t" + "\t".join(["0.5"] * 73) for n in (1, 2)]
    (tmp_path / "pubfig_attributes.txt").write_text("\n".join(["# comment", header, *rows]) + "\n")
    assert join_attributes(tmp_path / "pubfig_attributes.txt", tmp_path) == 1
    assert read_faces(tmp_path, dataset_of("pubfig")).people.tolist() == ["Ada Lovelace"]


def test_a_wrong_row_of_the_index_is_named_and_a_torn_last_one_left_out(tmp_path, capsys):
    row = f"Ada Lovelace\t1\thttp://example.org/a.jpg\t1,2,3,4\t{'0' * 32}\n"
    index = tmp_path / "dev_urls.txt"
    index.write_text("# PubFig\n" + row + row[:30])
    assert len(read_index(index)) == 1
    assert "line 3" in capsys.readouterr().err
    for wrong in (
        row.replace("Ada Lovelace", "../Ada"),
        row.replace("\t1\t", f"\t{'1' * 300}\t"),
        row.replace("1,2", "3,2"),
    ):
        index.write_text(wrong)
        with pytest.raises(UserError, match="line 1"):
            read_index(index)
