"""Landmarks of cut pictures: from tables, from the renderer, from finders; who looks ahead."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data import shapes, shards
from attr2face.data.alignment import Frame, cut_images, cut_points
from attr2face.data.faces import Faces
from attr2face.data.landmark_tables import COLUMNS, POINTS, points_in
from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.data.render.points import landmarks_of
from attr2face.data.render.pose import pose_of
from attr2face.data.shapes import (
    Pictures,
    found_in,
    one_by_one,
    read_from,
    read_landmarks,
    write_landmarks,
    write_looks,
)
from attr2face.errors import PictureError, UserError
from attr2face.parallel import Machine

HEADER = f"file,{','.join(COLUMNS)}"
FIVE = "30,40,60,41,45,60,33,80,58,79"
FRAME = Frame((0.32, 0.46), 88, 8)


def faces_of(*names: str, root: Path = Path(), **more: object) -> Faces:
    scores = np.zeros((len(names), 73), np.float32)
    return Faces(root, list(names), np.array(names), scores, pubfig(), eyes=(0.32, 0.46), **more)


def dotted(path: Path, size: tuple[int, int], dot: tuple[int, int]) -> None:
    """A dark picture with a bright square of 5 pixels around a point."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[dot[1] - 2 : dot[1] + 3, dot[0] - 2 : dot[0] + 3] = 255
    Image.fromarray(pixels).save(path)


def brightest(picture: np.ndarray) -> np.ndarray:
    """The middle of what is bright: (2,)."""
    weight = picture.astype(float).sum(axis=2)
    weight[weight < 100] = 0
    y, x = np.indices(weight.shape)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


# Tables.


def test_a_table_may_have_any_number_of_further_points(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        f"{HEADER},chin_x,chin_y,left_ear_x,left_ear_y\na.jpg,{FIVE},44,99,,\nb.jpg,{FIVE},44,98,9,50\n"
    )
    read = points_in(path, faces_of("a.jpg", "b.jpg"))
    assert read.names == [*POINTS, "chin", "left_ear"]
    assert read.places[1, 5:].tolist() == [[44, 98], [9, 50]]
    assert np.isnan(read.places[0, 6]).all()


