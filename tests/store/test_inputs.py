"""What artefacts are made from: artefacts and plain values, in lists and dicts."""

import pytest

from attr2face.store import Artefact, Part, Source, artefacts_in, made_paths
from attr2face.store.manifest import read_manifest
from tests.store.stages import artefact


def test_inputs_are_made_first(store):
    order = []
    first = artefact(store, "first", lambda out: order.append("first"))
    second = artefact(store, "second", lambda out: order.append("second"), inputs={"first": first})
    second.made()
    assert order == ["first", "second"]


def test_inputs_are_made_after_what_makes_some_of_them_side_by_side(store):
    order = []
    made_from = artefact(store, "input", lambda out: order.append("input"))
    artefact(
        store,
        "output",
        lambda out: order.append("output"),
        inputs={"input": made_from},
        before=lambda: order.append("before"),
    ).made()
    assert order == ["before", "input", "output"]


def nested(store, mine) -> tuple[Artefact, Artefact, Part, dict]:
    """An artefact, another, a part of a third, and inputs with all of them."""
    one, other = artefact(store, "one"), artefact(store, "other")

    def write_parts(out) -> None:
        (out / "half").mkdir()

    half = Part(artefact(store, "whole", write_parts), "half", "0" * 16)
    mine.write_text("mine")
    faces = {"mean face": [one, None], "number": 3}
    return one, other, half, {"faces": faces, "net": other, "half": half, "mine": Source(store, mine, "")}


def test_inputs_in_lists_and_dicts_are_made_and_named(store, tmp_path):
    one, other, half, inputs = nested(store, tmp_path / "mine")
    outer = artefact(store, "outer", inputs=inputs)
    listed = read_manifest(outer.made())["inputs"]
    assert list(listed) == ["faces/mean face/0", "net", "half", "mine"]
    assert listed["faces/mean face/0"] == {"path": str(one.path), "key": one.key}
    assert listed["half"] == {"path": str(half.path), "key": half.key}
    assert one.exists
    assert other.exists
    assert half.path.exists()


def test_artefacts_are_found_in_the_order_of_their_places(store, tmp_path):
    one, other, half, inputs = nested(store, tmp_path / "mine")
    assert list(artefacts_in(inputs)) == [
        ("faces/mean face/0", one),
        ("net", other),
        ("half", half),
        ("mine", inputs["mine"]),
    ]


def test_made_paths_stand_where_the_artefacts_were(store, tmp_path):
    one, other, half, inputs = nested(store, tmp_path / "mine")
    assert made_paths(inputs) == {
        "faces": {"mean face": [one.path, None], "number": 3},
        "net": other.path,
        "half": half.path,
        "mine": tmp_path / "mine",
    }
    assert one.exists
    assert half.path.exists()


def test_every_input_counts_wherever_it_stands(store):
    one, other = artefact(store, "one"), artefact(store, "other")
    choices = [
        {},
        {"net": one},
        {"net": other},
        {"net": [one]},
        {"net": [one, other]},
        {"net": [other, one]},
        {"net": {"a": one, "b": other}},
        {"net": {"a": other, "b": one}},
        {"net": None},
        {"net": 1},
        {"net": [1, {"a": None}]},
    ]
    keys = [artefact(store, inputs=inputs).key for inputs in choices]
    assert len(set(keys)) == len(keys)
    assert artefact(store, inputs={"b": 1, "a": one}).key == artefact(store, inputs={"a": one, "b": 1}).key


def test_a_part_is_known_by_its_own_key(store):
    whole, same = artefact(store, "whole"), artefact(store, "with more beside it")
    first, second = (artefact(store, inputs={"half": Part(of, "half", "1")}) for of in (whole, same))
    assert first.key == second.key


def test_a_value_that_is_no_json_is_refused(store):
    with pytest.raises(TypeError, match="not JSON serializable"):
        artefact(store, inputs={"net": object()}).made()
