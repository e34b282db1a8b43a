"""The steps that have landmarks of all pictures, from each of their sources."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.data.render.points import landmarks_of
from attr2face.data.shapes import read_landmarks
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.settings import Settings
from attr2face.steps import Steps, appearance
from tests.conftest import succeed

RENDERED = {"people": 4, "pictures": 2}


@pytest.fixture
def folder(tmp_path):
    """A folder of six drawn faces as photographs, and a table of their points."""
    root = tmp_path / "mine"
    root.mkdir()
    points = [landmarks_of(picture_of(0, k, 1), 144) for k in range(6)]
    with (root / "attributes.csv").open("w") as file:
        file.write("file,person,Male\n" + "".join(f"{k}.png,p{k},{k % 2}\n" for k in range(6)))
    for k in range(6):
        Image.fromarray(render(picture_of(0, k, 1), 144)).save(root / f"{k}.png")
    with (tmp_path / "points.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", *(f"{name}_{axis}" for name in points[0] for axis in "xy")])
        table.writerows([f"{k}.png", *np.concatenate(list(points[k].values()))] for k in range(6))
    return root


def found(root, tmp_path, workers=1, **given):
    steps = Steps({"dataset": root, **given}, tmp_path / f"store{workers}", Machine(workers))
    return read_landmarks(steps.made("landmarks"))


def test_rendered_faces_have_the_renderers_points(tmp_path):
    landmarks = found("synthetic", tmp_path, **RENDERED)
    assert (landmarks.kind, landmarks.points.shape, landmarks.side) == ("rendered", (8, 48, 2), 92)
    places = np.array(list(landmarks_of(picture_of(Settings().seed, 1, 2), 92).values()))
    np.testing.assert_allclose(landmarks.points[3], places, atol=0.002)
    assert landmarks.ahead(0.09).sum() >= 6


def test_a_larger_frame_moves_the_points_with_the_picture(tmp_path):
    small, large = (found("synthetic", tmp_path, **RENDERED, frame=side) for side in (92, 184))
    np.testing.assert_allclose(large.points, 2 * small.points + 0.5, atol=1e-3)


def test_photographs_have_the_mesh_and_tables_their_own_points(folder, tmp_path):
    mesh = found(folder, tmp_path)
    table = found(folder, tmp_path, landmarks=tmp_path / "points.csv")
    assert (mesh.kind, mesh.points.shape) == ("mesh", (6, 468, 2))
    assert (table.kind, table.points.shape) == ("table", (6, 48, 2))
    assert mesh.found.all()
    apart = np.linalg.norm(mesh.points[:, [61, 291]] - table.points[:, [3, 4]], axis=2)
    assert np.median(apart) < 4, "corners of the mouth, in pixels of 144"


def test_two_processes_find_the_same_as_one(folder, tmp_path, monkeypatch):
    one, two = (found(folder, tmp_path, workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.points, two.points)


def test_a_table_has_an_effect_with_and_without_alignment(folder, tmp_path):
    given = {"dataset": folder, "landmarks": tmp_path / "points.csv"}
    plain, aligned = (Steps({**given, "align": align}, tmp_path / "store") for align in ("0", "1"))
    assert plain["lmdb"].inputs["alignment"] is None
    still, moved = (read_landmarks(steps.made("landmarks")) for steps in (plain, aligned))
    wanted = appearance.frame_of(aligned["frame"]).landmarks.mean(axis=0)
    middles = moved.points[:, :5].mean(axis=1)
    assert np.abs(middles - wanted).max() < 1, "the five points are, as a whole, where alignment puts them"
    assert np.abs(still.points - moved.points).mean() > 2


def test_without_a_source_the_remedy_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(appearance, "FACE_MESH", tmp_path / "none.h5")
    with pytest.raises(UserError, match=r"restore models/face_mesh, give LANDMARKS a table, or"):
        found(folder, tmp_path)


def test_one_photograph_has_the_landmarks_that_it_has_among_others(folder, tmp_path):
    steps = Steps({"dataset": folder}, tmp_path / "store1", Machine(1))
    mesh = read_landmarks(steps.made("landmarks"))
    frame = appearance.frame_of(steps["frame"])
    source = {"mesh": appearance.FACE_MESH, "kind": "mesh"}
    photo = appearance.shown_faces(folder, steps.view("landmarks"), None).only(slice(2, 3))
    points = appearance.points_of_photograph(photo, source, frame)
    assert np.linalg.norm(points - mesh.points[2], axis=1).mean() < 1.5
    Image.new("RGB", (144, 144)).save(folder / "2.png")
    with pytest.raises(UserError, match=r"2.png shows no face that is found; choose another photograph"):
        appearance.points_of_photograph(photo, source, frame)


def test_the_command_says_how_many_look_ahead_and_where_table_and_sheet_are(tmp_path):
    said = succeed("landmarks", store=tmp_path, **RENDERED).split("\n")
    assert re.fullmatch(r"8 of 8 faces are found, and [678] of them look ahead \(AHEAD=0.09\)", said[0])
    assert {line.rpartition("/")[2] for line in said} >= {"landmarks.csv", "sheet.png"}
