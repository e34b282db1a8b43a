"""The graph of all steps, as a table of Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from attr2face.errors import UserError
from attr2face.steps.graph import Steps
from attr2face.steps.registry import Choice, File, Step, Use, all_steps
from attr2face.steps.views import View


def listed_steps(steps: Steps) -> str:
    """Each step with what it is made from and the settings that it may see, and what stands for each choice
    with these settings.
    """
    lines = ["| step | made from | settings |", "|---|---|---|"]
    known = all_steps()
    for name, found in known.items():
        if isinstance(found, Step):
            lines.append(f"| {name} | {', '.join(found.inputs)} | {', '.join(found.reads)} |")
    lines += ["", "| choice | stands for | settings |", "|---|---|---|"]
    for name, found in known.items():
        if isinstance(found, Choice):
            stands_for = _stands_for(found, steps.view(name))
            lines.append(f"| {name} | {stands_for} | {', '.join(found.reads)} |")
    return "\n".join(lines)


def _stands_for(choice: Choice, settings: View) -> str:
    try:
        chosen = choice.function(settings)
    except UserError:
        return "what these settings lack"
    if chosen is None:
        return "nothing"
    return ", ".join(dict.fromkeys(_names_in(chosen))) or "values"


def _names_in(chosen: object) -> list[str]:
    """The names of steps and of files in what a choice says."""
    if isinstance(chosen, Use):
        return [chosen.name]
    if isinstance(chosen, File):
        return [f"file {chosen.path.name}"]
    if isinstance(chosen, Mapping):
        return [name for value in chosen.values() for name in _names_in(value)]
    if isinstance(chosen, list | tuple):
        return [name for value in chosen for name in _names_in(value)]
    return []
