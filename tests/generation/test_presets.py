"""Presets: what faces are made from, and which settings have no effect."""

import pytest

from attr2face.errors import UserError
from attr2face.generation.presets import needed
from attr2face.settings import Generation


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({}, {"appearance"}),
        ({"variety": 0.0, "choices": 4, "backdrop": "white"}, {"appearance"}),
        ({"preset": "towards"}, {"appearance", "mixture", "decoder"}),
        ({"preset": "towards", "net_weight": 0.0}, {"appearance"}),
        ({"preset": "eigenfaces"}, {"eigenfaces", "mixture"}),
        ({"preset": "eigenfaces", "net_weight": 0.0}, {"eigenfaces"}),
        ({"preset": "pixels", "start": 1.0}, {"pixels", "eigenfaces", "mixture"}),
        ({"preset": "pixels", "target": "classes"}, {"pixels"}),
    ],
)
def test_faces_are_made_from_what_their_settings_need(given, parts):
    assert needed(Generation(**given)) == parts


@pytest.mark.parametrize(
    ("given", "idle", "remedy"),
    [
        ({"target": "paper"}, "TARGET=paper", "such as PRESET=eigenfaces"),
        ({"start": 1.0}, "START=1", "such as PRESET=eigenfaces"),
        ({"net_weight": 0.0}, "NET_WEIGHT=0", "such as PRESET=eigenfaces"),
        ({"score_weight": 0.5}, "SCORE_WEIGHT=0.5", "such as PRESET=eigenfaces"),
        ({"animate": True}, "ANIMATE=yes", "such as PRESET=eigenfaces"),
        ({"preset": "towards", "start": 1.0}, "START=1", "PRESET=eigenfaces"),
        ({"preset": "eigenfaces", "choices": 4}, "CHOICES=4", "PRESET=people"),
        ({"preset": "eigenfaces", "backdrop": "white"}, "BACKDROP=white", "PRESET=people"),
        ({"preset": "pixels", "head": "lent"}, "HEAD=lent", "PRESET=people"),
    ],
)
def test_a_setting_that_the_preset_has_no_use_for_is_refused(given, idle, remedy):
    with pytest.raises(UserError, match=f"{idle}.* has no effect with PRESET=.*{remedy}"):
        needed(Generation(**given))


def test_a_setting_that_is_given_as_it_would_be_anyway_is_not_refused():
    assert needed(Generation(start=0.0, choices=1, target="conditional", head="drawn")) == {"appearance"}
    assert needed(Generation(preset="eigenfaces", choices=1)) == {"eigenfaces", "mixture"}
