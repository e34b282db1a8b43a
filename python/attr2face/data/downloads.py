"""Files from the web, taken on no trust: bounded size, time and redirects, and no private addresses.

A file has a known checksum, or a server that proves by https who it is. Behind a proxy, which looks names up
itself, hosts that are written as addresses are checked, and the proxy is trusted with names.
"""

import contextlib
import functools
import gzip
import ipaddress
import re
import shutil
import socket
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from tqdm import tqdm
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError
from urllib3.poolmanager import PoolManager

from attr2face.errors import UserError
from attr2face.files import atomic_write, digest

CONNECT_SECONDS = 5
# Until the headers are there, and between two pieces of the body.
ANSWER_SECONDS = 20
# For the whole of a file; the next run goes on with what is missing.
DOWNLOAD_SECONDS = 6 * 3600
REDIRECTS = 5
BLOCK = 1 << 16
# The last 32 bits of these addresses are one of IPv4, to which a network of IPv6 alone translates them.
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """A download that was refused; the message is a word or two for a table."""


def _refuse_private(address: str) -> None:
    ip = ipaddress.ip_address(address.split("%")[0])
    if ip in NAT64:
        ip = ipaddress.IPv4Address(ip.packed[-4:])
    if not ip.is_global:
        raise Refused("private address")


def _refuse_private_host(host: str) -> None:
    """Refuse this machine, or a private address in whatever form, without looking up a name."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        raise Refused("private address")
    with contextlib.suppress(OSError, UnicodeError):
        for found in socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST):
            _refuse_private(found[4][0])


@contextlib.contextmanager
def _cut_after(seconds: float, shutdown: Callable[[], None]) -> Iterator[None]:
    """Shut a socket down and refuse after `seconds`: one that sends a byte now and then never times out."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        # It may be closed by now.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            shutdown()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            raise Refused("too slow")


@functools.cache
def _pool(base: type, private: bool) -> type:
    """Connections that wait so long for headers, to public addresses (checked after lookup) or `private`."""

    class Connection(base.ConnectionCls):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            try:
                if not private:
                    _refuse_private(opened.getpeername()[0])
            except Refused:
                opened.close()
                raise
            return opened

        def connect(self) -> None:
            super().connect()
            # TLS within a proxy's TLS has none.
            if not hasattr(self.sock, "shutdown"):
                self.sock.shutdown = self.sock.socket.shutdown

        def getresponse(self) -> HTTPResponse:
            with _cut_after(ANSWER_SECONDS, functools.partial(self.sock.shutdown, socket.SHUT_RDWR)):
                return super().getresponse()

    return type(base.__name__, (base,), {"ConnectionCls": Connection})


def _guard(manager: PoolManager, private: bool) -> None:
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _pool(base, private) for scheme, base in pools.items()}


class _Adapter(HTTPAdapter):
    """Notes in `host` which host was asked last, or None after its redirect."""

    host = None

    def __init__(self, private: bool, https: bool) -> None:
        self.private = private
        self.https = https
        super().__init__()

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)
        _guard(self.poolmanager, self.private)

    def proxy_manager_for(self, proxy: str, **kwargs: object) -> PoolManager:
        if proxy not in self.proxy_manager:
            # A proxy's own address may be private.
            _guard(super().proxy_manager_for(proxy, **kwargs), private=True)
        return self.proxy_manager[proxy]

    def send(self, request: requests.PreparedRequest, **kwargs: object) -> requests.Response:
        self.host = urlsplit(request.url).hostname
        if self.https and urlsplit(request.url).scheme != "https":
            raise Refused("not by https")
        if not self.private and select_proxy(request.url, kwargs.get("proxies")):
            _refuse_private_host(self.host or "")
        response = super().send(request, **kwargs)
        if response.is_redirect:
            self.host = None
            # Nobody wants its body, which may be endless and would be read before the next request.
            response.close()
        return response


def session(private: bool = False, https: bool = False) -> requests.Session:
    """A session of few redirects, without cookies or passwords, for public addresses unless `private`."""
    s = requests.Session()
    s.max_redirects = REDIRECTS
    s.headers.update({"User-Agent": "attr2face", "Accept-Encoding": "identity"})
    s.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # Otherwise passwords of ~/.netrc are sent, after redirects, too.
    s.auth = lambda request: request
    s.rebuild_auth = lambda request, response: None
    adapter = _Adapter(private, https)
    for scheme in ("http://", "https://"):
        s.mount(scheme, adapter)
    return s


def _length(response: requests.Response) -> int:
    """The Content-Length, or 0 where there is none, or one that is no number."""
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else 0


