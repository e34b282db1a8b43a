"""CelebA in its published layout, from its lists to LMDBs."""

import io
import shutil
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from attr2face.attributes import pubfig
from attr2face.data import lmdbs
from attr2face.data.database import FaceDatabase
from attr2face.data.images import read_image
from attr2face.data.readers import read_faces
from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.models import MODELS
from attr2face.parallel import Machine
from attr2face.settings import Database
from attr2face.steps import Steps
from tests.conftest import SMALL

CELEBA = dataset_of("celeba")
ALONE = Machine(workers=1)
NAMES = sorted(CELEBA.attributes.names, key=str.lower)  # the published order
PEOPLE, PICTURES = 12, 3
# People, pictures that are drawn of each, and pictures that are made of each of these.
MANY, DRAWN, VARIANTS = 60, 4, 10
SAME = {
    "Male": "Male",
    "Smiling": "Smiling",
    "Eyeglasses": "Eyeglasses",
    "Black_Hair": "Black Hair",
    "Wearing_Hat": "Wearing Hat",
}


def write_lists(folder: Path, names: list[str], shown: np.ndarray, people: list[int]) -> None:
    """The three lists as they are published."""
    rows = [
        f"{name} " + " ".join(f"{1 if has else -1:2d}" for has in row)
        for name, row in zip(names, shown, strict=True)
    ]
    (folder / "list_attr_celeba.txt").write_text(
        "\n".join([str(len(names)), " ".join(NAMES) + " ", *rows]) + "\n"
    )
    (folder / "identity_CelebA.txt").write_text(
        "".join(f"{name} {person}\n" for name, person in zip(names, people, strict=True))
    )
    kinds = [0 if i < 0.6 * len(names) else 1 if i < 0.8 * len(names) else 2 for i in range(len(names))]
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{name} {kind}\n" for name, kind in zip(names, kinds, strict=True))
    )


