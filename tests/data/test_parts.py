"""Pictures and masks to learn parts of heads from: read, varied at random, compared."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attr2face.data.parts import BACKGROUND, FACE, HAIR, PARTS, UNKNOWN, Parsed, overlap, read_parsed, varied
from attr2face.errors import UserError
from tests.data.heads import disc, write_heads


def test_masks_of_nineteen_classes_become_six_parts(tmp_path):
    write_heads(tmp_path, 2)
    celebas = np.arange(19, dtype=np.uint8).repeat(2)[:32]
    Image.fromarray(np.tile(celebas, (32, 1))).save(tmp_path / "masks" / "0000.png")
    row = read_parsed(tmp_path).parts[0, 0, ::2]
    names = [PARTS[k] for k in row]
    assert names[:4] == ["background", "face", "face", "glasses"]
    assert set(names[4:13]) == {"face"}
    assert names[13:] == ["hair", "hat", "clothes"]


def test_a_black_frame_that_nobody_described_is_filled_with_the_pictures_edge(tmp_path):
    write_heads(tmp_path, 2)
    picture, mask = np.full((32, 32, 3), 90, np.uint8), np.ones((32, 32), np.uint8)
    picture[:5], mask[:5], picture[:, -3:], mask[:, -3:] = 0, UNKNOWN, 0, UNKNOWN
    Image.fromarray(picture).save(tmp_path / "pictures" / "0000.png")
    Image.fromarray(mask).save(tmp_path / "masks" / "0000.png")
    parsed = read_parsed(tmp_path)
    assert (parsed.pictures[0] == 90).all()
    assert ((parsed.parts[0] == UNKNOWN) == (mask == UNKNOWN)).all(), "what it shows stays unknown"


def test_the_last_pictures_are_kept_to_measure_on(tmp_path):
    write_heads(tmp_path, 22)
    learned, held_out = read_parsed(tmp_path).split()
    assert (len(learned.parts), len(held_out.parts)) == (20, 2)


def test_pictures_of_rare_parts_are_drawn_more_often():
    parts = np.full((100, 10, 10), FACE, np.uint8)
    parts[:4, :2] = HAIR
    parts[4, 0, 0] = UNKNOWN
    chances = Parsed(np.zeros((100, 10, 10, 3), np.uint8), parts).chances
    assert chances.sum() == pytest.approx(1)
    assert chances[:4] / chances[50] == pytest.approx(5), "the root of 25"
    assert (chances[4:] == chances[50]).all()


def unpaired(root: Path) -> None:
    (root / "masks" / "0001.png").unlink()


def unreadable(root: Path) -> None:
    (root / "masks" / "0001.png").write_bytes(b"none")


def of_other_classes(root: Path) -> None:
    Image.fromarray(np.full((32, 32), 19, np.uint8)).save(root / "masks" / "0001.png")


def of_another_size(root: Path) -> None:
    Image.fromarray(np.zeros((32, 31), np.uint8)).save(root / "masks" / "0001.png")


def alone(root: Path) -> None:
    for name in ("0001.png", "0002.png"):
        (root / "pictures" / name).unlink()


BROKEN = {
    unpaired: "0001.png does not exist; restore the mask",
    unreadable: "0001.png is not a readable image",
    of_other_classes: "0001.png has other bytes than 0 to 18, or 255 for unknown",
    of_another_size: "0001.png has 32 x 32 pixels, its mask 31 x 32",
    alone: "pictures has 1 pictures; set PARSING",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__)
def test_what_is_wrong_with_a_folder_is_named(tmp_path, damage):
    write_heads(tmp_path, 3)
    damage(tmp_path)
    with pytest.raises(UserError) as raised:
        read_parsed(tmp_path)
    assert BROKEN[damage] in str(raised.value)


def test_a_picture_and_its_mask_are_moved_alike():
    picture, part = disc(64)
    inside = []
    for seed in range(20):
        moved, parts = varied(picture, part, 48, np.random.default_rng(seed))
        assert moved.shape == (48, 48, 3)
        light, known = moved.mean(2), parts != UNKNOWN
        middle = (light[parts == FACE].mean() + light[parts == BACKGROUND].mean()) / 2
        inside.append((((light > middle) == (parts == FACE)) | ~known).mean())
    assert min(inside) > 0.9
    assert np.mean(inside) > 0.97


def test_variation_differs_by_seed_and_is_the_same_for_one():
    one, again, other = (varied(*disc(64), 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one[0] == again[0]).all()
    assert (one[1] == again[1]).all()
    assert (one[0] != other[0]).any()


def test_overlap_is_intersection_over_union_of_known_pixels():
    true = np.array([[FACE, FACE, HAIR, UNKNOWN]], np.uint8)
    seen = np.array([[FACE, HAIR, HAIR, FACE]], np.uint8)
    assert overlap(seen, true)[[BACKGROUND, FACE, HAIR]].tolist() == [0, 0.5, 0.5]
