"""Files from the web, taken on no trust: bounded size, time and redirects, no private addresses, checksums before use."""

import ipaddress
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from attr2face.errors import UserError
from attr2face.files import atomic_write, sha256

TIMEOUT = 20
REDIRECTS = 5
BLOCK = 1 << 16


class Refused(Exception):
    """A download that was refused; the message is a word or two for a table."""


def _public(connection: HTTPConnection, opened: socket.socket) -> socket.socket:
    """The socket, unless it leads into a private network: checked after name lookup, for every redirect."""
    if connection.proxy is None and not ipaddress.ip_address(opened.getpeername()[0].split("%")[0]).is_global:
        opened.close()
        raise Refused("private address")
    return opened


class _PublicHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _public(self, super()._new_conn())


class _PublicHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _public(self, super()._new_conn())


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTP


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPS


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}


def session(private: bool = False) -> requests.Session:
    """A session that follows few redirects and, unless `private`, connects to public addresses only."""
    s = requests.Session()
    s.max_redirects = REDIRECTS
    s.headers["User-Agent"] = "attr2face"
    if not private:
        s.mount("http://", _PublicAdapter())
        s.mount("https://", _PublicAdapter())
    return s


def blocks(response: requests.Response, limit: int, seconds: float) -> Iterator[bytes]:
    """The body, block by block.

    Raises
    ------
    Refused
        If it is longer than `limit` bytes, takes longer than `seconds`, or ends early.
    """
    if int(response.headers.get("Content-Length", 0)) > limit:
        raise Refused("too large")
    start, size = time.monotonic(), 0
    try:
        for block in response.iter_content(BLOCK):
            size += len(block)
            if size > limit:
                raise Refused("too large")
            if time.monotonic() - start > seconds:
                raise Refused("too slow")
            yield block
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        raise Refused("truncated") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
        raise Refused("too slow") from None


def get(s: requests.Session, url: str, **options: object) -> requests.Response:
    """Open `url`; every failure is a Refused."""
    try:
        response = s.get(url, stream=True, timeout=TIMEOUT, **options)
    except requests.exceptions.TooManyRedirects:
        raise Refused("too many redirects") from None
    except requests.exceptions.Timeout:
        raise Refused("too slow") from None
    except (requests.exceptions.RequestException, ValueError):
        raise Refused("no connection") from None
    if response.status_code >= 400:
        response.close()
        raise Refused(f"status {response.status_code}")
    return response


def download(url: str, out: Path, limit: int, checksum: str | None = None, private: bool = False) -> Path:
    """Fetch `url` to `out`, going on from where an interrupted download stopped.

    The file takes its name only when its SHA-256 is `checksum`. Where none is known, the first download's is kept in
    `<out>.sha256`, and later ones are held to it.

    Raises
    ------
    UserError
        If it cannot be downloaded, is larger than `limit` bytes, or is another file.
    """
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    part, record = out.with_name(out.name + ".part"), out.with_name(out.name + ".sha256")
    checksum = checksum or (record.read_text().split()[0] if record.exists() else None)
    have = part.stat().st_size if part.exists() else 0
    try:
        with session(private) as s, get(s, url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
            have = have if response.status_code == 206 else 0
            total = have + int(response.headers.get("Content-Length", 0))
            with part.open("ab" if have else "wb") as file, tqdm(None, out.name, total, initial=have, unit="B", unit_scale=True) as bar:
                for block in blocks(response, limit - have, float("inf")):
                    file.write(block)
                    bar.update(len(block))
    except Refused as refused:
        raise UserError(f"{url} could not be downloaded ({refused}); run the same command again, or fetch it yourself to {out}") from None
    found = sha256(part)
    if checksum and found != checksum:
        part.unlink()
        raise UserError(f"{url} has SHA-256 {found}, not {checksum}; it is another file and was removed")
    if not record.exists():
        record.write_text(f"{found}  {out.name}\n")
    return part.replace(out)


def unpack_file(archive: Path, name: str, out: Path, limit: int) -> Path:
    """Write the one file of a tar archive whose path ends with `name` to `out`, and nothing else.

    Raises
    ------
    UserError
        If the archive is broken or holds no such regular file of at most `limit` bytes.
    """
    try:
        with tarfile.open(archive) as tar, atomic_write(out) as temporary:
            for member in tar:
                if member.isfile() and member.name.endswith(name) and member.size <= limit:
                    with tar.extractfile(member) as source, temporary.open("wb") as target:
                        while block := source.read(BLOCK):
                            target.write(block)
                    break
            else:
                raise UserError(f"{archive} holds no {name} of at most {limit / 1e6:.0f} MB; remove it and download again")
    except (tarfile.TarError, EOFError):
        raise UserError(f"{archive} is not a whole tar archive; remove it and download again") from None
    return out
