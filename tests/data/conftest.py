"""A server on 127.0.0.1 that behaves as the web does."""

import contextlib
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def web():
    """A server; `web.pages` maps paths to (status, headers, body), `web.asked` lists what was asked for."""
    with served() as w:
        yield w


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A folder with `cert`, for 127.0.0.1 and example.org, and its `key`."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, which makes a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    names = "subjectAltName=IP:127.0.0.1,DNS:example.org"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -addext {names} -keyout key -out cert"
    subprocess.run(make.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure_web(certificate, monkeypatch):
    """The same by https, with a certificate that is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate / "cert", certificate / "key")
    with served(tls) as w:
        yield w


@contextlib.contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[SimpleNamespace]:
    """What `web` gives."""
    w = SimpleNamespace(pages={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            w.asked.append((self.path, self.headers.get("Range")))
            status, headers, body = w.pages.get(self.path, (404, {}, b""))
            start = 0
            if status == 200 and self.headers.get("Range") and "no-range" not in headers:
                status, start = 206, int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} | headers
                if start >= len(body):
                    status, headers, body, start = 416, {"Content-Range": f"bytes */{len(body)}"}, b"", 0
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
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    w.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    yield w
    server.shutdown()