def publish(folder: Path, people: int, pictures: int, side: int, variants: int = 1) -> Path:
    """Rendered faces as CelebA is published: aligned pictures of 178 x 218 in an archive, and the lists.

    Each face is drawn `side` pixels wide, and pasted in several variants, which differ in place and
    brightness.
    """
    rng, names, shown, who = np.random.default_rng(0), [], [], []
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for i in range(people * pictures):
            picture = picture_of(5, i // pictures, i % pictures)
            face = Image.fromarray(render(picture, side)).resize((148, 148))
            has = {ours: picture.scores[pubfig().index[theirs]] > 0 for ours, theirs in SAME.items()}
            for k in range(variants):
                image, file, name = Image.new("RGB", (178, 218)), io.BytesIO(), f"{len(names) + 1:06d}.jpg"
                image.paste(ImageEnhance.Brightness(face).enhance(1 - k / 30), (15 + k % 3, 35 + k % 2))
                image.save(file, "JPEG", quality=95)
                archive.writestr(f"img_align_celeba/{name}", file.getvalue())
                names.append(name)
                shown.append([has.get(attribute, rng.random() < 0.3) for attribute in NAMES])
                who.append(100 + i // pictures)
    write_lists(folder, names, np.array(shown), who)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A dozen people."""
    return publish(tmp_path_factory.mktemp("celeba"), PEOPLE, PICTURES, 148)


@pytest.fixture
def copied(published, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(published, tmp_path / "celeba"))


def test_forty_attributes_are_in_heads_that_exclude_each_other_where_they_do():
    assert len(CELEBA.attributes.names) == 40
    assert CELEBA.attributes.head_of("Gray_Hair").attributes == (
        "Black_Hair",
        "Blond_Hair",
        "Brown_Hair",
        "Gray_Hair",
    )
    assert CELEBA.attributes.parse("no beard, Goatee, mouth slightly open") == [
        "No_Beard",
        "Goatee",
        "Mouth_Slightly_Open",
    ]
    with pytest.raises(UserError, match="'Gray_Hair' and 'Blond_Hair' are classes of one head"):
        CELEBA.attributes.parse("Gray Hair,Blond Hair")
    with pytest.raises(UserError, match="unknown attribute 'Sunglasses'; did you mean Eyeglasses"):
        CELEBA.attributes.parse("Sunglasses")


def test_the_lists_say_who_is_in_a_picture_and_what_it_shows(published):
    faces = read_faces(published, CELEBA)
    assert len(faces.paths) == PEOPLE * PICTURES
    assert faces.people[:4].tolist() == ["100", "100", "100", "101"]
    assert set(faces.scores.ravel()) == {-1, 1}
    male = [
        picture_of(5, i // PICTURES, i % PICTURES).scores[pubfig().index["Male"]] > 0
        for i in range(PEOPLE * PICTURES)
    ]
    assert (faces.scores[:, CELEBA.attributes.index["Male"]] > 0).tolist() == male
    assert faces.split is None


def test_without_identities_each_picture_is_a_person_and_the_published_partition_is_used(copied):
    (copied / "identity_CelebA.txt").unlink()
    faces = read_faces(copied, CELEBA)
    assert len(set(faces.people)) == PEOPLE * PICTURES
    assert [int((faces.split == name).sum()) for name in ("train", "val", "test")] == [22, 7, 7]
    (copied / "list_eval_partition.txt").unlink()
    assert read_faces(copied, CELEBA).split is None


def test_a_folder_of_pictures_and_the_folders_of_the_download_are_read_alike(copied):
    in_archive = read_faces(copied, CELEBA)
    with zipfile.ZipFile(copied / "img_align_celeba.zip") as archive:
        archive.extractall(copied / "Img")
    (copied / "img_align_celeba.zip").unlink()
    (copied / "Anno").mkdir()
    for name in ("list_attr_celeba.txt", "identity_CelebA.txt"):
        (copied / name).rename(copied / "Anno" / name)
    in_folder = read_faces(copied, CELEBA)
    assert (in_folder.people == in_archive.people).all()
    one, other = (
        read_image(faces.root / faces.paths[3], 96, faces.crop) for faces in (in_archive, in_folder)
    )
    assert (one == other).all()


def test_an_archive_becomes_lmdbs_with_the_heads_of_celeba(published, tmp_path):
    steps = Steps({"dataset": "celeba", "root": published}, tmp_path)
    database = FaceDatabase.open(steps.made("lmdb"))
    assert database.attributes == CELEBA.attributes
    assert database.labels.shape == (27, 36), "a quarter of the people is kept for the judges"
    assert database.model.attributes.n_classes == 76
    faces = read_faces(published, CELEBA)
    (row,) = np.flatnonzero(
        (faces.people == database.people[0]) & (faces.scores == database.scores[0]).all(axis=1)
    )[:1]
    assert (
        next(iter(database.images([0]))) == read_image(faces.root / faces.paths[row], 96, CELEBA.crop)
    ).all()


def test_an_archive_of_thousands_becomes_a_face_and_its_reading(weights, tmp_path):
    """From a net that was finetuned on the heads of others, in a tenth of an epoch."""
    (tmp_path / "celeba").mkdir()
    root = publish(tmp_path / "celeba", MANY, DRAWN, 64, VARIANTS)
    small = {
        **SMALL,
        "dataset": "celeba",
        "root": root,
        "weights": weights,
        "epochs": 0.1,
        "preset": "eigenfaces",
        "eigenface_images": 200,
        "eigenfaces": 10,
    }
    steps = Steps(small, tmp_path)
    assert len(FaceDatabase.open(steps.made("lmdb")).split) == 0.75 * MANY * DRAWN * VARIANTS == 1800
    wanted = steps.attributes.ordered(steps.attributes.parse("Wearing Hat,!Smiling,Blond Hair:1.5"))
    faces = steps.varied(sets=[wanted]).made("generated")
    assert (faces / "000.png").exists()
    assert pd.read_csv(faces / "reading.csv")["attribute"].tolist() == [
        "Blond_Hair",
        "Smiling",
        "Wearing_Hat",
    ]
    assert len(pd.read_csv(steps.made("scores") / "heads.csv").query("split == 'train'")) == 36


FULL = OSError(28, "No space left on device")


def of_a_full_disk() -> UserError:
    error = UserError("cannot write")
    error.__cause__ = FULL
    return error


@pytest.mark.parametrize(
    "stop",
    [KeyboardInterrupt(), FULL, of_a_full_disk()],
    ids=["Ctrl-C", "full disk", "full disk, as files says it"],
)
def test_lmdbs_are_the_same_whether_their_making_was_interrupted(published, tmp_path, monkeypatch, stop):
    """Images are committed five at a time; it stops in the third five."""
    monkeypatch.setattr(lmdbs, "COMMIT", 5 * 3 * 92**2)
    faces, folders = read_faces(published, CELEBA), [tmp_path / "whole", tmp_path / "resumed"]
    for folder in folders:
        folder.mkdir()
    lmdbs.build_lmdbs(faces, MODELS["mini"], Database(), 1, folders[0], ALONE)
    read, calls = lmdbs.cut_images, []

    def failing(*arguments):
        for i, image in enumerate(read(*arguments)):
            if i == 12:
                raise stop
            yield image

    monkeypatch.setattr(lmdbs, "cut_images", failing)
    with pytest.raises(type(stop)):
        lmdbs.build_lmdbs(faces, MODELS["mini"], Database(), 1, folders[1], ALONE)

    def counted(faces, rows, frame):
        calls.append(len(rows))
        return read(faces, rows, frame)

    monkeypatch.setattr(lmdbs, "cut_images", counted)
    lmdbs.build_lmdbs(faces, MODELS["mini"], Database(), 1, folders[1], ALONE)
    assert calls[0] == 30 - 10
    whole, resumed = ({path.name for path in folder.iterdir()} for folder in folders)
    assert whole == resumed
    for name in ("train_images", "train_labels", "val_images", "test_labels"):
        one, other = (records(folder / name) for folder in folders)
        assert one == other
    assert (folders[0] / "mean.npy").read_bytes() == (folders[1] / "mean.npy").read_bytes()


def records(path: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def edit(name: str, old: str, new: str):
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def cut_archive(folder: Path) -> None:
    data = (folder / "img_align_celeba.zip").read_bytes()
    (folder / "img_align_celeba.zip").write_bytes(data[: len(data) // 2])


def archive_with(name: str, data: bytes):
    def change(folder: Path) -> None:
        with zipfile.ZipFile(folder / "img_align_celeba.zip") as old:
            members = {member: old.read(member) for member in old.namelist()}
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as new:
            for member, content in members.items():
                if data or not member.endswith(name):
                    new.writestr(member, data if member.endswith(name) else content)

    return change


def small_picture(folder: Path) -> None:
    Image.new("RGB", (100, 100)).save(folder / "small.jpg")
    archive_with("000003.jpg", (folder / "small.jpg").read_bytes())(folder)


ATTRIBUTES = "list_attr_celeba.txt"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda folder: (folder / ATTRIBUTES).unlink(), f"{ATTRIBUTES} does not exist; set ROOT"),
        (
            lambda folder: (folder / "img_align_celeba.zip").unlink(),
            "img_align_celeba does not exist; set ROOT",
        ),
        (lambda folder: (folder / ATTRIBUTES).write_bytes(b"\xff\xfe\x00"), "is not a text"),
        (lambda folder: (folder / ATTRIBUTES).write_text(""), "does not begin with the number"),
        (edit(ATTRIBUTES, "36", "37"), "says 37 pictures in its first line and has 36"),
        (edit(ATTRIBUTES, "36", "35"), "says 35 pictures in its first line and has more"),
        (edit(ATTRIBUTES, "Goatee", "Goat"), "has no attribute Goatee"),
        (
            edit(ATTRIBUTES, "000002.jpg ", "000002.jpg  1 "),
            "line 4: expected a picture and 40 times 1 or -1",
        ),
        (edit(ATTRIBUTES, "000002.jpg ", "000002.jpg 0"), "line 4: expected"),
        (edit(ATTRIBUTES, "000002.jpg", "000001.jpg"), "lists 000001.jpg twice"),
        (edit(ATTRIBUTES, "000002.jpg", "100002.jpg"), "100002.jpg"),
        (
            edit("identity_CelebA.txt", "000002.jpg 100", "000002.jpg"),
            "line 2: expected a picture and a number",
        ),
        (edit("identity_CelebA.txt", "000002.jpg 100\n", ""), "has no row for 000002.jpg"),
        (cut_archive, "is no readable zip archive"),
        (lambda folder: (folder / "img_align_celeba.zip").write_bytes(b"PK"), "is no readable zip archive"),
        (archive_with("000003.jpg", b""), "000003.jpg does not exist; list_attr_celeba.txt lists it"),
        (archive_with("000003.jpg", b"<html>"), "000003.jpg is not a readable image"),
        (small_picture, "000003.jpg is 100 x 100 pixels, not at least 163 x 183"),
    ],
)
def test_what_is_wrong_with_lists_or_archive_is_named_and_nothing_is_made(copied, tmp_path, change, part):
    change(copied)
    store = tmp_path / "store"
    with pytest.raises(UserError) as raised:
        steps = Steps({"dataset": "celeba", "root": copied}, store)
        steps.made("lmdb")
        steps.made("judge_lmdb")
    assert part in str(raised.value)
    assert not list(store.glob("celeba-mini/lmdb-*/manifest.json")) or "000003" in part


@pytest.mark.parametrize(("number", "part"), [("3", "has the number 3"), ("x", "has the number x")])
def test_a_partition_of_other_numbers_is_refused(copied, number, part):
    (copied / "identity_CelebA.txt").unlink()
    edit("list_eval_partition.txt", "000002.jpg 0", f"000002.jpg {number}")(copied)
    with pytest.raises(UserError, match=part):
        read_faces(copied, CELEBA)


def test_celeba_without_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no download for DATASET=celeba; set ROOT"):
        Steps({"dataset": "celeba"}, tmp_path).made("lmdb")
