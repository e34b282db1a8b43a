"""The 73 attributes, what a user may type, and class labels."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attr2face.attributes import UNKNOWN, Attributes, Head, file_name, pubfig
from attr2face.errors import UserError
from tests.conftest import says


def test_there_are_73_different_attributes_in_42_heads():
    assert len(pubfig().heads) == 42
    assert len(set(pubfig().names)) == len(pubfig().names) == 73


def test_attributes_are_read_in_any_case_and_order():
    assert pubfig().parse(" smiling, MALE,Smiling,") == ["Smiling", "Male"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Mael", "Male"),
        ("Eyeglases", "Eyeglasses"),
        ("", "no attribute"),
        ("Bald, zzzzzz", "zzzzzz"),
        ("White,Black", "exclude"),
        ("Bald,Receding Hairline", "exclude"),
        ("Male:1.5,!Male", "'Male' is both wanted and unwanted"),
        ("Smiling,Smiling:2", "'Smiling' is given two strengths"),
        ("Smiling:much", "'much' is no strength"),
        ("Smiling:-1", "'-1' is no strength"),
        ("Smiling:11", "up to 10"),
        ("Smiling:nan", "no strength"),
        ("!Smiling:2", "write !Smiling"),
        ("!Mael", "Male"),
    ],
)
def test_a_wrong_attribute_is_named_with_a_remedy(text, part):
    with pytest.raises(UserError, match=part):
        pubfig().parse(text)


def test_an_attribute_may_be_unwanted_or_have_a_strength():
    assert pubfig().parse("male, !black hair,Smiling: 1.50") == ["Male", "!Black Hair", "Smiling:1.5"]
    a = dict(
        zip(
            pubfig().names,
            pubfig().request(["Smiling:1.5", "!Black Hair", "!Bald", "Receding Hairline"]),
            strict=True,
        )
    )
    assert (a["Smiling"], a["Frowning"]) == (1.5, 0)
    assert a["Black Hair"] == 0
    assert np.isnan(a["Blond Hair"]), "other hair is left open"
    assert (a["Bald"], a["Receding Hairline"]) == (0, 1)


def test_scores_of_what_is_unwanted_fall_where_nothing_else_of_the_head_is_wanted():
    requests = np.stack(
        [pubfig().request(words) for words in (["Smiling:2"], ["!Smiling"], ["!Bald", "Receding Hairline"])]
    )
    weights = pubfig().class_weights(requests)
    classes = [name for head in pubfig().heads for name in (None, *head.attributes)]
    found = [{classes[k]: weights[i, k] for k in np.flatnonzero(weights[i])} for i in range(3)]
    assert found == [{"Smiling": 2}, {"Smiling": -1}, {"Receding Hairline": 1}]


def test_files_are_named_after_what_is_requested():
    assert file_name(["Male", "!Big Nose", "Smiling:1.5"]) == "Male-no-Big_Nose-Smiling=1.5"


def test_a_file_has_a_set_in_each_line(tmp_path):
    (tmp_path / "sets.txt").write_text("# two\nMale, smiling\n\nBald\n")
    assert pubfig().parse_sets(f"@{tmp_path / 'sets.txt'}") == [["Male", "Smiling"], ["Bald"]]
    assert pubfig().parse_sets("bald") == [["Bald"]]


@pytest.mark.parametrize(
    ("content", "part"), [(None, "does not exist"), ("# none\n", "no line"), ("Male\nBalt\n", "Bald")]
)
def test_a_file_without_sets_is_refused(tmp_path, content, part):
    if content is not None:
        (tmp_path / "sets.txt").write_text(content)
    with pytest.raises(UserError, match=part):
        pubfig().parse_sets(f"@{tmp_path / 'sets.txt'}")


def test_a_file_is_named_after_its_attributes():
    assert file_name(["5 o' Clock Shadow", "Male"]) == "5_o_Clock_Shadow-Male"


@given(st.integers(0, 10_000), st.sampled_from([1e-12, 1e-3, 1.0]))
def test_a_label_is_the_best_positive_attribute_or_none(seed, size):
    scores = np.random.default_rng(seed).integers(-2, 3, (4, 73)) * size
    labels = pubfig().class_labels(scores, np.random.default_rng(0))
    start = 0
    for i, head in enumerate(pubfig().heads):
        block = scores[:, start : start + len(head.attributes)]
        start += len(head.attributes)
        for label, row in zip(labels[:, i], block, strict=True):
            if label == 0:
                assert (row <= 0).all()
            else:
                assert row[label - 1] > 0
                assert row[label - 1] == row.max()


def test_what_is_known_to_be_absent_leaves_the_other_classes_of_a_head_that_is_not_known():
    two = Attributes((Head("a", ("Smiling", "Frowning")), Head("b", ("Bald",))))
    nobody = np.nan
    scores = np.array([[-1, nobody, 1], [nobody, 1, nobody], [nobody, nobody, -1], [-1, -1, -1]])
    labels = two.class_labels(scores, np.random.default_rng(0))
    left = two.classes_left(scores, labels)
    assert left[0].tolist() == [True, False, True, True, True], "no smile: none of these, or frowning"
    assert left[1:].all(), "known, or nothing is"


def test_a_label_is_unknown_if_nothing_of_its_head_is_present_and_not_all_is_known():
    scores = np.full((4, 73), -1.0)
    hair = [pubfig().index[name] for name in ("Black Hair", "Blond Hair")]
    scores[1, hair[0]] = np.nan
    scores[2, hair] = (np.nan, 1)
    scores[3] = np.nan
    labels = pubfig().class_labels(scores, np.random.default_rng(0))
    assert labels[:3, 3].tolist() == [0, UNKNOWN, 2]
    assert (labels[3] == UNKNOWN).all()
    assert (np.delete(labels[:3], 3, axis=1) == 0).all()
    assert pubfig().of_labels(labels[2]) == ["Blond Hair"]
    assert pubfig().of_labels(labels[3]) == []


def test_ties_are_broken_at_random_and_by_the_seed():
    tied = np.ones((200, 73))
    one, again, other = (pubfig().class_labels(tied, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()
    assert set(one[:, 1]) == {1, 2, 3, 4}


def test_a_request_wants_what_is_chosen_and_not_what_that_excludes_and_leaves_the_rest_open():
    a = dict(zip(pubfig().names, pubfig().request(["Frowning", "Male"]), strict=True))
    assert a["Frowning"] == a["Male"] == 1
    assert a["Smiling"] == 0
    assert np.isnan(a["Bald"])


def test_an_attribute_is_predicted_where_it_is_the_most_probable_class_of_its_head():
    classes = [k % head.n_classes for k, head in enumerate(pubfig().heads)]
    prob = np.concatenate(
        [np.eye(head.n_classes)[k] for head, k in zip(pubfig().heads, classes, strict=True)]
    )[None]
    assert pubfig().predicted_classes(prob).tolist() == [classes]
    predicted = {
        attribute for attribute, yes in zip(pubfig().names, pubfig().predicted(prob)[0], strict=True) if yes
    }
    assert predicted == {head.attributes[k - 1] for head, k in zip(pubfig().heads, classes, strict=True) if k}


def test_probabilities_of_attributes_leave_out_class_0():
    prob = np.concatenate([np.arange(head.n_classes) for head in pubfig().heads])[None]
    assert pubfig().probabilities(prob).tolist() == [
        [k for head in pubfig().heads for k in range(1, head.n_classes)]
    ]


def test_labels_of_classes_are_the_attributes_with_the_highest_scores():
    scores = np.random.default_rng(0).standard_normal((50, 73))
    shown = pubfig().of_classes(pubfig().class_labels(scores, np.random.default_rng(0)))
    start = 0
    for head in pubfig().heads:
        block = slice(start, start + len(head.attributes))
        highest = scores[:, block] == scores[:, block].max(axis=1, keepdims=True)
        assert (shown[:, block] == highest & (scores[:, block] > 0)).all()
        start = block.stop


def test_the_table_of_heads_is_read_when_it_is_asked_for_and_missed_in_a_sentence(tmp_path):
    """A package without its table is imported; the command that needs it names the file."""
    command = (
        "import sys, attr2face.cli as cli, attr2face.attributes as attributes;"
        "print(attributes.pubfig.cache_info().misses);"
        "attributes.PUBFIG = attributes.PUBFIG.with_name('gone.csv');"
        f"sys.argv[1:] = ['generate', 'ATTRS=Male', 'STORE={tmp_path}']; sys.exit(cli.main())"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "0\n"
    says(done, "gone.csv does not exist", "restore it")
