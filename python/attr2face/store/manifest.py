"""`manifest.json` in the folder of an artefact: what made it, and with what."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.provenance import environment
from attr2face.store.inputs import artefacts_in

if TYPE_CHECKING:
    from attr2face.store.artefact import Artefact

MANIFEST = "manifest.json"
VERSION = 2  # of keys and manifests; to be raised when earlier ones cannot be read any more


def manifest_of(artefact: Artefact, folder: Path, seconds: float) -> dict[str, object]:
    """The manifest of an artefact that has just been made in a folder."""
    inputs = {name: {"path": str(used.path), "key": used.key} for name, used in artefacts_in(artefact.inputs)}
    return {
        "store": VERSION,
        "stage": artefact.stage,
        "version": artefact.version,
        "key": artefact.key,
        "settings": dict(artefact.settings),
        "origin": dict(artefact.origin),
        "inputs": inputs,
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "seconds": round(seconds, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "made by": environment(),
    }


def read_manifest(folder: Path) -> dict:
    """What made a folder; empty if it has no manifest of ours."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        ours = re.fullmatch("[0-9a-f]{16}", manifest["key"]) and isinstance(manifest["finished"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return manifest if ours else {}


def is_current(manifest: Mapping[str, object]) -> bool:
    """Whether a manifest is of this release."""
    return manifest.get("store") == VERSION
