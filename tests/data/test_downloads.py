"""Downloads, against a server on 127.0.0.1 that behaves as the web does."""

import contextlib
import gzip
import hashlib
import io
import socketserver
import ssl
import tarfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from urllib3.util.ssltransport import SSLTransport

from attr2face.data import downloads
from attr2face.data.downloads import Refused, blocks, download, get, session, unpack_file
from attr2face.errors import UserError


@pytest.fixture
def drip():
    """A server that sends some bytes for every path but /next, and then a few more now and then, for ever;
    gives its URL.
    """
    with contextlib.ExitStack() as stack:

        def serve(begin: bytes, then: bytes) -> str:
            class Handler(socketserver.StreamRequestHandler):
                def handle(self):
                    if b"/next" in self.rfile.readline():
                        self.wfile.write(b"HTTP/1.0 404 Not Found\r\n\r\n")
                        return
                    self.wfile.write(begin)
                    with contextlib.suppress(OSError):
                        while not ended.wait(0.05):
                            self.wfile.write(then)

            ended = threading.Event()
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            for end in (server.server_close, server.shutdown, ended.set):
                stack.callback(end)
            return f"http://127.0.0.1:{server.server_address[1]}/"

        yield serve


def fetch(url: str, out: Path, body: bytes, kind: str = "sha256", limit: int = 10**6) -> Path:
    """Download a file whose checksum is that of `body`, from this machine."""
    return download(url, out, limit, f"{kind}:{hashlib.new(kind, body).hexdigest()}", private=True)


def test_a_private_address_is_refused(web):
    web.pages = {"/1": (200, {}, b"here")}
    with pytest.raises(Refused, match="private"):
        get(session(), f"{web.url}/1")
    assert not web.asked
    assert get(session(private=True), f"{web.url}/1").content == b"here"


@contextlib.contextmanager
def proxy(handle):
    """A proxy that `handle` serves; gives its host and port."""
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), lambda connection, *_: handle(connection)
    ) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_socks_proxy_is_asked(monkeypatch):
    pytest.importorskip("socks")

    def handle(connection):
        for answer in (b"\5\0", b"\5\0\0\1" + bytes(6), b"HTTP/1.0 200 OK\r\n\r\nhere"):
            connection.recv(9999)
            connection.sendall(answer)

    with proxy(handle) as address, session() as s:
        monkeypatch.setenv("http_proxy", f"socks5h://{address}")
        monkeypatch.setenv("no_proxy", "")
        for _ in range(2):
            assert get(s, "http://example.org/1").content == b"here"


def test_tls_within_a_proxys_tls_is_read_and_cut_where_it_drips(certificate, monkeypatch):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate / "cert", certificate / "key")
    inner = SimpleNamespace(
        wrap_bio=lambda incoming, outgoing, **_: server.wrap_bio(incoming, outgoing, server_side=True)
    )

    def handle(connection):
        outer = server.wrap_socket(connection, server_side=True)
        outer.recv(9999)
        outer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        tls = SSLTransport(outer, inner)
        drips = b"/drip" in tls.recv(9999)
        tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\nhere" % (9999 if drips else 4))
        with contextlib.suppress(OSError):
            while drips:
                tls.sendall(b"x")
                time.sleep(0.05)

    with proxy(handle) as address, session() as s:
        monkeypatch.setenv("https_proxy", f"https://{address}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert"))
        assert get(s, "https://example.org/1").content == b"here"
        with pytest.raises(Refused, match="too slow"):
            list(blocks(get(s, "https://example.org/drip"), 10**6, 0.3))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "0x7f000001",
            "localhost",
            "localhost.",
            "[::1]",
            "[64:ff9b::7f00:1]",
            "10.0.0.1",
        ),
        "169.254.169.254",
    ],
)
def test_a_private_address_is_refused_behind_a_proxy_too(web, monkeypatch, host):
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Refused, match="private"):
        get(session(), f"http://{host}/1")
    web.pages = {
        "http://example.org/1": (302, {"Location": f"http://{host}/1"}, b""),
        "http://example.org/2": (200, {}, b"here"),
    }
    with pytest.raises(Refused, match="private"):
        get(session(), "http://example.org/1")
    assert get(session(), "http://example.org/2").content == b"here"


def test_a_public_address_that_is_translated_from_ipv6_is_asked_for(web, monkeypatch):
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.setenv("no_proxy", "")
    web.pages = {"http://[64:ff9b::808:808]/1": (200, {}, b"here")}
    assert get(session(), "http://[64:ff9b::808:808]/1").content == b"here"


def test_a_header_or_body_that_drips_is_cut(drip, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.3)
    with session(private=True) as s:
        with pytest.raises(Refused, match="too slow"):
            get(s, drip(b"HTTP/1.0 200 OK\r\n", b"X: 1\r\n"))
        with pytest.raises(Refused, match="too slow"):
            list(blocks(get(s, drip(b"HTTP/1.0 200 OK\r\n\r\n", b"x")), 10**6, 0.3))


