"""What an output was computed with: versions, Caffe's build, the commit, the processor and the threads."""

import functools
import hashlib
import importlib.util
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = ("attr2face", "numpy", "scipy", "h5py", "protobuf", "scikit-learn", "scikit-image")
LIBRARIES += ("opencv-python-headless", "pillow")


@functools.cache
def environment() -> dict[str, object]:
    """What manifests and reports say of the machine and the software."""
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "caffe": caffe_build(),
        "commit": commit(),
        "system": f"{platform.system()} on {platform.machine()}",
        "processor": _processor(),
        "processors": usable_cpus(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", usable_cpus())),
    }


@functools.cache
def software() -> dict[str, str]:
    """What machines must have in common to work on one output, whose bytes do not tell which did what."""
    made_by = environment()
    digest, package = hashlib.sha256(), Path(__file__).parent
    code = [
        file for kind in ("**/*.py", "tables/*.csv", "tables/datasets/*.toml") for file in package.glob(kind)
    ]
    for path in sorted(code):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package)} {len(content)}\n".encode() + content)
    found = {"Caffe's build": made_by["caffe"], "processor": made_by["processor"], **made_by["versions"]}
    return found | {"attr2face's code": digest.hexdigest()[:12]}


@functools.cache
def usable_cpus() -> int:
    """Processors that this process may use: its affinity and a container's quota count."""
    from joblib import cpu_count  # here, as joblib takes longer to import than most commands run

    return cpu_count()


def caffe_root() -> Path | None:
    """The folder of the Caffe that is in use, or would be."""
    spec = importlib.util.find_spec("caffe")
    return Path(spec.origin).resolve().parents[2] if spec and spec.origin else None


def caffe_build() -> str:
    """The name of the build's folder, which has the key of what it was built from."""
    root = caffe_root()
    if root is None:
        return "none"
    names = (folder.name for folder in (root, *root.parents))
    return next((name for name in names if name.startswith("caffe")), str(root))


def commit() -> str:
    """The checkout's commit, with + if files differ from it; empty outside a checkout."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        git = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
