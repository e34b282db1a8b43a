"""Where the stages' files are, for notebooks and the demo: make hands the paths over in the variable ATTR2FACE_FILES."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from attr2face.errors import UserError
from attr2face.faces import Sources
from attr2face.files import require
from attr2face.gpu import devices_named, use
from attr2face.lmdbs import open_lmdbs
from attr2face.models import model_named


@dataclass(frozen=True)
class Files:
    """Outputs of the stages: `sources` is what faces are made from, the rest is named after what wrote it."""

    dataset: str
    sources: Sources
    pretrained: Path
    activations: Path
    judge: Path


def files() -> Files:
    """The files that make names; Caffe runs on the first of the cards that it names.

    Raises
    ------
    UserError
        If the variable is not set, or a file or a card is not there.
    """
    if "ATTR2FACE_FILES" not in os.environ:
        raise UserError("ATTR2FACE_FILES is not set; start notebooks with make jupyter, make notebooks or make demo")
    named = json.loads(os.environ["ATTR2FACE_FILES"])
    dataset, model = named.pop("dataset"), named.pop("model")
    use(devices_named(named.pop("gpu"))[0])
    paths = {name: require(Path(path), "make jupyter makes what is missing") for name, path in named.items()}
    model = open_lmdbs(paths["lmdb"], dataset, model_named(model))[1]
    sources = Sources(paths["cgmm"], paths["eigenfaces"], paths["weights"], paths["lmdb"], model)
    return Files(dataset, sources, paths["pretrained"], paths["activations"], paths["judge"])
