"""Texts in the form of CelebA's lists."""

import pytest

from attr2face.data.lists import read_list, read_words
from attr2face.errors import UserError


def test_lines_are_counted_as_editors_count_them(tmp_path):
    (tmp_path / "list.txt").write_text("\ufeff2\n\na b\n1.jpg  1\n\n2.jpg -1\n", encoding="utf-8")
    header, rows = read_list(tmp_path / "list.txt")
    assert header == ["a", "b"]
    assert list(rows) == [(4, ["1.jpg", "1"]), (6, ["2.jpg", "-1"])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "does not begin with the number of its pictures"),
        (b"a b\n", "does not begin with the number of its pictures"),
        (b"2\na\n1.jpg 1\n", "says 2 pictures in its first line and has 1"),
        (b"1\na\n1.jpg 1\n2.jpg 1\n", "says 1 pictures in its first line and has more"),
        (b"1\na\n\xff.jpg 1\n", "is not a text; mend it"),
    ],
)
def test_a_list_that_is_not_whole_is_named(tmp_path, content, says):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"list\.txt {says}"):
        list(read_list(tmp_path / "list.txt", "mend it")[1])


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(UserError, match="is a folder; restore the published file"):
        list(read_words(tmp_path))
    with pytest.raises(UserError, match=r"none\.txt does not exist; restore"):
        list(read_words(tmp_path / "none.txt"))