def test_a_download_that_drips_is_cut(drip, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "DOWNLOAD_SECONDS", 0.3)
    with pytest.raises(UserError, match="too slow"):
        fetch(drip(b"HTTP/1.0 200 OK\r\n\r\n", b"x"), tmp_path / "file", b"whole")
    assert (tmp_path / "file.part").exists()


def test_no_passwords_are_sent(web, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    web.pages = {"/1": (302, {"Location": "/2"}, b""), "/2": (200, {}, b"here")}
    response = get(session(private=True), f"{web.url}/1")
    assert not any("Authorization" in answer.request.headers for answer in [response, *response.history])
    assert len(response.history) == 1


def test_the_body_of_a_redirect_is_not_read(drip):
    with session(private=True) as s, pytest.raises(Refused, match="status 404"):
        get(s, drip(b"HTTP/1.0 302 Found\r\nLocation: /next\r\n\r\n", b"x"))


def test_a_download_goes_on_from_where_it_was(web, tmp_path):
    body = bytes(range(256)) * 100
    web.pages = {"/file": (200, {}, body)}
    (tmp_path / "file.part").write_bytes(body[:1000])
    fetch(f"{web.url}/file", tmp_path / "file", body)
    assert (tmp_path / "file").read_bytes() == body
    assert web.asked == [("/file", "bytes=1000-")]


def test_a_gzip_file_that_is_sent_as_an_encoding_is_kept_as_it_is(web, tmp_path):
    body = gzip.compress(b"whole" * 99)
    web.pages = {"/a.tgz": (200, {"Content-Encoding": "x-gzip"}, body)}
    (tmp_path / "a.tgz.part").write_bytes(body[:9])
    fetch(f"{web.url}/a.tgz", tmp_path / "a.tgz", body)
    assert (tmp_path / "a.tgz").read_bytes() == body
    assert web.asked == [("/a.tgz", "bytes=9-")]


def test_a_download_begins_again_where_the_server_cannot_go_on(web, tmp_path):
    web.pages = {"/file": (200, {"no-range": "1"}, b"whole")}
    (tmp_path / "file.part").write_bytes(b"who")
    fetch(f"{web.url}/file", tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_part_that_is_complete_is_finished(web, tmp_path):
    web.pages = {"/file": (200, {}, b"whole")}
    (tmp_path / "file.part").write_bytes(b"whole")
    fetch(f"{web.url}/file", tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert web.asked == [("/file", "bytes=5-")]


@pytest.mark.parametrize(
    ("part", "headers"),
    [
        (b"a longer one", {}),
        (bytes(200), {}),
        (b"who", {"Content-Range": "bytes 0-4/5"}),
        (b"who", {"Content-Range": "none"}),
    ],
)
def test_a_part_that_does_not_fit_the_answer_is_begun_again(web, tmp_path, part, headers):
    web.pages = {"/file": (200, headers, b"whole")}
    (tmp_path / "file.part").write_bytes(part)
    fetch(f"{web.url}/file", tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert [start for _, start in web.asked] == [f"bytes={len(part)}-", None]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *(("a.txt", body) for body in (b" <html>log in</html>", b"", gzip.compress(b"right"))),
        *(("a.tgz", body) for body in (b"no gzip", gzip.compress(b"a" * 99)[:-9])),
    ],
)
def test_what_cannot_be_the_file_is_refused_whoever_sends_it(secure_web, tmp_path, name, body):
    secure_web.pages = {"/file": (200, {}, body)}
    with pytest.raises(UserError, match="could not be downloaded"):
        download(f"{secure_web.url}/file", tmp_path / name, 100, private=True)
    assert not list(tmp_path.iterdir())
    secure_web.pages["/file"] = (200, {}, gzip.compress(b"right") if name == "a.tgz" else b"right")
    download(f"{secure_web.url}/file", tmp_path / name, 100, private=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_without_a_checksum_is_taken_by_https_alone(web, secure_web, tmp_path):
    web.pages = {"/file": (200, {}, b"whose?")}
    secure_web.pages = {"/moved": (302, {"Location": f"{web.url}/file"}, b"")}
    for url in (f"{web.url}/file", f"{secure_web.url}/moved"):
        with pytest.raises(UserError, match="not by https"):
            download(url, tmp_path / "file", 100, private=True)
    assert not web.asked
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_another_file_than_the_published_one_is_refused_and_removed(web, tmp_path, kind):
    web.pages = {"/file": (200, {}, b"other")}
    with pytest.raises(UserError, match=f"has {kind.upper()} .* another file"):
        fetch(f"{web.url}/file", tmp_path / "file", b"published", kind)
    assert not list(tmp_path.iterdir())
    web.pages["/file"] = (200, {}, b"published")
    assert fetch(f"{web.url}/file", tmp_path / "file", b"published", kind).exists()


def test_a_file_larger_than_expected_is_refused(web, tmp_path):
    web.pages = {"/file": (200, {}, bytes(2000))}
    with pytest.raises(UserError, match="too large"):
        fetch(f"{web.url}/file", tmp_path / "file", bytes(2000), limit=1000)
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
