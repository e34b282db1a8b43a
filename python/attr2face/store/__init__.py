"""The store of artefacts: every output of the pipeline is a folder in it, found by what it was made from."""

from attr2face.store.artefact import Artefact
from attr2face.store.contents import Source
from attr2face.store.inputs import Input, Part, artefacts_in, made_paths
from attr2face.store.manifest import MANIFEST
from attr2face.store.store import Store

__all__ = ["MANIFEST", "Artefact", "Input", "Part", "Source", "Store", "artefacts_in", "made_paths"]
