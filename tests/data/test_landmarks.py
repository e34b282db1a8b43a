"""Landmarks from a table, or found in pictures, and what becomes of faces that have none."""

import csv
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data import shards
from attr2face.data.alignment import Frame
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import Faces, image_path
from attr2face.data.images import read_image, read_whole
from attr2face.data.landmarks import (
    COLUMNS,
    align_photograph,
    find_landmarks,
    landmarks_in,
    with_landmarks,
    write_found,
)
from attr2face.data.places import pictures_at
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.steps import Steps
from attr2face.store import artefacts_in
from tests.conftest import attr2face, says, succeed
from tests.data.rendered import as_landmarks, moved_face
from tests.data.test_celeba import write_lists

NUMBERS = "30,40 60,41 45,60 33,80 58,79".replace(" ", ",")
LIST = (
    f"2\n{' '.join(COLUMNS)}\n000001.jpg 30 40 60 41 45 60 33 80 58 79\n000002.jpg 31 42 61 40 45 61 33 81 "
    "58 78\n"
)


def faces_of(*names: str, root: Path = Path()) -> Faces:
    people = np.array([f"person {i}" for i in range(len(names))])
    return Faces(
        root, list(names), people, np.zeros((len(names), 73), np.float32), pubfig(), eyes=(0.32, 0.46)
    )


def table(folder: Path, text: str) -> Path:
    path = folder / "landmarks.csv"
    path.write_text(text)
    return path


def bright(picture: np.ndarray) -> np.ndarray:
    """A finder for tests: eyes left and right of the brightest pixel's row and column, none in a dark
    picture.
    """
    if picture.max() < 100:
        return np.full((5, 2), np.nan)
    y, x = np.unravel_index(picture[..., 0].argmax(), picture.shape[:2])
    return as_landmarks(np.array([(x - 10.0, y), (x + 10.0, y)]))


@pytest.fixture
def dotted(tmp_path) -> Faces:
    """Five pictures with one bright pixel each, the third without any."""
    for i in range(5):
        pixels = np.zeros((40, 50, 3), np.uint8)
        pixels[20 + i, 25 - i] = 255 * (i != 2)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return faces_of(*(f"{i}.png" for i in range(5)), root=tmp_path)


def test_celebas_list_gives_five_points(tmp_path):
    found = landmarks_in(table(tmp_path, LIST), faces_of("000002.jpg", "000001.jpg", "000003.jpg"))
    assert found[0].tolist() == [[31, 42], [61, 40], [45, 61], [33, 81], [58, 78]]
    assert found[1, 1].tolist() == [60, 41]
    assert np.isnan(found[2]).all(), "the list has no row for it"


@pytest.mark.parametrize("header", ["", f"file,{','.join(COLUMNS)}\n", f"picture,{','.join(COLUMNS)}\n"])
def test_a_csv_gives_them_by_path_or_by_the_files_name(tmp_path, header):
    text = f"{header}lfw/A_B/A_B_0001.jpg,{NUMBERS}\nA_B_0002.jpg,1.5,2,3.5,4,,,,,,\nA_B_0003.jpg,,,,,,,,,,\n"
    found = landmarks_in(
        table(tmp_path, text), faces_of(*(str(image_path(Path("lfw"), "A B", k)) for k in (1, 2, 3)))
    )
    assert found[0, 4].tolist() == [58, 79]
    assert found[1, :2].tolist() == [[1.5, 2], [3.5, 4]]
    assert np.isnan(found[1, 2:]).all()
    assert np.isnan(found[2]).all()


def test_a_files_name_that_several_pictures_have_is_of_none_but_the_one_with_this_path(tmp_path):
    text = f"1.jpg,{NUMBERS}\nada/1.jpg,1.5,2,3.5,4,,,,,,\n"
    found = landmarks_in(table(tmp_path, text), faces_of("1.jpg", "ada/1.jpg", "bob/1.jpg"))
    assert found[0, 0].tolist() == [30, 40]
    assert found[1, 0].tolist() == [1.5, 2]
    assert np.isnan(found[2]).all()


