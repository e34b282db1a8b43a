"""Presets of the descent. Each file here has one, `PRESET`, which goes by the name of the file; `at(layer)`,
if there is one, tells how it differs at a layer.
"""

import importlib
from dataclasses import replace
from pathlib import Path

from attr2face.cgmm.targets import varies
from attr2face.errors import UserError
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.preset import Preset
from attr2face.settings import Generation, as_dict, as_text

# Settings that only a descent, and only people, have a use for.
OF_DESCENTS = ("target", "start", "net_weight", "score_weight", "animate")
OF_PEOPLE = ("choices", "head", "backdrop")
PRESETS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def preset_at(name: str, layer: str = "") -> Preset:
    """The preset of a name, as it is for a layer if one is given."""
    module = importlib.import_module(f"{__name__}.{name}")
    return module.at(layer) if hasattr(module, "at") else module.PRESET


def filled(settings: Generation) -> Generation:
    """The settings with the preset's numbers where a user gave none."""
    preset = preset_at(settings.preset)
    missing = [
        name for name in ("strength", "variety", "start", "choices") if getattr(settings, name) is None
    ]
    return replace(settings, **{name: getattr(preset, name) for name in missing})


def descends(settings: Generation) -> bool:
    """Whether the net has a part in a face, or the prior makes it alone."""
    return settings.net_weight > 0 and preset_at(settings.preset).steps > 0


def draws(settings: Generation) -> bool:
    """Whether what a request leaves open can be drawn: by the appearance model, or into a target."""
    return preset_at(settings.preset).prior == "appearance" or varies(settings.target)


def needed(settings: Generation) -> set[str]:
    """What faces are made from beside the net: "mixture" and the names of priors.

    Raises
    ------
    UserError
        If the settings do not go together.
    """
    if settings.variety and not draws(settings):
        what = f"VARIETY={settings.variety:g} has no effect with TARGET={settings.target}"
        raise UserError(f"{what}; leave one of the two out")
    _refuse_idle(settings)
    if Backdrop(settings.backdrop).name == "own" and settings.head != "lent":
        what = "BACKDROP=own is that of a photograph that lends a head"
        raise UserError(f"{what}; set HEAD=lent, or choose another backdrop")
    names = {preset_at(settings.preset).prior}
    if descends(settings) and settings.target != "classes":
        names.add("mixture")
        if preset_at(settings.preset).prior == "appearance":
            names.add("decoder")
    if filled(settings).start > 0:
        names.add("eigenfaces")
    return names


def _refuse_idle(settings: Generation) -> None:
    """Raise a UserError for a setting that the preset has no use for."""
    preset = preset_at(settings.preset)
    if preset.prior != "appearance":
        idle, remedy = OF_PEOPLE, "choose PRESET=people"
    elif preset.steps == 0:
        idle, remedy = OF_DESCENTS, "choose one that descends, such as PRESET=eigenfaces"
    else:
        idle, remedy = ("start", "head"), "choose PRESET=eigenfaces, or people for heads"
    own, usual = as_dict(settings), as_dict(filled(Generation(preset=settings.preset)))
    for name in idle:
        if own[name] is not None and own[name] != usual[name]:
            what = f"{name.upper()}={as_text(own[name])} has no effect with PRESET={settings.preset}"
            raise UserError(f"{what}; leave it out, or {remedy}")