SEVEN = f"{HEADER},chin_x,chin_y\n"
BROKEN = {
    "four points": (f"a.jpg,{FIVE[:23]}\n", "line 1: expected a file and ten numbers"),
    "an odd count": (f"a.jpg,{FIVE},7\n", "line 1: expected a file and ten numbers"),
    "more points without a header": (f"a.jpg,{FIVE},7,8\n", "line 1: expected a file and ten numbers"),
    "a row that is short": (f"{SEVEN}a.jpg,{FIVE}\n", "line 2: expected a file and 12 numbers"),
    "a row that is long": (f"{SEVEN}a.jpg,{FIVE},1,2,3\n", "line 2: expected a file and 12 numbers"),
    "text": (f"{SEVEN}a.jpg,{FIVE},low,99\n", "line 2: expected a file and 12 numbers"),
    "a point without y": (f"{SEVEN}a.jpg,{FIVE},44,\n", "line 2: an eye or a coordinate is missing"),
    "a point without x": (f"{SEVEN}a.jpg,{FIVE},,99\n", "line 2: an eye or a coordinate is missing"),
    "one NaN": (f"{SEVEN}a.jpg,{FIVE},nan,99\n", "line 2: an eye or a coordinate is missing"),
    "infinity": (f"{SEVEN}a.jpg,{FIVE},inf,99\n", "line 2: an eye or a coordinate is missing"),
    "minus infinity": (f"{SEVEN}a.jpg,{FIVE},44,-inf\n", "line 2: an eye or a coordinate is missing"),
    "points without eyes": (f"{SEVEN}a.jpg,,,,,45,60,33,80,58,79,44,99\n", "line 2: an eye or a coordinate"),
    "eyes at one point": (
        f"{SEVEN}a.jpg,30,40,30,40,45,60,33,80,58,79,44,99\n",
        "line 2: both eyes are at one",
    ),
    "a row twice": (f"{SEVEN}a.jpg,{FIVE},1,2\na.jpg,{FIVE},1,2\n", "line 3: a.jpg is listed twice"),
    "a column twice": (f"{SEVEN[:-1]},chin_x,chin_y\n", "line 1: chin is named twice"),
    "an eye twice": (f"{HEADER},nose_x,nose_y\n", "line 1: nose is named twice"),
    "a header without y": (f"{HEADER},chin_x\n", "line 1: a point lacks its name, x or y"),
    "y before x": (f"{HEADER},chin_y,chin_x\n", "line 1: a point lacks its name, x or y"),
    "x and y of two points": (f"{HEADER},chin_x,ear_y\n", "line 1: a point lacks its name, x or y"),
    "a point without a name": (f"{HEADER},_x,_y\n", "line 1: a point lacks its name, x or y"),
    "other names": (f"{HEADER},chin x,chin y\n", "line 1: a point lacks its name, x or y"),
    "columns in another order": (
        "file,righteye_x,righteye_y,lefteye_x,lefteye_y\n",
        "line 1: expected the columns",
    ),
    "no column of the nose": (f"{SEVEN.replace('nose_x,nose_y,', '')}", "line 1: expected the columns"),
    "semicolons": (f"{HEADER.replace(',', ';')}\na.jpg;30;40\n", "line 1: expected a file and ten numbers"),
    "tabs": (f"{HEADER}\na.jpg\t{FIVE}\n".replace(",", "\t"), "line 1: expected a file and ten numbers"),
    "decimal commas": ("a.jpg,30,5,40,5,60,5,41,5,45,5,60,5\n", "line 1: expected a file and ten numbers"),
    "nothing": ("", "has the eyes of no picture"),
    "a header alone": (SEVEN, "has the eyes of no picture"),
    "other pictures": (f"{SEVEN}c.jpg,{FIVE},1,2\n", "has the eyes of no picture"),
    "left eyes on the right": (
        f"{SEVEN}a.jpg,60,41,30,40,45,60,58,79,33,80,1,2\n",
        "most left eyes on the right",
    ),
    "no complete face": (f"{SEVEN}a.jpg,{FIVE},,\n", "has no picture with all of its 6 points"),
    "points of a larger picture": (
        "a.jpg,300,400,600,410,450,600,330,800,580,790\n",
        "has eyes outside of the pictures, such as a.jpg",
    ),
    "a list with more": (f"1\n{' '.join(COLUMNS)} chin_x chin_y\n", "line 2: expected lefteye_x"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path, kind):
    text, part = BROKEN[kind]
    path = tmp_path / "points.csv"
    path.write_text(text)
    dotted(tmp_path / "a.jpg", (90, 110), (45, 55))
    with pytest.raises(UserError) as raised:
        read_from(path, faces_of("a.jpg", root=tmp_path), FRAME)
    said = str(raised.value)
    assert said.startswith(str(path))
    assert part in said
    assert ";" in said, "there is a remedy"
    assert "\n" not in said


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{SEVEN}a.jpg,{FIVE},44,99\n".replace("\n", "\r\n").encode())
    assert points_in(path, faces_of("a.jpg")).places[0, 5].tolist() == [44, 99]


def test_a_face_whose_eyes_are_not_in_its_picture_counts_as_not_found(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(f"a.jpg,{FIVE}\nb.jpg,{FIVE.replace('40,60', '400,60').replace('41,', '410,')}\n")
    for name in ("a.jpg", "b.jpg"):
        dotted(tmp_path / name, (90, 110), (45, 55))
    _, points = read_from(path, faces_of("a.jpg", "b.jpg", root=tmp_path), FRAME)
    assert np.isnan(points).all(axis=(1, 2)).tolist() == [False, True]


# From the whole picture to the one that is cut.


@pytest.mark.parametrize(
    ("crop", "landmarks"),
    [
        ((), False),
        ("square", False),
        ((20, 30, 140, 150), False),
        ("square", True),
        ((), True),
    ],
)
@pytest.mark.parametrize("side", [48, 96, 230])
def test_points_move_as_the_picture_does(tmp_path, crop, landmarks, side):
    dot = (70, 95)
    dotted(tmp_path / "a.png", (200, 160), dot)
    faces = faces_of("a.png", root=tmp_path, crop=crop)
    if landmarks:
        five = np.array([(60.0, 70), (100, 80), (76, 96), (60, 112), (92, 120)])
        faces = replace(faces, landmarks=five[None])
    frame = FRAME.scaled(side)
    (picture,) = cut_images(faces, [0], frame)
    (place,) = cut_points(faces, 0, frame, np.array([dot], float))
    assert picture.shape == (side, side, 3)
    assert np.abs(brightest(picture) - place).max() < 0.35, "pixels"


def test_points_follow_a_photograph_that_was_taken_sideways(tmp_path):
    """Tables are of pictures as they are shown."""
    dotted(tmp_path / "up.png", (80, 120), (30, 90))
    lying = Image.open(tmp_path / "up.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "a.png", exif=exif)
    faces = faces_of("a.png", root=tmp_path, crop="square")
    (picture,) = cut_images(faces, [0], FRAME)
    (place,) = cut_points(faces, 0, FRAME, np.array([(30.0, 90.0)]))
    assert np.abs(brightest(picture) - place).max() < 0.5


def test_a_picture_that_is_missing_or_broken_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for name, part in (("none.jpg", "does not exist"), ("broken.jpg", "is not a readable image")):
        with pytest.raises(PictureError, match=part):
            cut_points(faces_of(name, root=tmp_path), 0, FRAME, np.zeros((5, 2)))


# The renderer.


def test_drawn_eyes_are_dark_at_their_points_for_heads_turned_both_ways():
    size, darker, yaws = 160, [], []
    for person in range(40):
        picture = picture_of(0, person, 1)
        if (
            picture.scores[pubfig().index["Sunglasses"]] > 0
            or picture.scores[pubfig().index["Eyes Open"]] < 0
        ):
            continue
        grey = render(picture, size).mean(axis=2)
        points = landmarks_of(picture, size)
        yaws.append(pose_of(picture)[0].yaw)
        for side in ("left", "right"):
            x, y = np.rint(points[f"{side}eye"]).astype(int)
            ring = grey[y - 12 : y + 13, x - 12 : x + 13]
            darker.append(grey[y - 1 : y + 2, x - 1 : x + 2].min() < ring.mean() - 15)
    assert min(yaws) < -0.05
    assert max(yaws) > 0.05
    assert np.mean(darker) > 0.95


def test_a_turned_head_has_its_nose_aside_and_its_outline_in_place():
    pictures = [picture_of(0, person, 1) for person in range(60)]
    yaw = np.array([pose_of(picture)[0].yaw for picture in pictures])
    points = [landmarks_of(picture, 92) for picture in pictures]
    names = list(points[0])
    places = np.array([list(of_one.values()) for of_one in points])
    assert names[:5] == list(POINTS)
    assert len(names) == 48
    turned = shapes.aside(places, "rendered", names)
    assert np.corrcoef(turned, yaw)[0, 1] > 0.98
    assert np.abs(turned[np.abs(yaw) < 0.01]).max() < 0.02


def test_points_of_a_face_keep_their_order_and_lie_in_the_picture():
    for person in range(30):
        p = landmarks_of(picture_of(1, person, 1), 92)
        assert all((place > -8).all() and (place < 100).all() for place in p.values()), person
        assert p["left_outer"][0] < p["left_inner"][0] < p["right_inner"][0] < p["right_outer"][0]
        assert p["left_ear"][0] < p["left_brow3"][0] < p["left_brow1"][0] < p["bridge"][0]
        downwards = (
            "crown",
            "hairline_middle",
            "bridge",
            "nose",
            "nose_base",
            "lip1",
            "lip2",
            "lip3",
            "lip4",
            "chin",
        )
        heights = [p[name][1] for name in downwards]
        assert heights == sorted(heights), person


# Finders.


def bright_five(picture: np.ndarray) -> np.ndarray:
    """Five points around the brightest spot, none in a dark picture."""
    if picture.max() < 100:
        return np.full((5, 2), np.nan)
    return brightest(picture) + np.array([(-10, 0), (10, 0), (1, 8), (-8, 20), (8, 20)])


def finder(pictures):
    return one_by_one(bright_five, pictures)


@pytest.fixture
def folder(tmp_path) -> Faces:
    """Seven pictures with a bright spot each, but for the third."""
    for i in range(7):
        dotted(tmp_path / f"{i}.png", (96, 96), (40 + 2 * i, 44))
    Image.new("RGB", (96, 96)).save(tmp_path / "2.png")
    return faces_of(*(f"{i}.png" for i in range(7)), root=tmp_path, crop="square")


def test_what_is_found_is_the_same_with_one_and_two_processes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 3)
    found = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        out.mkdir()
        found.append(found_in(folder, FRAME, finder, Machine(workers), out))
        assert not list(out.iterdir())
    assert found[0].shape == (7, 5, 2)
    np.testing.assert_array_equal(*found)
    assert np.isnan(found[0][2]).all()
    assert found[0][4, 0].tolist() == pytest.approx([38, 44], abs=0.1)


def test_an_interrupted_search_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 3)
    out = tmp_path / "out"
    out.mkdir()
    seen = []

    def interrupted(pictures):
        seen.append(len(pictures))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return finder(pictures)

    with pytest.raises(KeyboardInterrupt):
        found_in(folder, FRAME, interrupted, Machine(1), out)
    assert [file.name for file in out.iterdir()] == ["00000000.npz"]
    found = found_in(folder, FRAME, interrupted, Machine(1), out)
    assert seen == [3, 3, 3, 1], "the first three are not looked at again"
    np.testing.assert_array_equal(found, found_in(folder, FRAME, finder, Machine(1), out))


def test_a_face_of_which_a_point_is_unknown_counts_as_not_found():
    eyes_alone = np.array([(1.0, 1), (2, 1), (np.nan, np.nan), (1, 2), (2, 2)])
    assert np.isnan(one_by_one(lambda _: eyes_alone, [np.zeros((4, 4, 3))])).all()


# Who looks ahead.


def test_five_points_and_a_mesh_agree_on_how_far_a_nose_is_aside():
    five = np.array([[(30, 40), (60, 40), (48, 60), (33, 80), (57, 80)]], float)
    assert shapes.aside(five, "five") == pytest.approx([1.06 * 0.1])
    mesh = np.zeros((1, 468, 2))
    mesh[0, [234, 454, 1]] = [(20, 50), (70, 50), (48, 60)]
    assert shapes.aside(mesh, "mesh") == pytest.approx([3 / 50])
    turned = np.array([(0, 1), (-1, 0)])
    assert shapes.aside(five @ turned, "five") == pytest.approx(shapes.aside(five, "five")), "a tilted face"


def test_landmarks_are_read_as_they_were_written_and_shown(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    points = found_in(folder, FRAME, finder, Machine(1), out)
    points[5, 2] += (6, 0)
    write_landmarks(shapes.landmarks_of(folder, points, 96, "five", POINTS), out)
    read = read_landmarks(out)
    np.testing.assert_array_equal(read.points, points)
    assert (read.paths, read.side, read.kind) == (folder.paths, 96, "five")
    assert read.found.tolist() == [True, True, False, True, True, True, True]
    assert np.nanmedian(read.turned) == 0
    assert read.ahead(0.09).tolist() == [True, True, False, True, True, False, True]
    write_looks(Pictures(folder, FRAME, read), 0.09, out)
    with (out / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == folder.paths
    assert (rows[2]["found"], rows[2]["turned"], rows[2]["ahead"]) == ("0", "", "0")
    assert (rows[5]["found"], rows[5]["ahead"]) == ("1", "0")
    assert Image.open(out / "sheet.png").width > 8 * 192


def test_if_no_face_is_found_it_is_said(folder):
    with pytest.raises(UserError, match=r"no face is found in 7 pictures, such as 0.png; align them"):
        shapes.landmarks_of(folder, np.full((7, 5, 2), np.nan), 96, "five", POINTS)