BROKEN = {
    f"a.jpg,{NUMBERS},7\n": "line 1: expected a file and ten numbers",
    f"a.jpg,{NUMBERS}\n\nb.jpg,1,2,3\n": "line 3: expected a file and ten numbers",
    f"a.jpg,{NUMBERS.replace('60', 'sixty', 1)}\n": "line 1: expected a file and ten numbers",
    f"a.jpg,{NUMBERS.replace('60', 'inf', 1)}\n": "line 1: an eye or a coordinate is missing",
    f"a.jpg,{NUMBERS.replace('60', '', 1)}\n": "line 1: an eye or a coordinate is missing",
    "a.jpg,1,2,,,,,,,,\n": "line 1: an eye or a coordinate is missing",
    "a.jpg,,,,,45,60,33,80,58,79\n": "line 1: an eye or a coordinate is missing",
    "a.jpg,30,40,30,40,45,60,33,80,58,79\n": "line 1: both eyes are at one point",
    f"a.jpg,{NUMBERS}\na.jpg,{NUMBERS}\n": "line 2: a.jpg is listed twice",
    f"c.jpg,{NUMBERS}\n": "has the eyes of no picture, such as a.jpg",
    "": "has the eyes of no picture, such as a.jpg",
    "a.jpg,60,41,30,40,45,60,58,79,33,80\n": "has most left eyes on the right",
    LIST.replace("2\n", "3\n", 1): "says 3 pictures in its first line and has 2",
    LIST.replace("lefteye_x", "left_x"): "line 2: expected lefteye_x lefteye_y",
    LIST.replace(" 61 40", " 61"): "line 4: expected a file and ten numbers",
    "7\n": "line 2: expected lefteye_x",
}


@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_what_is_wrong_with_a_table_is_named(tmp_path, text):
    with pytest.raises(UserError) as raised:
        landmarks_in(table(tmp_path, text), faces_of("a.jpg", "b.jpg"))
    assert str(raised.value).startswith(str(tmp_path / "landmarks.csv"))
    assert BROKEN[text] in str(raised.value)


def test_what_is_no_table_is_named(tmp_path):
    (tmp_path / "picture.jpg").write_bytes(bytes(range(256)))
    for path, part in (
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "picture.jpg", "is not a text"),
    ):
        with pytest.raises(UserError, match=part) as raised:
            landmarks_in(path, faces_of("a.jpg"))
        assert str(path) in str(raised.value)


