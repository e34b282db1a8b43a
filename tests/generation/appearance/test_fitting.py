"""A model fitted to pictures that look ahead and whose heads are cut out well, and to few of them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from attr2face.attributes import Attributes
from attr2face.data.alignment import Frame
from attr2face.data.faces import Faces
from attr2face.data.parts import BACKGROUND, FACE, HAIR
from attr2face.data.shapes import Landmarks, Pictures
from attr2face.errors import UserError
from attr2face.generation.appearance import fitting
from attr2face.generation.appearance.fitting import fit_appearance, read_fitted, write_appearance
from attr2face.generation.appearance.model import load_appearance
from attr2face.generation.appearance.sample import Source
from attr2face.settings import AppearanceFit

SIDE, N = 72, 12
FIVE = SIDE * np.array([(0.42, 0.45), (0.58, 0.45), (0.5, 0.55), (0.45, 0.64), (0.55, 0.64)])
EVERY = np.arange(N)
SETTINGS = AppearanceFit(shape_components=4, texture_components=6)


def head(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A matte and parts (side, side) of a round face with hair around it."""
    down, along = np.mgrid[:SIDE, :SIDE] / SIDE
    far = np.hypot(along - 0.5, down - 0.53)
    part = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    part[far < rng.uniform(0.32, 0.36)] = HAIR
    part[far < rng.uniform(0.22, 0.26)] = FACE
    return np.where(part == BACKGROUND, 0, 255).astype(np.uint8), part


@pytest.fixture
def plain(tmp_path) -> Source:
    """Pictures of smooth noise with landmarks, and no masks."""
    rng = np.random.default_rng(0)
    for i, noise in enumerate(gaussian_filter(rng.standard_normal((N, SIDE, SIDE, 3)), (0, 4, 4, 0))):
        picture = np.rint(128 + 30 * noise / noise.std()).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    paths, scores = [f"{i}.png" for i in range(N)], np.where(EVERY % 2, 1.0, -1.0)[:, None]
    faces = Faces(tmp_path, paths, EVERY.astype(str), scores, Attributes.each(["Male"]))
    points = (FIVE + rng.normal(0, 1, (N, 5, 2))).astype(np.float32)
    landmarks = Landmarks(points, np.zeros(N, np.float32), paths, SIDE, "five")
    return Source(Pictures(faces, Frame((0.16, 0.45), SIDE), landmarks), 0.09)


@pytest.fixture
def source(plain, tmp_path) -> Source:
    """The same with masks."""
    folder, rng = tmp_path / "masks", np.random.default_rng(1)
    folder.mkdir()
    with h5py.File(folder / "masks.h5", "w") as file:
        file["matte"], file["part"] = (
            np.stack(of_all) for of_all in zip(*[head(rng) for _ in EVERY], strict=True)
        )
    return replace(plain, masks=folder)


@pytest.fixture
def scratch(tmp_path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def spoil(source: Source, rows: list[int], part: str, value: int) -> None:
    """Write another value into the middle of some masks."""
    with h5py.File(source.masks / "masks.h5", "r+") as file:
        for row in rows:
            file[part][row, 20:60, 20:60] = value


def turned(source: Source, but: int) -> Source:
    """The same with all faces turned aside but for some."""
    pictures = source.pictures
    aside = np.array([0.0] * but + [0.5] * (N - but), np.float32)
    return replace(source, pictures=replace(pictures, landmarks=replace(pictures.landmarks, turned=aside)))


def written(source: Source, out: Path) -> None:
    faces = source.pictures.faces
    database = SimpleNamespace(rows=lambda split: EVERY, paths=np.array(faces.paths), has=faces.scores > 0)
    write_appearance(source, database, SETTINGS, 1, out)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("ahead", [0, 1])
def test_one_picture_that_looks_ahead_is_too_few(plain, source, scratch, masks, ahead):
    with pytest.raises(UserError, match=f"{ahead} pictures show faces that look ahead, .*; use more"):
        turned(source if masks else plain, but=ahead).sample(EVERY, N, scratch)


@pytest.mark.parametrize(("part", "value"), [("matte", 0), ("part", BACKGROUND)])
def test_if_no_mask_has_a_head_it_is_said(source, scratch, part, value):
    spoil(source, EVERY.tolist(), part, value)
    with pytest.raises(UserError, match=r"0 pictures show heads that look ahead and are cut out well"):
        source.sample(EVERY, N, scratch)


@pytest.mark.parametrize(("part", "value"), [("matte", 0), ("part", BACKGROUND)])
@pytest.mark.parametrize("failing", [3, 8])
def test_masks_that_fail_and_faces_that_are_covered_are_left_out(source, scratch, part, value, failing):
    spoil(source, range(failing), part, value)
    sample = source.sample(EVERY, N, scratch)
    assert sample.rows.min() >= failing
    assert len(sample.rows) == min(round(0.75 * N), N - failing)
    assert np.isfinite(sample.points).all()


def test_pictures_have_their_own_mattes_as_fourth_channel(source, scratch):
    sample = source.sample(EVERY[::-1], 5, scratch)
    assert (np.diff(sample.rows) < 0).all(), "in the order of the candidates"
    with h5py.File(source.masks / "masks.h5") as file:
        for row, picture in zip(sample.rows, sample.pictures(), strict=True):
            assert picture.shape == (SIDE, SIDE, 4)
            assert ((picture[..., 3] > 127) == (file["matte"][row] > 127)).all()


@pytest.mark.parametrize("masks", [False, True])
def test_two_or_three_pictures_suffice(plain, source, scratch, masks):
    for n in (2, 3):
        written(turned(source if masks else plain, but=n), scratch)
        model = load_appearance(scratch / "appearance.h5")
        z, rows = read_fitted(scratch)
        assert len(z) == len(rows) == n - (masks and n == 3)
        assert np.isfinite(model.textures(z)).all()
        assert sorted(path.name for path in scratch.iterdir()) == ["appearance.h5", "components.png", "z.h5"]


@pytest.mark.parametrize("step", ["layout.points", "to_mean"])
def test_an_interrupted_fit_goes_on_and_gives_the_same_bytes(source, tmp_path, scratch, monkeypatch, step):
    whole = tmp_path / "whole"
    whole.mkdir()
    written(source, whole)
    calls = []

    def interrupting(work):
        def interrupted(*arguments):
            calls.append(arguments)
            if len(calls) == 5:
                raise KeyboardInterrupt
            return work(*arguments)

        return interrupted

    kind = fitting.Warp if step == "to_mean" else fitting.Layout
    name = step.rpartition(".")[2]
    monkeypatch.setattr(kind, name, interrupting(getattr(kind, name)))
    with pytest.raises(KeyboardInterrupt):
        written(source, scratch)
    assert sorted(path.name for path in scratch.iterdir())[0] == "outlines"
    written(source, scratch)
    assert len(calls) == 1 + (9 if step == "to_mean" else N), "the first four were kept"
    for name in ("appearance.h5", "z.h5", "components.png"):
        assert (scratch / name).read_bytes() == (whole / name).read_bytes()


def test_the_number_of_threads_changes_nothing(source, tmp_path):
    found = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        with threadpool_limits(threads):
            sample = source.sample(EVERY, N, folder)
            model, z = fit_appearance(sample, sample.faces.scores > 0, SETTINGS, 1, folder)
        found.append(z.tobytes() + model.shape_basis.tobytes() + model.regression.factors.tobytes())
    assert found[0] == found[1]
