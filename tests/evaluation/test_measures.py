"""What judges see in pictures, and the features that sets of pictures are compared by."""

import numpy as np
import pytest

from attr2face.data.pictures import enlarged, read_picture, write_picture
from attr2face.evaluation import measures
from attr2face.evaluation.measures import fit_projection, load_projection, measure_pictures, read_measures
from attr2face.parallel import Machine
from attr2face.steps.judging import judges_in
from attr2face.store import made_paths


@pytest.fixture(scope="module")
def pictures(steps, database) -> list[np.ndarray]:
    return [np.asarray(enlarged(crop)) for crop in database.crops(range(3))]


@pytest.fixture(scope="module")
def judges(steps, tmp_path_factory):
    return judges_in(made_paths(steps["judges"]), tmp_path_factory.mktemp("judges"))


def test_a_picture_is_measured_alike_beside_any_other(pictures, judges):
    together, alone = (
        measure_pictures(pictures, judges, Machine(workers=1)),
        measure_pictures(pictures[2:], judges, Machine(workers=1)),
    )
    assert set(together) == {"ridge", "net", "faces", "fine", "distance", "hog", "deep", "identity"}
    for name, values in together.items():
        assert len(values) == 3
        assert np.allclose(values[2], alone[name][0], atol=1e-4, equal_nan=True), name


def test_the_mean_face_is_at_distance_0_from_itself(database, judges):
    mean = np.asarray(enlarged(database.preprocessing.mean_image))
    assert measure_pictures([mean], judges, Machine(workers=1))["distance"] == pytest.approx([0])


def test_a_projection_keeps_the_components_and_their_scale():
    x = np.random.default_rng(0).standard_normal((300, 100)) * np.linspace(5, 0.1, 100)
    fitted = fit_projection(x, 0)
    assert fitted.known.shape == (300, 64)
    assert np.square(fitted.known).mean() == pytest.approx(1, rel=0.02)
    assert np.allclose(fitted(x[:4]), fitted.known[:4], atol=1e-4)


def test_features_are_projected_as_those_of_training_pictures(steps, judges):
    projection = load_projection(judges.projections, "hog")
    assert projection.known.shape[0] == 36, "the training people's pictures"
    assert projection.known.std() > 0


def test_all_faces_of_a_folder_are_measured_in_order(steps, database):
    paper = steps["runs"]["paper"][0]
    m = read_measures(paper["measures"].made() / "measures.npz")
    pngs = sorted(paper["faces"].path.glob("[0-9]*.png"))
    assert len(m["ridge"]) == len(pngs) == 4 + 3 * 4
    mean = np.asarray(enlarged(database.preprocessing.mean_image), float)
    distances = [np.sqrt(np.square(read_picture(png).astype(float) - mean).mean()) for png in pngs]
    assert m["distance"] == pytest.approx(distances, rel=1e-4)


def test_faces_beyond_999_are_measured_in_their_order(judges, tmp_path, monkeypatch):
    for i in (2, 100, 1000, 101):
        write_picture(np.full((256, 256, 3), i % 256, np.uint8), tmp_path / f"{i:03d}.png")
    monkeypatch.setattr(
        measures,
        "measure_pictures",
        lambda pictures, judges, machine: {"first": np.array([p[0, 0, 0] for p in pictures])},
    )
    measures.write_measures(tmp_path, judges, tmp_path, Machine(workers=1))
    assert read_measures(tmp_path / "measures.npz")["first"].tolist() == [2, 100, 101, 1000 % 256]
