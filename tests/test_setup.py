"""The set-up's scripts: what they print, what they ask for, and what they take no notice of."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / "setup"


def program(folder: Path, name: str, script: str) -> None:
    """A program in `folder` that the set-up finds instead of the system's."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


def shell(script: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"} | environment,
    )


def function(script: str, name: str) -> str:
    """The text of a function of one of the scripts."""
    return re.search(rf"^{name}\(\) {{.*?^}}", (SETUP / script).read_text(), re.DOTALL | re.MULTILINE)[0]


@pytest.fixture
def user(tmp_path):
    """The PATH of a user who is not root, has no sudo, and where LMDB and CMake's packages are missing."""
    program(tmp_path / "bin", "id", "echo 1000")
    program(
        tmp_path / "bin", "dpkg-query", '[[ " $* " == *" cmake "* || " $* " == *lmdb* ]] || echo -n installed'
    )
    for name in ("bash", "cat", "dirname", "env", "nproc"):
        (tmp_path / "bin" / name).symlink_to(Path("/usr/bin") / name)
    return str(tmp_path / "bin")


def test_a_user_without_sudo_reads_the_command_that_installs_the_missing_packages(user):
    done = shell(f"bash {SETUP}/system.sh", PATH=user)
    assert done.returncode == 2
    assert "\n    apt-get install --no-install-recommends cmake liblmdb-dev\n" in done.stderr


def test_set_up_goes_on_once_the_packages_are_there(user):
    program(Path(user), "dpkg-query", "echo -n installed")
    done = shell(f"bash {SETUP}/system.sh", PATH=user)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_where_dpkg_is_not_known_every_package_is_listed(user):
    (Path(user) / "dpkg-query").unlink()
    done = shell(f"bash {SETUP}/system.sh", PATH=user)
    assert done.returncode == 2
    assert "build-essential cmake" in done.stderr


def test_the_plan_leaves_out_what_is_there(user, tmp_path):
    plan = f"bash {SETUP}/plan.sh {tmp_path}/venv"
    before = shell(plan, PATH=user, HOME="/home/user").stdout
    assert re.search(
        r"system packages +\d+ MB +\d+ MB +\d+ min\n +Python packages +\d+ MB +\d+ MB +\d+ min\n +Caffe",
        before,
    )
    program(Path(user), "dpkg-query", "echo -n installed")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "attr2face").touch()
    after = shell(plan, PATH=user, HOME="/home/user").stdout
    assert "packages" not in after
    assert "Caffe" in after


def test_caffe_is_set_up_again_when_caffe_root_changes_or_is_left_out(tmp_path):
    shutil.copy(SETUP.parent / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "setup" / "lock").mkdir(parents=True)
    for name in ("onednn.txt", "lock/core.txt"):
        (tmp_path / "setup" / name).touch()
    for name, script in {
        "plan": "",
        "system": "",
        "python": 'mkdir -p "$1"',
        "caffe": 'echo "Caffe: $CAFFE_ROOT"',
    }.items():
        (tmp_path / "setup" / f"{name}.sh").write_text(script)

    def said(root: str) -> str:
        return shell(f"make -s -C {tmp_path} setup {root}").stdout.strip()

    assert said(f"CAFFE_ROOT={tmp_path}/one") == f"Caffe: {tmp_path}/one"
    assert said(f"CAFFE_ROOT={tmp_path}/one") == ""
    assert said(f"CAFFE_ROOT={tmp_path}/two") == f"Caffe: {tmp_path}/two"
    assert said(f"CAFFE_ROOT={tmp_path}/one") == f"Caffe: {tmp_path}/one"
    assert said("") == "Caffe:"
    assert said("") == ""


def test_a_log_has_a_line_for_each_tenth_of_the_progress():
    done = shell(f"printf '%s\\n' 0% 7 8 ' 12%' 19 12 08 55 100 | bash {SETUP}/bar.sh compiling")
    assert done.stdout == "compiling: 12 %\ncompiling: 55 %\ncompiling: 100 %\n"


def test_a_terminal_shows_a_bar_that_moves():
    command = f"printf '%s\\n' 0 50 100 | bash {SETUP}/bar.sh compiling"
    shown = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, check=True).stdout
    bars = shown.strip().split(b"\r")
    assert [bar.count(b"#") for bar in bars] == [0, 20, 40]


@pytest.mark.parametrize(
    ("release", "lock"), [("3.12.4", "3"), ("3.21.12", "4"), ("3.6.1", "3"), ("25.1", "4"), ("28.3", None)]
)
def test_pythons_protobuf_is_one_that_reads_what_protoc_writes(tmp_path, release, lock):
    program(tmp_path, "protoc", f"echo libprotoc {release}")
    fail = "fail() { echo $1 >&2; exit 2; }"
    script = f"{fail}; bin={tmp_path} here=setup\n{function('python.sh', 'protobuf')}\nprotobuf"
    done = shell(script)
    assert done.stdout == (f"setup/lock/protobuf-{lock}.txt\n" if lock else "")
    assert done.returncode == (0 if lock else 2)
    assert lock or release in done.stderr


def test_the_compilers_hear_nothing_of_an_active_conda_environment(tmp_path):
    program(tmp_path / "bin", "printenv", "echo the environment's own program")
    leaks = {
        "CONDA_PREFIX": str(tmp_path),
        "CMAKE_PREFIX_PATH": str(tmp_path),
        "CXXFLAGS": f"-I{tmp_path}",
        "HOME": "/home/user",
    }
    done = shell(
        f"conda=\n{function('caffe.sh', 'clean')}\nclean printenv",
        PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
        **leaks,
    )
    heard = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert heard == {"HOME": "/home/user", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def onednn(
    folder: Path, python: str, machine: str = "x86_64", source: str = ""
) -> subprocess.CompletedProcess:
    """Its download in `folder` on a machine, with a Python."""
    program(folder / "bin", "uname", f"echo {machine}")
    program(folder / "bin", "python", python)
    fail = "fail() { echo $1 >&2; exit 2; }"
    script = f"set -u; {fail}; cd {folder}; python=python here={SETUP} source=('{source}')"
    return shell(f"{script}\n{function('caffe.sh', 'onednn')}\nonednn", PATH=f"{folder}/bin:/usr/bin:/bin")


NO_HOST = "pip could not download oneDNN; check the network and run make again: ERROR: no such host"


@pytest.mark.parametrize(("machine", "said"), [("aarch64", ""), ("x86_64", NO_HOST)])
def test_onednn_is_downloaded_where_there_are_wheels(tmp_path, machine, said):
    done = onednn(tmp_path, "echo ERROR: no such host; exit 1", machine)
    assert done.stderr.strip() == said
    assert done.returncode == (2 if said else 0)


@pytest.mark.parametrize("source", ["/folder/caffe.tar.gz", "https://host/folder/caffe.tar.gz"])
def test_pip_looks_for_onednn_beside_caffe_source_too(tmp_path, source):
    done = onednn(tmp_path, 'echo "ERROR: $*"; exit 1', source=source)
    assert ("--find-links /folder" in done.stderr) == source.startswith("/")
