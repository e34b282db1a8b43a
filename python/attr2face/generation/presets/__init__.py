"""Presets of the descent. Each file here has one, `PRESET`, which goes by the name of the file; `at(layer)`,
if there is one, tells how it differs at a layer.
"""

import importlib
from pathlib import Path

from attr2face.cgmm.targets import varies
from attr2face.errors import UserError
from attr2face.generation.preset import Preset
from attr2face.settings import Generation

PRESETS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def preset_at(name: str, layer: str = "") -> Preset:
    """The preset of a name, as it is for a layer if one is given."""
    module = importlib.import_module(f"{__name__}.{name}")
    return module.at(layer) if hasattr(module, "at") else module.PRESET


def start_of(settings: Generation) -> float:
    """Where the descent starts along the regression of pixels on attributes: as set, or the preset's."""
    return preset_at(settings.preset).start if settings.start is None else settings.start


def variety_of(settings: Generation) -> float:
    """How much of what attributes do not explain is drawn: the user's choice, or the preset's."""
    return preset_at(settings.preset).variety if settings.variety is None else settings.variety


def needed(settings: Generation) -> set[str]:
    """What faces are made from beside the net: "mixture" and the names of priors.

    Raises
    ------
    UserError
        If the settings do not go together.
    """
    if settings.variety and not varies(settings.target):
        what = f"VARIETY={settings.variety:g} has no effect with TARGET={settings.target}"
        raise UserError(f"{what}; leave one of the two out")
    names = {preset_at(settings.preset).prior}
    if settings.target != "classes":
        names.add("mixture")
    if start_of(settings) > 0:
        names.add("eigenfaces")
    return names