def blocks(response: requests.Response, limit: int, seconds: float, decode: bool = True) -> Iterator[bytes]:
    """The body, block by block, in its Content-Encoding unless `decode`.

    Raises
    ------
    Refused
        If it is longer than `limit` bytes, takes longer than `seconds`, or ends early.
    """
    if _length(response) > limit:
        raise Refused("too large")
    size = 0
    try:
        with _cut_after(seconds, response.raw.shutdown):
            for block in response.raw.stream(BLOCK, decode_content=decode):
                size += len(block)
                if size > limit:
                    raise Refused("too large")
                yield block
    except (ProtocolError, DecodeError):
        raise Refused("truncated") from None
    except (OSError, ValueError, HTTPError, HTTPException):
        raise Refused("too slow") from None


def get(s: requests.Session, url: str, start: int = 0) -> requests.Response:
    """Open `url` from byte `start` on (status 206, or 416 if it has no such byte) or from the beginning.

    Raises
    ------
    Refused
        If there is no answer, or one of an error.
    """
    try:
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = s.get(url, stream=True, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), headers=headers)
    except requests.exceptions.TooManyRedirects:
        raise Refused("too many redirects") from None
    except requests.exceptions.InvalidHeader:
        raise Refused("broken headers") from None
    except requests.exceptions.ReadTimeout:
        raise Refused("too slow") from None
    except (OSError, ValueError, HTTPError, HTTPException):
        raise Refused("no connection") from None
    if response.status_code >= 400 and not (start and response.status_code == 416):
        response.close()
        raise Refused(f"status {response.status_code}")
    return response


def download(url: str, out: Path, limit: int, checksum: str = "", private: bool = False) -> Path:
    """Fetch `url` to `out`, going on from where an interrupted download stopped.

    The file takes its name only if it has the `checksum`, such as md5:ee70... or sha256:b47c... Where nobody
    published one, the server must prove who it is: every address on the way must be one of https.

    Raises
    ------
    UserError
        If it cannot be downloaded, takes longer than `DOWNLOAD_SECONDS`, is larger than `limit` bytes, or is
        another file.
    """
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    try:
        with session(private, https=not checksum) as s:
            _complete(s, url, part, limit, part.stat().st_size if part.exists() else 0)
        if not checksum:
            _validate(part, out.suffix in (".gz", ".tgz"))
    except Refused as refused:
        remedy = f"run the same command again, or fetch it yourself to {out}"
        raise UserError(f"{url} could not be downloaded ({refused}); {remedy}") from None
    kind, _, expected = checksum.partition(":")
    found = digest(part, kind) if checksum else ""
    if found != expected:
        part.unlink()
        other = f"{kind.upper()} {found}, not {expected}"
        raise UserError(f"{url} has {other}; it is another file and was removed")
    return part.replace(out)


def _complete(s: requests.Session, url: str, part: Path, limit: int, have: int) -> None:
    """Write `url` to `part`, which has its first `have` bytes, or else all of it if these do not fit."""
    with get(s, url, have) as response:
        span = response.headers.get("Content-Range", "")
        if have and response.status_code == 416 and span == f"bytes */{have}":
            return
        begin = 0 if response.status_code == 200 else have
        if not begin or span.startswith(f"bytes {begin}-"):
            total = begin + _length(response)
            with (
                part.open("ab" if begin else "wb") as file,
                tqdm(None, part.stem, total, initial=begin, unit="B", unit_scale=True) as bar,
            ):
                for block in blocks(response, limit - begin, DOWNLOAD_SECONDS, decode=False):
                    file.write(block)
                    bar.update(len(block))
            return
    _complete(s, url, part, limit, 0)


def _validate(part: Path, zipped: bool) -> None:
    """Remove and refuse what cannot be the file, whatever its checksum."""
    with part.open("rb") as file:
        first = file.read(1000).lstrip()[:1]
    wrong = {b"": "empty", b"<": "a web page", b"\x1f": "" if zipped else "a gzip file"}.get(first)
    if zipped and not wrong:
        try:
            with gzip.open(part) as file:
                while file.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error):
            wrong = "not a whole gzip file"
    if wrong:
        part.unlink()
        raise Refused(wrong)


def unpack_file(archive: Path, name: str, out: Path, limit: int) -> Path:
    """Write the one file of a tar archive whose path ends with `name` to `out`, and nothing else.

    Raises
    ------
    UserError
        If the archive is broken or holds no such regular file of at most `limit` bytes.
    """
    try:
        with tarfile.open(archive) as tar, atomic_write(out) as temporary:
            named = (file for file in tar if file.isfile() and file.name.endswith(name))
            member = next((file for file in named if file.size <= limit), None)
            if not member:
                at_most = f"{name} of at most {limit / 1e6:.0f} MB"
                raise UserError(f"{archive} holds no {at_most}; remove it and download again")
            with tar.extractfile(member) as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError):
        raise UserError(f"{archive} is not a whole tar archive; remove it and download again") from None
    return out
