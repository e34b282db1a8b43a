"""Cards: what a user names."""

import pytest

from attr2face.errors import UserError
from attr2face.network.devices import parse_cards


def test_no_text_names_no_card():
    assert parse_cards("") == ()


@pytest.mark.parametrize("text", ["one", "0,", "-1", "0 1"])
def test_what_names_no_cards_is_refused(text):
    with pytest.raises(UserError, match=f"GPU={text} does not name cards"):
        parse_cards(text)


def test_a_card_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="GPU=99"):
        parse_cards("99")
