"""The command line's words: commands, settings, and options that are no settings."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Sequence

from attr2face.cli.options import DEFAULTS, OPTIONS
from attr2face.errors import UserError
from attr2face.settings import Settings, leaves, parse, switch

# All commands, and the module that has the function of this name. Only the one that is asked for is imported.
COMMANDS = {
    "config": "storing",
    "status": "storing",
    "clean": "storing",
    "describe": "tools",
    "data": "training",
    "align": "training",
    "landmarks": "training",
    "masks": "training",
    "appearance": "training",
    "textures": "training",
    "lmdb": "training",
    "weights": "training",
    "pretrain": "training",
    "finetune": "training",
    "activations": "training",
    "cgmm": "training",
    "gradcheck": "training",
    "diagnose": "training",
    "generate": "pictures",
    "edit": "pictures",
    "invert": "pictures",
    "retrain": "training",
    "baseline": "training",
    "evaluate": "pictures",
    "experiments": "training",
    "report": "pictures",
    "results": "pictures",
    "sheet": "tools",
    "nets": "tools",
    "bench": "tools",
    "notebooks": "tools",
    "jupyter": "tools",
    "demo": "tools",
    "worker": "tools",
}
# What a command takes without a name, and what it is.
POSITIONAL = {
    "generate": ("attributes", 'such as "Male, Smiling", or @file with a set in each line'),
    "edit": ("attributes", 'such as "Smiling, !Eyeglasses"'),
    "describe": ("folder", "the folder with attributes.csv, in place of --dataset"),
    "worker": ("address", "of the scheduler, such as tcp://host:8786"),
}
# Switches of one command.
SWITCHES = {
    "clean": {"yes": "do not ask", "all": "remove everything that the store has made"},
    "config": {"steps": "list all steps, and what each is made from"},
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> None:
        unknown = re.search(r"unrecognized arguments: --([\w-]+)", message)
        if unknown:
            parse({unknown[1].replace("-", "_"): ""})
        raise UserError(f"{message}; attr2face --help lists commands, attr2face config settings")


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The command that some words begin with and its options, or every command."""
    top = Parser(
        "attr2face",
        description="Faces from attributes: attr2face COMMAND [--setting value ...]. "
        "Settings may also be written as make writes them, SETTING=value.",
        epilog="attr2face config lists the settings and their values.",
    )
    shared = _shared()
    commands = top.add_subparsers(required=True, metavar="command")
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        _add(commands, name, shared)
    return top


def _shared() -> Parser:
    """All settings and options, which every command takes."""
    options = Parser(add_help=False, allow_abbrev=False)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for holder, f in leaves(Settings()):
        title = "general" if isinstance(holder, Settings) else (holder.__doc__ or "").partition("\n")[0]
        if title not in groups:
            groups[title] = options.add_argument_group(title)
        choices = f": {', '.join(f.metadata['choices'])}" if f.metadata["choices"] else ""
        bare = {"nargs": "?", "const": "yes"} if f.type == "bool" else {}
        flag = f"--{f.name.replace('_', '-')}"
        groups[title].add_argument(flag, help=f.metadata["help"] + choices, metavar="VALUE", **bare)
    other = options.add_argument_group("Machine and places.")
    for name, about in OPTIONS.items():
        value = DEFAULTS.get(name, "")
        kind = switch if name == "ship" else int if isinstance(value, int) else str
        other.add_argument(f"--{name}", default=value, type=kind, help=about)
    return options


def _add(commands: argparse._SubParsersAction, name: str, shared: Parser) -> None:
    """Add a command, whose docstring is its help."""
    command = getattr(importlib.import_module(f"attr2face.cli.{COMMANDS[name]}"), name)
    about = {"help": command.__doc__, "description": command.__doc__}
    sub = commands.add_parser(name, parents=[shared], allow_abbrev=False, **about)
    sub.set_defaults(command=command)
    if name in POSITIONAL:
        positional, meaning = POSITIONAL[name]
        sub.add_argument(positional, nargs="?", help=meaning)
    for switched, meaning in SWITCHES.get(name, {}).items():
        sub.add_argument(f"--{switched}", type=switch, nargs="?", const=True, help=meaning)
