"""LMDBs as Caffe reads them, raw and JPEG."""

import lmdb
import numpy as np
import pandas as pd
import pytest

from attr2face.attributes import pubfig
from attr2face.data import lmdbs
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import Faces
from attr2face.data.images import read_image
from attr2face.data.lmdbs import build_lmdbs
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import PictureError, UserError, WorkersError
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.prototxt import TrainingData
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe, caffe_pb2
from attr2face.settings import Database
from tests.conftest import STILL, STILL_DATABASE

MINI = MODELS["mini"]
ALONE = Machine(workers=1)


@pytest.fixture(scope="module")
def jpeg(steps) -> FaceDatabase:
    """The same faces as in `database`, stored as JPEG."""
    return FaceDatabase.open(steps.varied(encoded=True).made("lmdb"))


def test_lmdbs_are_in_lockstep_with_the_index_and_the_images(steps, database):
    index = pd.read_csv(database.folder / "index.csv")
    images, labels = (
        lmdb.open(str(database.folder / f"train_{kind}"), readonly=True, lock=False)
        for kind in ("images", "labels")
    )
    people = sorted(set(database.people[:36]))
    with images.begin() as image_transaction, labels.begin() as label_transaction:
        assert image_transaction.stat()["entries"] == label_transaction.stat()["entries"] == 36
        for record in range(36):
            key = f"{record:08d}".encode()
            datum = caffe_pb2.Datum.FromString(image_transaction.get(key))
            blob = np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)
            assert (
                blob == read_image(steps.made("faces") / index["path"][record], 92).transpose(2, 0, 1)[::-1]
            ).all()
            values = caffe_pb2.Datum.FromString(label_transaction.get(key)).float_data
            assert list(values) == [*database.labels[record].tolist(), people.index(database.people[record])]


def test_scores_are_those_of_the_attribute_file(steps, database):
    faces = read_faces(steps.made("faces"), dataset_of("synthetic"))
    row_of = {path: row for row, path in enumerate(faces.paths)}
    order = [row_of[path] for path in pd.read_csv(database.folder / "index.csv")["path"]]
    assert sorted(order) == list(range(48))
    assert (database.scores == faces.scores[order]).all()


def test_the_map_of_labels_grows_with_their_number(steps, monkeypatch, tmp_path):
    """A fixed one of 256 MiB was full after 1.1 million of them."""
    sizes = {}
    opened = lmdb.open

    def noted(path: str, **given: object) -> lmdb.Environment:
        sizes[path.rpartition("/")[2]] = given["map_size"]
        return opened(path, **given)

    monkeypatch.setattr(lmdb, "open", noted)
    faces = read_faces(steps.made("faces"), dataset_of("synthetic"))
    build_lmdbs(faces, MINI, Database(), 1, tmp_path, ALONE)
    each = (sizes["train_labels"] - sizes["val_labels"]) / (36 - 6)
    assert each > 2 * 244, "bytes that a record was seen to take"


def test_images_are_resized_to_what_the_model_wants(still):
    assert next(iter(still.images([0]))).shape == (88, 88, 3)


def test_an_attribute_file_without_images_is_refused(tmp_path):
    (tmp_path / "attributes.txt").write_text(
        "# comment\n" + "\t".join(["#", "person", "imagenum", *pubfig().names]) + "\n"
    )
    with pytest.raises(UserError, match="no training people"):
        build_lmdbs(read_faces(tmp_path, dataset_of("synthetic")), STILL, STILL_DATABASE, 1, tmp_path, ALONE)


def test_a_broken_image_is_named(tmp_path):
    faces = Faces(
        tmp_path, ["a.jpg", "b.jpg"], np.array(["Ada", "Bob"]), np.zeros((2, 73), np.float32), pubfig()
    )
    for path in faces.paths:
        (tmp_path / path).write_bytes(b"<html>not found</html>")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"[ab].jpg is not a readable image; replace"):
        build_lmdbs(faces, STILL, Database(), 1, tmp_path / "out", ALONE)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (WorkersError("a worker is not fit"), True),
        (UserError("cannot write: no space"), True),
        (PictureError("a picture is broken"), False),
    ],
)
def test_what_is_written_is_kept_unless_pictures_are_at_fault(error, kept, steps, monkeypatch, tmp_path):
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(lmdbs, "_write_split", failing)
    (tmp_path / "train_done.npz").touch()
    with pytest.raises(UserError, match=str(error)):
        build_lmdbs(
            read_faces(steps.made("faces"), dataset_of("synthetic")), MINI, Database(), 1, tmp_path, ALONE
        )
    assert (tmp_path / "train_done.npz").exists() == kept


def test_jpeg_datums_are_near_the_raw_images(database, jpeg):
    rows = range(0, 48, 5)
    differences = [
        np.abs(raw.astype(int) - read)
        for raw, read in zip(database.images(rows), jpeg.images(rows), strict=True)
    ]
    assert 0 < np.mean(differences) < 4
    assert (database.labels == jpeg.labels).all()
    assert (database.people == jpeg.people).all()


def test_caffe_decodes_jpeg_datums_as_pil_does(jpeg, tmp_path):
    (tmp_path / "net.prototxt").write_text(prototxt.train_val(MINI, TrainingData(jpeg.folder, 6)))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net._forward(0, 0)
    crops = np.stack(list(jpeg.crops(jpeg.rows("val"))))
    difference = np.abs(net.blobs["data"].data - jpeg.preprocessing.to_blob(crops)) / MINI.scale
    assert difference.mean() < 2
    assert np.abs(crops[0].astype(int) - crops[1]).mean() > 10, "other images are further away"


def test_quality_makes_jpegs_of_lmdbs_larger_or_smaller(steps, jpeg):
    coarse = FaceDatabase.open(steps.varied(encoded=True, quality=20).made("lmdb"))
    sizes = []
    for folder in (coarse.folder, jpeg.folder):
        with (
            lmdb.open(str(folder / "train_images"), readonly=True, lock=False) as images,
            images.begin() as transaction,
        ):
            sizes.append(sum(len(record) for _, record in transaction.cursor()))
    assert sizes[0] < sizes[1] / 2


def test_pretraining_on_jpeg_datums_begins_with_the_loss_on_raw_images(steps):
    raw, jpeg = (
        pd.read_csv(some.made("pretrained") / "loss.csv")["loss"]
        for some in (steps, steps.varied(encoded=True))
    )
    assert len(raw) == len(jpeg) > 1
    assert raw[0] == pytest.approx(jpeg[0], abs=0.05)
