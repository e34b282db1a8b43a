"""PubFig's whole development index, against a server on 127.0.0.1 that answers 41 kinds of odd and wrong
things, and three right ones.
"""

import contextlib
import gzip
import hashlib
import io
import multiprocessing
import resource
import socketserver
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
from PIL import Image

from attr2face.data import downloads, pubfig
from attr2face.data.faces import image_path
from attr2face.data.pubfig import download_images, read_index

INDEX = Path(__file__).parents[3] / "shared" / "pubfig" / "dev_urls.txt"


def photograph(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


RIGHT = photograph(0)
OTHER = photograph(1)
ZIPPED = gzip.compress(RIGHT)
BOMB = gzip.compress(bytes(30_000_000))


def answer(*headers: str, body: bytes = RIGHT, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, "Connection: close", *headers, "", ""]).encode("latin1") + body


def redirect(location: str, body: bytes = b"") -> bytes:
    return answer(f"Location: {location}", body=body, status="HTTP/1.1 302 Found")


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(RIGHT)}"
MUCH = b"x" * 50_000

# Nothing is sent.
DEAD = (b"", b"", "no connection")
# What is sent, what is then sent for ever, and what becomes of it.
RIGHTS = [
    (answer(LENGTH), b"", "downloaded"),
    (answer(), b"", "downloaded"),
    (answer(CHUNKED, body=chunks(RIGHT[:100], RIGHT[100:], b"")), b"", "downloaded"),
]
WRONGS = [
    # That have the photograph in them.
    (answer(LENGTH, LENGTH), b"", "downloaded"),
    (answer("Content-Length: many"), b"", "downloaded"),
    (answer("Content-Length: -5"), b"", "downloaded"),
    (answer("Content-Length: " + "9" * 5000), b"", "downloaded"),
    (answer(LENGTH, "Content-Type: text/html; charset=\xff"), b"", "downloaded"),
    (answer(LENGTH, *(f"Set-Cookie: {n}={'c' * 3000}" for n in range(90))), b"", "downloaded"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(LENGTH), b"", "downloaded"),
    (answer("Content-Encoding: gzip", body=ZIPPED), b"", "downloaded"),
    (answer(LENGTH, "Content-Range: bytes 5-6/7", status="HTTP/1.1 206 Partial Content"), b"", "downloaded"),
    (redirect("/right"), b"", "downloaded"),
    (redirect("/right", body=b"x"), MUCH, "downloaded"),
    # That have not.
    (answer(LENGTH, "Content-Length: 5"), b"", "broken headers"),
    (answer(body=b"", status="HTTP/1.1 404 Not Found"), b"", "status 404"),
    (answer(CHUNKED, body=b""), MUCH, "truncated"),
    (answer(body=b"x", status="HTTP/1.1 503 Later"), MUCH, "status 503"),
    (answer(status="HTTP/1.1 999 What"), b"", "status 999"),
    (answer(body=b"", status="HTTP/1.1 204 No Content"), b"", "another file"),
    (redirect("/circle"), b"", "too many redirects"),
    (redirect("file:///etc/hostname"), b"", "no connection"),
    (redirect("http://[broken"), b"", "no connection"),
    (redirect("http://10.0.0.1/a.jpg"), b"", "private address"),
    (redirect("http://2130706433/a.jpg"), b"", "private address"),
    (answer(body=OTHER), b"", "another file"),
    (answer(body=b" <html>gone</html>"), b"", "not an image"),
    (answer("Content-Length: 9999999"), b"", "too large"),
    (answer(body=b"x"), MUCH, "too large"),
    (answer(CHUNKED, body=b""), chunks(MUCH), "too large"),
    (answer("Content-Encoding: gzip", body=BOMB), b"", "too large"),
    (answer("Content-Encoding: gzip", body=ZIPPED[:50] + b"broken" + ZIPPED[50:]), b"", "truncated"),
    (answer(LENGTH, body=RIGHT[:-9]), b"", "truncated"),
    (answer(CHUNKED, body=chunks(RIGHT)), b"", "truncated"),
    (answer(CHUNKED, body=b"size\r\n" + RIGHT), b"", "truncated"),
    DEAD,
    (b"220 mail.example.org ESMTP\r\n", b"", "no connection"),
    (answer(*(f"X-{n}: {n}" for n in range(200))), b"", "no connection"),
    (answer("X: " + "x" * 70000), b"", "no connection"),
]
# The same, slowly.
SLOW = [
    (b"", b"1", "too slow"),
    (b"HTTP/1.1 200 OK\r\nX: ", b"1", "too slow"),
    (answer(LENGTH, body=b""), b"1", "too slow"),
    (answer(CHUNKED, body=b"ffff\r\n"), b"1", "too slow"),
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "too slow"),
]
KINDS = RIGHTS + WRONGS + SLOW


