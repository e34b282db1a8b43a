"""setup/source.sh, against a server on 127.0.0.1 that refuses, truncates and lies."""

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "setup"
# Root's privileges are dropped, and Ctrl-C is heard in the background, too.
COMMAND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-sys_resource"] * (os.geteuid() == 0)
COMMAND += ["env", "--default-signal=INT", "bash", SETUP / "source.sh"]
FILES = {
    "CMakeLists.txt": b"project(Caffe)\n",
    "src/a.cpp": b"int a;\n",
    "src/b c.cpp": b"",
    ".gitignore": b"*.o\n",
}

pytestmark = pytest.mark.skipif(
    not Path("/usr/lib/apt/apt-helper").exists(), reason="needs APT, which downloads Caffe's source"
)


def archive(files: dict[str, bytes], folder: str = "", sealed: str | None = None) -> bytes:
    """A tar.gz of `files` in `folder`; nobody may write to the folder `sealed`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if sealed:
            member = tarfile.TarInfo(sealed)
            member.type, member.mode = tarfile.DIRTYPE, 0o555
            tar.addfile(member)
    return stream.getvalue()


def contents(files: dict[str, bytes]) -> str:
    lines = sorted(f"f {len(content)} {name}\n" for name, content in files.items())
    return hashlib.sha256(
        "".join(lines).encode() + b"".join(files[name] for name in sorted(files))
    ).hexdigest()


def unpack(folder: Path, *places: object, under: tuple = ()) -> subprocess.CompletedProcess:
    command = [*under, *COMMAND, folder, contents(FILES), *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert [path.name for path in folder.parent.glob(f"{folder.name}*")] == [folder.name] * (
        done.returncode == 0
    )
    return done


def had(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("folder", ["", "caffe-99bd997/"])
def test_files_are_taken_from_an_archive_with_or_without_a_folder_around_them(web, tmp_path, folder):
    web.pages = {"/caffe.tar.gz": (200, {}, archive(FILES, folder))}
    assert unpack(tmp_path / "src", f"{web.url}/caffe.tar.gz").returncode == 0
    assert had(tmp_path / "src") == FILES


def test_the_first_place_that_has_the_source_is_taken_whatever_others_send(web, tmp_path):
    good = archive(FILES)
    checksum = hashlib.sha256(good).hexdigest()
    changed, moved = FILES | {"src/a.cpp": b"int b;\n"}, {**FILES, "src/z.cpp": FILES["src/a.cpp"]}
    del moved["src/a.cpp"]
    web.pages = {
        "/error": (503, {}, b""),
        "/truncated": (200, {"Content-Length": str(len(good))}, good[:-9]),
        "/half": (200, {}, good[: len(good) // 2]),
        "/page": (200, {}, b"<html>gone</html>"),
        "/circle": (302, {"Location": "/circle"}, b""),
        "/changed": (200, {}, archive(changed)),
        "/moved": (200, {}, archive(moved)),
        "/more": (200, {}, archive(FILES | {"more": b""})),
        "/escape": (200, {}, archive(FILES | {"../escape": b""})),
        "/large": (200, {}, archive({"large": bytes(50_000_000)})),
        "/packed": (200, {}, archive(FILES, "other/")),
        "/good": (200, {}, good),
        "/later": (200, {}, good),
    }
    places = [f"{web.url}{path}" + (f"#{checksum}" if path == "/packed" else "") for path in web.pages]
    done = unpack(tmp_path / "src", "http://127.0.0.1:1/refused", *places)
    assert done.returncode == 0
    assert had(tmp_path / "src") == FILES
    told = done.stderr.splitlines()
    assert len(told) == len(web.pages) - 1
    reasons = [
        "refused",
        "503",
        "unexpected end",
        "tar: ",
        "tar: ",
        "loop",
        *["files are not"] * 3,
        "tar: ",
        "tar: ",
        "NOT match",
    ]
    for line, reason in zip(told, reasons, strict=True):
        assert reason in line
    assert "/later" not in {path for path, _ in web.asked}
    assert not (tmp_path / "escape").exists()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_without_apt_curl_downloads(web, tmp_path, monkeypatch):
    good = archive(FILES)
    pages = {
        "/error": (503, {}, b""),
        "/truncated": (200, {"Content-Length": str(len(good))}, good[:-9]),
        "/circle": (302, {"Location": "/circle"}, b""),
    }
    web.pages = pages | {"/moved": (302, {"Location": "/good"}, b""), "/good": (200, {}, good)}
    monkeypatch.setenv("APT_HELPER", "/none")
    done = unpack(tmp_path / "src", *(f"{web.url}{path}" for path in (*pages, "/moved")))
    assert done.returncode == 0
    assert had(tmp_path / "src") == FILES
    for line, reason in zip(done.stderr.splitlines(), ("503", "remaining", "redirects"), strict=True):
        assert reason in line


def test_where_no_place_has_the_source_a_sentence_names_the_remedy(web, tmp_path):
    done = unpack(tmp_path / "src", f"{web.url}/nothing", tmp_path / "none.tar.gz")
    assert done.returncode == 1
    assert "404" in done.stderr
    assert "none.tar.gz" in done.stderr
    assert "set CAFFE_SOURCE" in done.stderr.splitlines()[-1]


def test_an_archive_of_the_users_own_is_read_and_stays(tmp_path):
    mine = archive(FILES)
    (tmp_path / "mine.tar.gz").write_bytes(mine)
    assert unpack(tmp_path / "src", tmp_path / "mine.tar.gz").returncode == 0
    assert had(tmp_path / "src") == FILES
    assert (tmp_path / "mine.tar.gz").read_bytes() == mine


def test_an_archive_with_a_folder_that_nobody_may_write_to_does_not_spoil_later_ones(tmp_path):
    (tmp_path / "bad.tar.gz").write_bytes(archive({"sealed/file": b""}, sealed="sealed"))
    (tmp_path / "good.tar.gz").write_bytes(archive(FILES))
    assert unpack(tmp_path / "src", tmp_path / "bad.tar.gz", tmp_path / "good.tar.gz").returncode == 0
    assert had(tmp_path / "src") == FILES


def test_files_may_be_limited_to_fewer_bytes_already(tmp_path):
    (tmp_path / "mine.tar.gz").write_bytes(archive(FILES))
    assert (
        unpack(tmp_path / "src", tmp_path / "mine.tar.gz", under=("prlimit", "--fsize=1000000")).returncode
        == 0
    )


def test_passwords_are_not_printed(tmp_path):
    told = unpack(
        tmp_path / "src", "ftp://me:secret@127.0.0.1/a.tar.gz", "http://me:sec@ret@127.0.0.1:1/a.tar.gz"
    ).stderr
    assert "//127.0.0.1/a.tar.gz" in told
    assert not re.search("me:|sec|ret@", told)


def test_ctrl_c_stops_it(web, tmp_path):
    web.pages = {"/slow": (200, {"slow": "1"}, bytes(99_999))}
    command = [*COMMAND, tmp_path / "src", contents(FILES), f"{web.url}/slow", f"{web.url}/next"]
    with subprocess.Popen(command, start_new_session=True) as script:
        while not web.asked:
            time.sleep(0.01)
        os.killpg(script.pid, signal.SIGINT)
        assert script.wait(10) == 130
    assert [path for path, _ in web.asked] == ["/slow"]
    assert not list(tmp_path.iterdir())


def test_mirrors_are_those_of_apt(tmp_path):
    caffe = (SETUP / "caffe.sh").read_text().replace("/etc/", f"{tmp_path}/")
    places = re.search(r"^places\(\) \{.*?^\}", caffe, re.DOTALL | re.MULTILINE)[0]
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "apt" / "sources.list").write_text(
        "deb [arch=amd64] http://a/debian\tstable main\r\n\t# deb http://b/debian stable main\n"
    )
    (tmp_path / "apt" / "sources.list.d" / "c.sources").write_text(
        f"URIs: mirror+file:{tmp_path}/mirrors.txt\r\n"
    )
    (tmp_path / "mirrors.txt").write_text("http://c/debian\tpriority:1\nhttps://d/debian/\r\n")
    script = f"set -euo pipefail; orig=o orig_sha1=1 orig_sha256=2 commit=3\n{places}\nplaces"
    told = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    ).stdout
    assert told.splitlines()[:-4] == [
        f"{mirror}/debian/pool/main/c/caffe/o#2" for mirror in ("http://a", "http://c", "https://d")
    ]