def test_what_was_found_is_written_as_a_table_and_what_was_not_is_listed(dotted, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    found = find_landmarks(dotted, bright, Machine(1), out)
    write_found(dotted, found, out)
    assert sorted(path.name for path in out.iterdir()) == ["landmarks.csv", "not_found.csv", "sheet.png"]
    assert (out / "not_found.csv").read_text().split() == ["file", "2.png"]
    assert "eyes were found in 4 of 5 pictures" in capsys.readouterr().out
    again = landmarks_in(out / "landmarks.csv", dotted)
    assert np.array_equal(again, found, equal_nan=True)
    assert again[1, :2].tolist() == [[14, 21], [34, 21]]


@pytest.mark.parametrize(("unaligned", "paths"), [("keep", "01234"), ("drop", "0134")])
def test_faces_without_eyes_are_kept_or_left_out_and_counted(dotted, tmp_path, capsys, unaligned, paths):
    rows = "".join(f"{i}.png,10,10,20,10,,,,,,\n" for i in (0, 1, 3, 4))
    faces = with_landmarks(dotted, table(tmp_path, rows), unaligned)
    assert faces.paths == [f"{i}.png" for i in paths]
    assert len(faces.landmarks) == len(faces.people) == len(paths)
    assert (
        f"1 pictures without eyes are {'used unaligned' if unaligned == 'keep' else 'left out'} "
        f"(UNALIGNED={unaligned})" in capsys.readouterr().out
    )


def test_any_number_of_processes_finds_the_same_in_a_folder_and_in_an_archive(dotted, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 2)
    expected = find_landmarks(dotted, bright, Machine(1), tmp_path)
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for name in dotted.paths:
            archive.write(tmp_path / name, f"inside/{name}")
    zipped = replace(dotted, root=pictures_at(tmp_path / "pictures.zip")[0])
    for faces in (dotted, zipped):
        assert find_landmarks(faces, bright, Machine(2), tmp_path).tobytes() == expected.tobytes()


def test_an_interrupted_search_goes_on(dotted, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 2)
    looked_at = []

    def interrupted(picture):
        looked_at.append(picture)
        if len(looked_at) == 4:
            raise KeyboardInterrupt
        return bright(picture)

    with pytest.raises(KeyboardInterrupt):
        find_landmarks(dotted, interrupted, Machine(1), tmp_path)
    found = find_landmarks(dotted, interrupted, Machine(1), tmp_path)
    assert len(looked_at) == 4 + 3, "the first two were kept"
    assert found.tobytes() == find_landmarks(dotted, bright, Machine(1), tmp_path).tobytes()
    assert not list(tmp_path.glob("*.npz"))


def test_a_strip_is_not_looked_at(tmp_path):
    Image.new("RGB", (500, 2), "white").save(tmp_path / "0.png")
    assert np.isnan(find_landmarks(faces_of("0.png", root=tmp_path), bright, Machine(1), tmp_path)).all()


def test_a_broken_picture_is_named(dotted, tmp_path):
    (tmp_path / "3.png").write_bytes(b"none")
    with pytest.raises(UserError, match=r"3\.png is not a readable image"):
        find_landmarks(dotted, bright, Machine(1), tmp_path)


def test_a_photograph_without_eyes_is_used_as_it_is_or_refused(dotted, tmp_path, capsys):
    photo, out, frame = tmp_path / "2.png", tmp_path / "out.png", Frame((0.32, 0.46), 88, 4)
    align_photograph(photo, bright, frame, "keep", out)
    assert (read_image(out, 92) == read_image(photo, 92)).all()
    assert "no eyes were found in" in capsys.readouterr().out
    with pytest.raises(UserError, match="shows no eyes that are found"):
        align_photograph(photo, bright, frame, "drop", out)


# Through the pipeline.

PEOPLE = 16


@pytest.fixture(scope="session")
def askew(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """Rendered faces as a folder of LFW, turned and shifted, the first one hidden; and where their eyes
    are.
    """
    root, eyes = tmp_path_factory.mktemp("askew"), []
    with (root / "lfw_attributes.txt").open("w") as file:
        file.write("# scores\n" + "\t".join(["#", "person", "imagenum", *pubfig().names]) + "\n")
        for person in range(PEOPLE):
            image, of_image = moved_face(person)
            path = image_path(root / "lfw", f"Person {person}", 1)
            path.parent.mkdir(parents=True)
            Image.fromarray(image if person else np.full_like(image, 60)).save(path, quality=95)
            file.write("\t".join([f"Person {person}", "1", *["1" if person % 2 else "-1"] * 73]) + "\n")
            eyes.append(of_image)
    return root, np.array(eyes)


def test_a_dataset_is_aligned_from_its_pictures_to_its_lmdbs(askew, tmp_path):
    root, eyes = askew
    given = {"dataset": "lfw", "root": root, "align": "1"}
    printed = succeed("align", store=tmp_path, **given)
    steps = Steps(given, tmp_path)
    folder = steps["found_landmarks"].path
    assert str(folder / "sheet.png") in printed
    with (folder / "not_found.csv").open(newline="") as file:
        missing = [row[0] for row in csv.reader(file)][1:]
    assert str(image_path(Path("lfw"), "Person 0", 1)) in missing
    assert len(missing) < PEOPLE / 2
    printed = succeed("lmdb", store=tmp_path, **given)
    assert "are used unaligned (UNALIGNED=keep)" in printed
    database, frame, shown = (
        FaceDatabase.open(steps["lmdb"].path),
        Frame(dataset_of("lfw").eyes, 88, 8),
        read_faces(root, dataset_of("lfw")),
    )
    found, errors = landmarks_in(folder / "landmarks.csv", shown), []
    for image, person in zip(database.images(range(len(database.people))), database.people, strict=True):
        number = shown.people.tolist().index(person)
        picture = root / shown.paths[number]
        if shown.paths[number] in missing:
            assert (image == read_image(picture, 96)).all()
        else:
            assert (image == frame.aligned(read_whole(picture), found[number])).all()
            errors.append(np.hypot(*(found[number, :2] - eyes[number]).T).max())
    assert np.median(errors) < 4
    dropped = Steps({**given, "unaligned": "drop"}, tmp_path)
    dropped.made("lmdb")
    assert dropped["found_landmarks"].key == steps["found_landmarks"].key
    assert not any(name in (dropped["lmdb"].path / "index.csv").read_text() for name in missing)
    assert len(database.people) == 12, "a quarter of the people is kept for the judges"


def test_celebas_own_list_is_used_where_it_is(tmp_path):
    root, names, rows = tmp_path / "celeba", [f"{i + 1:06d}.jpg" for i in range(12)], []
    (root / "img_align_celeba").mkdir(parents=True)
    for i, name in enumerate(names):
        image, eyes = moved_face(i, 178)
        Image.fromarray(image).resize((178, 218)).save(root / "img_align_celeba" / name)
        points = [*(eyes * (1, 218 / 178)).ravel().round().astype(int), 89, 130, 70, 160, 110, 160]
        rows.append(" ".join(map(str, [name, *points])))
    write_lists(root, names, np.random.default_rng(0).random((12, 40)) < 0.5, list(range(12)))
    (root / "Anno").mkdir()
    (root / "Anno" / "list_landmarks_align_celeba.txt").write_text(
        "\n".join(["12", " ".join(COLUMNS), *rows]) + "\n"
    )
    given = {"dataset": "celeba", "root": root, "align": "1"}
    aligned, plain = (Steps({**given, "align": align}, tmp_path / "store") for align in (1, 0))
    assert plain["lmdb"].inputs["alignment"] is None
    folder = aligned.made("found_landmarks")
    assert (
        (folder / "landmarks.csv")
        .read_text()
        .splitlines()[1]
        .startswith(f"{names[0]},{float(rows[0].split()[1]):.2f}")
    )
    assert (aligned.made("lmdb") / "mean.npy").read_bytes() != (plain.made("lmdb") / "mean.npy").read_bytes()
    assert aligned["lmdb"].path != plain["lmdb"].path
    detected = Steps({**given, "detector": tmp_path}, tmp_path / "store")
    assert aligned["found_landmarks"].inputs["landmark_table"].path.name == "list_landmarks_align_celeba.txt"
    assert detected["found_landmarks"].inputs["landmark_table"] is None


def test_what_cannot_be_aligned_is_said_in_a_sentence(askew, tmp_path):
    root, _ = askew
    given = {"dataset": "lfw", "root": root, "store": tmp_path}
    says(attr2face("align", **given), "ALIGN=no aligns nothing")
    says(attr2face("align", align=1, store=tmp_path), "rendered faces are drawn in place", "DATASET=lfw")
    says(
        attr2face("lmdb", **given, align=1, detector=root, landmarks=root / "x.csv"),
        "DETECTOR=",
        "LANDMARKS=",
        "leave one out",
    )
    says(attr2face("align", **given, align=1, detector=root), "det1.prototxt does not exist", "set DETECTOR")
    says(
        attr2face("align", **given, align=1, landmarks=root / "x.csv"),
        "x.csv does not exist",
        "set LANDMARKS",
    )
    assert not list(tmp_path.glob("lfw-mini/*"))


def test_a_photograph_is_aligned_for_nets_of_rendered_faces_without_training_others(tmp_path):
    image, eyes = moved_face(3, 300)
    Image.fromarray(image).save(tmp_path / "me.png")
    steps = Steps({"photo": tmp_path / "me.png", "align": "1"}, tmp_path / "store")
    plain = Steps({"photo": tmp_path / "me.png"}, tmp_path / "store")
    assert steps["lmdb"].key == plain["lmdb"].key
    made_from = [dict(artefacts_in(some["inverted"].inputs)) for some in (steps, plain)]
    photographs = [inputs.pop("photo") for inputs in made_from]
    assert photographs[0].key != photographs[1].key
    assert steps["inverted"].key != plain["inverted"].key
    one, other = ({name: step.key for name, step in inputs.items()} for inputs in made_from)
    assert one == other
    picture = read_image(steps["photo"].made() / "photograph.png", 92)
    wanted = Frame(dataset_of("synthetic").eyes, 88, 4).aligned(image, as_landmarks(eyes))
    assert np.abs(picture[20:70, 20:70].astype(int) - wanted[20:70, 20:70]).mean() < 20