class Proxy(socketserver.StreamRequestHandler):
    """The whole web: `server.kinds` says what each URL is answered with."""

    def handle(self):
        url = self.rfile.readline(9999).split()[1].decode()
        kind = self.server.kinds.get(url) or self.server.elsewhere[url.rpartition("/")[2]]
        begin, then, _ = kind
        while len(self.rfile.readline(9999)) > 2:
            pass
        with contextlib.suppress(OSError):
            self.wfile.write(begin)
            while then:
                self.wfile.write(then)
                time.sleep(0.1 if kind in SLOW else 0)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100
    elsewhere: ClassVar = {"right": RIGHTS[0], "circle": (redirect("/circle"), b"", "")}


@contextlib.contextmanager
def serving(kinds: dict[str, tuple[bytes, bytes, str]]):
    """A process of its own, which leaves the processor's other core to what is tested; gives its URL."""
    with Server(("127.0.0.1", 0), Proxy) as server:
        server.kinds = kinds
        process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
        process.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        process.terminate()
        process.join()


def asked_for(url: str) -> str:
    return requests.Request("GET", url).prepare().url


@pytest.mark.skipif(not INDEX.exists(), reason="needs PubFig's index, ../shared/pubfig/dev_urls.txt")
def test_of_the_whole_index_nothing_is_lost_whatever_hosts_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(pubfig, "MAX_SECONDS", 2)
    monkeypatch.setattr(pubfig, "MAX_BYTES", 500_000)
    # Most hosts of 2010 are gone.
    rng, md5 = np.random.default_rng(0), hashlib.md5(RIGHT).hexdigest()
    entries = [replace(entry, md5=md5, rect=(10, 5, 30, 25)) for entry in read_index(INDEX)]
    hosts = sorted({urlsplit(entry.url).hostname for entry in entries})
    dead = set(rng.choice(hosts, len(hosts) * 4 // 5, replace=False))
    chance = np.array(
        [0.5 if kind in RIGHTS else 0.1 if kind in SLOW else 0.3 if kind[1] else 1 for kind in KINDS]
    )
    drawn = [KINDS[i] for i in rng.choice(len(KINDS), len(entries), p=chance / chance.sum())]
    kinds = {
        asked_for(entry.url): DEAD if urlsplit(entry.url).hostname in dead else kind
        for entry, kind in zip(entries, drawn, strict=True)
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(kinds) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "")
        table = download_images(entries, tmp_path, pause=0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert table.sum() == len(entries)
    assert set(kinds.values()) == set(KINDS)
    log = pd.read_csv(tmp_path / "downloads.csv", names=["person", "number", "outcome"])
    assert sorted(zip(log["person"], log["number"], strict=True)) == sorted(entry.key for entry in entries)
    outcomes = log.set_index(["person", "number"])["outcome"].to_dict()
    for entry in entries:
        assert outcomes[entry.key] in (kinds[asked_for(entry.url)][2], "host is silent")
        assert image_path(tmp_path / "images", *entry.key).exists() == (outcomes[entry.key] == "downloaded")
    asked = Counter(
        urlsplit(entry.url).hostname for entry in entries if outcomes[entry.key] == "no connection"
    )
    assert max(asked[host] for host in dead) == pubfig.SILENCES
