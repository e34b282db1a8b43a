"""Where things are: the checkout, the committed nets, the store, VGG-Face's weights."""

from pathlib import Path

from attr2face.datasets import Dataset
from attr2face.settings import Alignment

CHECKOUT = Path(__file__).parents[3]
ZOO = Path(__file__).parents[1] / "zoo"
FACE_MESH = ZOO / "face_mesh" / "face_mesh.h5"
PARSING_NET = ZOO / "parsing" / "default.h5"  # the net that reads parts of heads


def committed_file(dataset: Dataset) -> Path:
    """Where the committed nets of a dataset are."""
    return ZOO / dataset.nets


def finds_landmarks(dataset: Dataset, given: Alignment) -> bool:
    """Whether there is anything that landmarks of the dataset's pictures come from."""
    return bool(dataset.rendered or given.landmarks or given.detector or FACE_MESH.exists())


def reads_parts(dataset: Dataset, parsing: Path | None) -> bool:
    """Whether a net reads parts of heads in a dataset's pictures: the committed one, or that of PARSING."""
    return not dataset.rendered and bool(parsing or PARSING_NET.exists())


def default_store() -> Path:
    """The store of the checkout that the package is used from, or a folder where the command is run."""
    if (CHECKOUT / "Makefile").exists():
        return CHECKOUT / "data" / "store"
    return Path("attr2face-store").absolute()


def vgg_face(store: Path) -> Path:
    """Where `make weights` writes VGG-Face's published weights."""
    folder = CHECKOUT / "models" / "vgg_face"
    return (folder if folder.exists() else store / "vgg_face") / "VGG_FACE.caffemodel"
