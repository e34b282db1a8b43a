"""From words on the command line to a command that runs, with what is asked for checked before it does."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from pathlib import Path

from attr2face.cli.parser import parser
from attr2face.cli.run import CommandLine, place, places_of_faces
from attr2face.datasets import DATASETS
from attr2face.errors import UserError
from attr2face.settings import FIELDS
from attr2face.steps import Steps
from attr2face.steps.fitting import dataset_shown
from attr2face.steps.machines import cluster_of, machine_of
from attr2face.steps.resolve import resolve
from attr2face.store.export import check_place

MOST = 1000  # faces at once
# These use the nets of photographs where nothing else is named.
SHOWING = ("generate", "edit", "demo")
MAKING_FACES = ("generate", "evaluate", "report", "results", "demo")


def main() -> int:
    """Run a command; bad input is one sentence and status 2, an interrupt says how to go on and is status
    130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, even where SIGINT is ignored
    try:
        run = parse_words(sys.argv[1:])
        if run.steps.notice and run.options.command.__name__ in MAKING_FACES:
            print(f"attr2face: {run.steps.notice}", file=sys.stderr)
        run.options.command(run)
    except BrokenPipeError:
        return 1  # whoever read the output has closed it
    except (UserError, OSError) as error:
        print(f"attr2face: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("attr2face: interrupted; the same command continues from what is finished", file=sys.stderr)
        return 130
    return 0


def parse_words(arguments: list[str]) -> CommandLine:
    """The command and its settings, from words such as --seed 2 or SEED=2."""
    words = [_flag(word) for word in arguments]
    options = parser(words).parse_args(words)
    name = options.command.__name__
    given = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    if name in SHOWING:
        given |= dataset_shown(given)
    if getattr(options, "folder", None):
        _add_folder(options.folder, given)
    if options.out:
        options.out = str(Path(options.out).expanduser()) + "/" * options.out.endswith("/")
    store = Path(options.store).expanduser() if options.store else None
    options.scheduler = getattr(options, "address", None) or options.scheduler
    cluster = cluster_of(options.scheduler, options.ship, store)
    steps = Steps(given, store, machine_of(options.gpu, options.workers, cluster))
    if options.n != 1 and name != "generate":
        raise UserError(f"N={options.n} has no effect on {name}; leave it out")
    sets, changes = ([], {}) if name == "describe" else _requested(steps, options)
    run = CommandLine(steps, sets, changes, options)
    if options.out:
        _check_out(run)
    return run


def _flag(word: str) -> str:
    """SEED=2 as --seed=2; other words as they are."""
    return re.sub(r"^([A-Za-z][A-Za-z_]*)=", lambda found: f"--{found[1].lower().replace('_', '-')}=", word)


def _requested(steps: Steps, options: argparse.Namespace) -> tuple[list[list[str]], dict[str, bool]]:
    """The sets of attributes that are asked for, each as often as N says, or the changes of an edit."""
    attributes = steps.dataset.attributes
    named = getattr(options, "attributes", None)
    if None not in (named, options.attrs) and named != options.attrs:
        raise UserError(f"{named} and ATTRS={options.attrs} are two requests; leave one of them out")
    given = options.attrs if named is None else named
    options.attrs = ",".join(attributes.example) if given is None else given
    if options.command.__name__ != "edit":
        return repeated(attributes.parse_sets(options.attrs), options.n), {}
    if options.attrs.startswith("@"):
        raise UserError(f"{options.attrs} cannot be a list of edits; give one, such as 'Smiling,!Eyeglasses'")
    return [], attributes.parse_changes(options.attrs)


def repeated(sets: list[list[str]], n: int) -> list[list[str]]:
    """Each of some sets `n` times. Too many are refused before a list of that length is made.

    Raises
    ------
    UserError
        If there are none, or more than `MOST`.
    """
    if n < 1 or n * len(sets) > MOST:
        raise UserError(f"N={n} makes {n * len(sets)} faces; choose 1 to {MOST}")
    return [chosen for chosen in sets for _ in range(n)]


def _add_folder(folder: str, given: dict[str, str]) -> None:
    """Add the FOLDER of describe to the settings as their DATASET, or refuse two that differ."""
    named = folder if folder in DATASETS else str(Path(folder).expanduser().absolute())
    if "dataset" in given and resolve({"dataset": given["dataset"]}).dataset != named:
        raise UserError(
            f"{folder} and DATASET={given['dataset']} cannot be described at once; leave one of them out"
        )
    given["dataset"] = named


def _check_out(run: CommandLine) -> None:
    """Refuse an OUT that cannot be written, before anything is made for it."""
    out, command, store = run.options.out, run.options.command.__name__, run.steps.store
    if command not in ("generate", "edit", "report"):
        raise UserError(
            f"OUT={out} has no effect on {command}, which prints where its output is; leave it out"
        )
    wanted = ".html" if command == "report" else ".png"
    file = Path(out).suffix and not out.endswith("/") and not Path(out).is_dir()
    if file and Path(out).suffix.lower() != wanted:
        raise UserError(f"OUT={out} does not end with {wanted}; change its name, or name a folder")
    if command != "generate":
        check_place(store, place(out, f"{command}{wanted}", Path()))
        return
    if file and len(run.sets) > 1:
        raise UserError(f"OUT={out} is one picture, but {len(run.sets)} faces are requested; name a folder")
    for target in places_of_faces(run).values():
        check_place(store, target)
