"""Single settings: all of them by name, and their values from and to text. Knows no nets and no datasets."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attr2face.errors import UserError
from attr2face.settings.groups import Settings


def leaves(settings: object) -> Iterator[tuple[object, dataclasses.Field]]:
    """Every single setting: the dataclass instance that holds it, and its field."""
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value)
        else:
            yield settings, f


FIELDS = {f.name: f for _, f in leaves(Settings())}


def as_dict(settings: object) -> dict[str, object]:
    """All single settings by name."""
    return {f.name: getattr(holder, f.name) for holder, f in leaves(settings)}


def replaced(settings: object, values: Mapping[str, object]) -> object:
    """The settings with some single settings replaced, in whichever group they are."""
    changes = {}
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            changes[f.name] = replaced(value, values)
        elif f.name in values:
            changes[f.name] = values[f.name]
    return dataclasses.replace(settings, **changes)


def parse(given: Mapping[str, object]) -> dict[str, object]:
    """The values that a user gives, as text or as values, each of its kind and within its limits.

    Raises
    ------
    UserError
        If a name is unknown, or a value is not of its kind, not among the choices or out of range.
    """
    for name in given:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f"did you mean {near[0].upper()}?" if near else "attr2face config lists all"
            raise UserError(f"unknown setting {name.upper()}; {hint}")
    return {name: parse_value(FIELDS[name], value) for name, value in given.items()}


def parse_value(f: dataclasses.Field, value: object) -> object:
    """The value of one setting, from text or from a value of the right kind."""
    kind = f.type.removesuffix(" | None")
    may_be_none = f.type.endswith("| None")
    if value in (None, "", f.metadata["none"]) and (may_be_none or kind == "Path"):
        return None if may_be_none else f.default
    parse_text, described = KINDS[kind]
    name = f.name.upper()
    try:
        parsed = parse_text(value)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        word = f.metadata["none"]
        raise UserError(f"{name}={value} is not {described}{word and f' or {word}'}") from None
    choices = f.metadata["choices"]
    if choices and parsed not in choices:
        raise UserError(f"{name}={value} is unknown; choose {either(choices)}")
    least, most = f.metadata["within"]
    if isinstance(parsed, int | float) and not least <= parsed <= most:
        raise UserError(f"{name}={value} is out of range; choose {least:g} to {most:g}")
    return parsed


def either(choices: tuple[str, ...]) -> str:
    """Words to choose from, in a sentence."""
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]


def as_text(value: object) -> str:
    """The value of a setting as a user would write it, so that `parse_value` gives the value again."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def switch(value: object) -> bool:
    """0, no and false are False; 1, yes and true are True."""
    known = {"0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}
    if str(value).lower() not in known:
        raise ValueError
    return known[str(value).lower()]


def absolute(value: object) -> Path:
    """A path of the user's, from wherever the command is run."""
    return Path(value).expanduser().absolute()


def _integer(value: object) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError
    return int(value)


# How each kind of setting is parsed, and what it is called.
KINDS: dict[str, tuple[Callable[[object], object], str]] = {
    "int": (_integer, "a whole number"),
    "float": (float, "a number"),
    "bool": (switch, "a switch; choose 0, 1, no or yes"),
    "str": (str, "a word"),
    "Path": (absolute, "a path"),
}
