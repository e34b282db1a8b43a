"""The command line: attr2face COMMAND [--setting value ...]. Settings may also be written as make writes
them, SETTING=value.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from attr2face import settings as conf
from attr2face.api import ENVIRONMENT
from attr2face.attributes import file_name
from attr2face.errors import UserError
from attr2face.pipeline import BUNDLE, CHECKOUT, Steps, cluster_of, machine, reachable
from attr2face.store import MANIFEST, Artefact


@dataclass(frozen=True)
class Run:
    """A command with what the user gave: the steps of the pipeline, attributes, and options that are no
    settings.
    """

    steps: Steps
    sets: list[list[str]]
    changes: dict[str, bool]
    options: argparse.Namespace


# Commands. Each makes artefacts and prints what a user wants to know.


def config(run: Run) -> None:
    """print the settings in force, and what each means"""
    settings = run.steps.settings
    usual = conf.as_dict(conf.defaults(settings.dataset, settings.model, settings.mean))
    for holder, f in conf.leaves(settings):
        value = getattr(holder, f.name)
        choices = ", ".join(conf.choices_of(f, run.steps.model))
        default = "" if value == usual[f.name] else f" (the default is {conf.as_text(usual[f.name])})"
        print(
            f"{f.name.upper():21} {conf.as_text(value):12} {f.metadata['help']}{choices and f': {choices}'}{default}"
        )
    for name, value in vars(run.options).items():
        if name in OPTIONS:
            print(f"{name.upper():21} {conf.as_text(value):12} {OPTIONS[name]}")


def status(run: Run) -> None:
    """list what the store holds: size, when it was made, and from what"""
    store, total = run.steps.store, 0
    manifests = store.manifests()
    if not manifests:
        print("nothing is made yet")
    for folder, manifest in manifests.items():
        print(f"{manifest['bytes'] / 1e6:9.1f} MB  {manifest['finished']}  {folder.relative_to(store.root)}")
        print(f"{'':14}from {_made_from(manifest)}")
        total += manifest["bytes"]
    for folder, record in store.unfinished().items():
        print(f"unfinished: {record['name']}, in {folder}")
    print(f"{total / 1e6:9.1f} MB in {store.root}")


def clean(run: Run) -> None:
    """remove from the store what no settings lead to any more, or everything with --all"""
    store = run.steps.store
    with store.in_use(alone=True):
        keep = set() if run.options.all else reachable(store)
        doomed = {
            folder: manifest["key"]
            for folder, manifest in store.manifests().items()
            if manifest["key"] not in keep
        }
        unfinished = {
            folder: record["name"] for folder, record in store.unfinished().items() if folder.name not in keep
        }
        doomed |= {folder: folder.name for folder in unfinished}
        for folder in doomed:
            print(
                f"to be removed: {folder}"
                + (f", an unfinished {unfinished[folder]}" if folder in unfinished else "")
            )
        if doomed and not run.options.yes and not _agreed():
            print("nothing was removed")
            return
        removed = sum(store.remove(folder, key) for folder, key in doomed.items())
        print(f"removed {removed}, kept {len(store.manifests())}")


def describe(run: Run) -> None:
    """check a dataset, and say what to do before anything is made from it"""
    from attr2face.data.describe import Wanted
    from attr2face.data.describe import describe as findings

    steps, s = run.steps, run.steps.settings
    root = steps.dataset.root or steps.faces.made()
    wanted = Wanted(steps.model.crop + s.database.margin, s.judging.judge_share, s.seed)
    errors = 0
    for finding in findings(root, steps.dataset, wanted):
        print(finding)
        errors += finding.fatal
    if errors:
        raise UserError(f"{root} cannot be used as it is; mend the errors above ({errors})")
    given = {**steps.given, "attrs": ",".join(steps.attributes.example)}
    print(
        f"{root} can be used: make generate {shlex.join(f'{name.upper()}={value}' for name, value in given.items())}"
    )


def data(run: Run) -> None:
    """render or download the faces"""
    print(run.steps.faces.made())


def align(run: Run) -> None:
    """find the eyes in photographs, and show some of them aligned"""
    import csv

    if not run.steps.settings.alignment.align:
        raise UserError("ALIGN=no aligns nothing; set ALIGN=1 with this command and with those that follow")
    folder = run.steps.landmarks.made()
    with (folder / "not_found.csv").open(newline="") as file:
        missing = len(list(csv.reader(file))) - 1
    print(f"{missing} pictures without eyes: {folder / 'not_found.csv'}")
    print(folder / "sheet.png")


def lmdb(run: Run) -> None:
    """build LMDBs of images and labels, split by person"""
    print(run.steps.lmdb.made())


def weights(run: Run) -> None:
    """download VGG-Face's published weights"""
    from attr2face.data.sources import fetch_vgg_face
    from attr2face.models import MODELS
    from attr2face.network import prototxt
    from attr2face.network.weights import load

    path = run.steps.vgg_face
    if not path.exists():
        fetch_vgg_face(path)
        load(prototxt.deploy(MODELS["vgg_face"]), path)
    print(path)


def pretrain(run: Run) -> None:
    """train mini on the identities of other rendered people"""
    print(run.steps.pretrained.made())


def finetune(run: Run) -> None:
    """train the heads, and score them on unseen people"""
    from attr2face.evaluation.scores import mean_scores

    print(mean_scores(run.steps.scores.made()).round(3).to_string())
    print(run.steps.finetuned.path)


def activations(run: Run) -> None:
    """store one layer's activations for all images"""
    print(run.steps.activations.made())


def cgmm(run: Run) -> None:
    """fit a Gaussian per attribute, and the weights"""
    print((run.steps.mixture.made() / "report.txt").read_text(), end="")
    print(run.steps.mixture.path)


def gradcheck(run: Run) -> None:
    """compare the cGMM's gradient with central differences"""
    from attr2face.cgmm.fitting import check_gradient

    error = check_gradient(run.steps.activations.made() / "activations.h5", run.steps.settings.seed)
    print(f"relative error of the gradient: {error:.2e}")


def diagnose(run: Run) -> None:
    """describe activations and attributes, and what the heads see in each target"""
    import pandas as pd

    from attr2face.evaluation.diagnosis import best_targets

    folder = run.steps.diagnosis.made()
    print(pd.read_csv(folder / "numbers.csv").round(3).to_string(index=False, header=False), end="\n\n")
    print(best_targets(pd.read_csv(folder / "targets.csv")).round(3).to_string())
    print(folder)


def generate(run: Run) -> None:
    """make a face with some attributes"""
    faces = run.steps.generated(run.sets)
    _print_table(faces.made() / "reading.csv")
    print(faces.path)
    for name, place in places(faces, run.sets, run.options.out).items():
        print(faces.store.export(faces.path / name, place))


def generator(run: Run) -> None:
    """train the network that turns activations into pictures"""
    print(run.steps.generator.made() / "sheet.png")


def edit(run: Run) -> None:
    """give the face in a photograph attributes, or take some away, such as Smiling,!Eyeglasses"""
    import json

    edited = run.steps.edited(run.changes)
    run.steps.read_photograph()  # before anything is made for one that cannot be read
    _print_table(edited.made() / "reading.csv")
    others = json.loads((edited.path / "others.json").read_text())
    print(f"the judge sees {others['as before']} of the {others['others']} other attributes as before")
    print(edited.path / "sheet.png")
    place = _place(run.options.out, f"{edited.path.name}.png", results_folder() / edited.group)
    print(edited.store.export(edited.path / "edited.png", place))


def retrain(run: Run) -> None:
    """make nets for rendered faces in one small file, and compare it with models/mini/default.h5"""
    from attr2face.generation.bundle import compare_bundles

    bundle = run.steps.bundle.made() / "default.h5"
    print(bundle)
    if not BUNDLE.exists():
        print("no nets are committed to compare them with")
        return
    for name, difference in compare_bundles(BUNDLE, bundle).items():
        print(f"{name}: relative difference {difference:.2g}")


def invert(run: Run) -> None:
    """make photographs from their activations, layer by layer, or a picture from activations of your own"""
    if run.steps.settings.photo:
        run.steps.read_photograph()  # before anything is made for one that cannot be read
    _check_activations(run.steps)
    step = run.steps.inverted_activations if run.steps.settings.activations else run.steps.inverted
    _print_table(step.made() / "table.csv")
    print(step.path)


def baseline(run: Run) -> None:
    """score ridge regression on HOG and mean colours on the same unseen people"""
    import pandas as pd

    from attr2face.evaluation.scores import MEANS

    table = pd.read_csv(run.steps.baseline.made() / "scores.csv")
    print(table[MEANS].mean().round(3).to_string())
    print(run.steps.baseline.path)


def evaluate(run: Run) -> None:
    """compare methods of generation for unseen people's attributes, before two judges"""
    import pandas as pd

    from attr2face.evaluation.summary import columns_of

    intervals = pd.read_csv(run.steps.evaluation.made() / "intervals.csv")
    shown = (
        "requested seen, ridge",
        "requested seen, net",
        "not there, but seen, ridge",
        "one face",
        "rank of own",
    )
    print(columns_of(intervals, shown).to_markdown(index=False, disable_numparse=True))
    print(run.steps.evaluation.path)


def experiments(run: Run) -> None:
    """finetune and score every row of a grid of settings"""
    step = run.steps.experiments(run.steps.settings.grid)
    for name in ("table.csv", "table1.csv"):
        _print_table(step.made() / name)
    print(step.path)


def report(run: Run) -> None:
    """make every figure and table of the paper, in one page"""
    step = run.steps.report
    name = f"{step.group}-{step.path.name}.html"
    page = step.made() / "report.html"
    print(run.steps.store.export(page, _place(run.options.out, name, results_folder())))


def results(run: Run) -> None:
    """write the numbers of one dataset into docs/results.json, and the tables of docs/results.md from that
    file
    """
    from attr2face.files import atomic_write
    from attr2face.report.results import filled, tables, write_results

    taken = ("dataset", "model", "seeds", "lfw_root", "pubfig_root", "identity", "preset", "methods")
    other = [name.upper() for name in run.steps.given if name not in taken]
    if run.steps.dataset.root:
        raise UserError(
            "make results writes the project's documents, and takes no folder of your own; make paper shows the same of it"
        )
    if other:
        raise UserError(
            f"make results shows the defaults in docs/results.md, and takes no {other[0]}; make paper takes all settings"
        )
    docs, steps = CHECKOUT / "docs", run.steps
    document = docs / "results.md"
    if not document.exists():
        raise UserError(f"{document} does not exist; make results works in a clone of the project")
    numbers = steps.numbers.made()
    shown = write_results(docs, f"{steps.numbers.group}-{steps.own}", numbers, steps.evaluation.path)
    text = filled(document.read_text(), tables(shown))
    with atomic_write(document) as temporary:
        temporary.write_text(text)
    print(numbers / "numbers.json")


def sheet(run: Run) -> None:
    """draw a rendered person without and with each attribute, as docs/attributes.jpg"""
    from attr2face.data.render.contact_sheet import contact_sheet

    page = CHECKOUT / "docs" / "attributes.jpg"
    contact_sheet(page, 96, 7, run.steps.settings.seed)
    print(page)


def nets(run: Run) -> None:
    """write the committed prototxt files again"""
    from attr2face.network import committed, generator

    committed.write_prototxts(CHECKOUT / "prototxt")
    generator.write_prototxts(CHECKOUT / "prototxt")


def bench(run: Run) -> None:
    """measure speeds, side by side with Caffe's own tools"""
    from attr2face.bench.speeds import bench

    bench(run.steps, run.options.gpu, run.options.torch)


def notebooks(run: Run) -> None:
    """execute the notebooks, as pages in results/; with the default settings, notebooks/ keeps small outputs,
    too
    """
    from attr2face.report.notebooks import executed, write_light, write_page

    _prepare(run)
    out = results_folder() / f"{run.steps.dataset.name}-{run.steps.model.name}" / "notebooks"
    for path in sorted((CHECKOUT / "notebooks").glob("[1-6]_*.ipynb")):
        notebook = executed(path, _notebook_environment(run))
        write_page(notebook, out / f"{path.stem}.html")
        print(out / f"{path.stem}.html")
        if run.steps.settings == conf.Settings():
            write_light(notebook, path)
            print(path)


def jupyter(run: Run) -> None:
    """open the notebooks"""
    _prepare(run)
    _jupyter(run, "lab", "--ServerApp.ip=127.0.0.1", str(CHECKOUT / "notebooks"))


def demo(run: Run) -> None:
    """serve a page to tick attributes on, at 127.0.0.1:PORT"""
    from attr2face.demo.server import serve

    port = str(run.options.port)
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UserError(f"PORT={port} is no port; choose 1 to 65535")
    serve(run.steps, int(port))


def worker(run: Run) -> None:
    """start a worker for the scheduler at SCHEDULER, with one thread, or the card GPU"""
    from attr2face.cluster import start_worker

    start_worker(run.options.scheduler, run.steps.machine.cards)


COMMANDS = (
    config,
    status,
    clean,
    describe,
    data,
    align,
    lmdb,
    weights,
    pretrain,
    finetune,
    activations,
    cgmm,
    gradcheck,
    diagnose,
    generator,
    generate,
    edit,
    invert,
    retrain,
    baseline,
    evaluate,
    experiments,
    report,
    results,
    sheet,
    nets,
    bench,
    notebooks,
    jupyter,
    demo,
    worker,
)


# What commands share.


def results_folder() -> Path:
    """Where pictures and pages go if the user names no place."""
    return (CHECKOUT if (CHECKOUT / "Makefile").exists() else Path.cwd()) / "results"


def places(faces: Artefact, sets: list[list[str]], out: str) -> dict[str, Path]:
    """Where the pictures of an artefact are copied to, by their names: to `out`, a file or a folder, or to
    the results' folder.
    """
    name = faces.path.name
    copies = {"000.png": _place(out, f"{name}.png", results_folder() / faces.group)}
    if len(sets) > 1:
        folder = Path(out).resolve() if out else results_folder() / faces.group / name
        copies = {
            f"{i:03d}.png": folder / f"{i:03d}-{file_name(chosen)}.png" for i, chosen in enumerate(sets)
        }
        copies["sheet.png"] = folder / "sheet.png"
    if faces.settings["animate"]:
        copies |= {
            png.replace(".png", ".gif"): place.with_suffix(".gif")
            for png, place in copies.items()
            if png != "sheet.png"
        }
    return copies


def _check_out(run: Run) -> None:
    """Refuse an OUT that cannot be written, before anything is made for it."""
    out, command = run.options.out, run.options.command
    if not out:
        return
    if command not in (generate, edit, report):
        raise UserError(
            f"OUT={out} has no effect on {command.__name__}, which prints where its output is; leave it out"
        )
    file, wanted = Path(out).suffix and not out.endswith("/"), ".html" if command is report else ".png"
    if file and not Path(out).is_dir() and Path(out).suffix.lower() != wanted:
        raise UserError(f"OUT={out} does not end with {wanted}; change its name, or name a folder")
    if command in (edit, report):
        run.steps.store.check_place(_place(out, f"{command.__name__}{wanted}", Path()))
        return
    if file and not Path(out).is_dir() and len(run.sets) > 1:
        raise UserError(f"OUT={out} is one picture, but {len(run.sets)} faces are requested; name a folder")
    for place in places(run.steps.generated(run.sets), run.sets, out).values():
        run.steps.store.check_place(place)


def _place(out: str, name: str, usual: Path) -> Path:
    """The file to write: `out` itself, or `name` in the folder `out`, or in the usual one. A link is
    followed.
    """
    path = Path(out) if out else usual
    inside = not out or path.is_dir() or out.endswith("/") or not path.suffix
    return (path / name if inside else path).resolve()


def _check_activations(steps: Steps) -> None:
    """Refuse ACTIVATIONS that are not of LAYER, before anything is made for them."""
    from attr2face.generation.inversion import read_activations
    from attr2face.network.prototxt import feature_shape

    path, layer = steps.settings.activations, steps.settings.layer
    if path:
        steps.check_net()
        read_activations(path, layer, feature_shape(steps.model, layer))


def _agreed() -> bool:
    try:
        return input("remove them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _prepare(run: Run) -> None:
    """Make what the notebooks read, if they can show it."""
    from attr2face.generation.presets import needed

    steps = run.steps
    steps.check_notebooks(run.options.command.__name__)
    steps.trained("mixture", "eigenfaces")
    steps.for_faces(*needed(steps.settings.generation))
    for step in (steps.scores, steps.judge):
        step.made()


def _notebook_environment(run: Run) -> dict[str, str]:
    """The environment in which `Pipeline.from_environment` finds what the command was given."""
    where = {"store": run.steps.store.root} | {
        name: getattr(run.options, name) for name in ("workers", "gpu", "scheduler", "ship")
    }
    named = {**run.steps.given, **where}
    given = shlex.join(f"{name.upper()}={value}" for name, value in named.items())
    return os.environ | {ENVIRONMENT: given, "TQDM_DISABLE": "1"}


def _jupyter(run: Run, *command: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jupyter")), *command], env=_notebook_environment(run)
    )
    if done.returncode:
        raise UserError(f"jupyter {command[0]} ended with status {done.returncode}")


def _print_table(path: Path) -> None:
    import csv

    from tabulate import tabulate

    with path.open(newline="") as file:
        print(tabulate(list(csv.DictReader(file)), headers="keys", floatfmt=".3f"))


def _made_from(manifest: dict, most: int = 6) -> str:
    """The inputs of an artefact: stage and key, or the path of a user's file."""
    names = []
    for made_from in manifest["inputs"].values():
        path = Path(made_from["path"])
        names.append(
            f"{path.name.partition('-')[0]}-{made_from['key'][:8]}"
            if (path / MANIFEST).exists()
            else str(path)
        )
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# Parsing.

MOST = 1000  # faces at once

# What is no setting: none of it is part of an output's key.
OPTIONS = {
    "attrs": "attributes of the face, separated by commas, or @file with a set in each line; !Bald is a face without, Bald:1.5 more of it",
    "n": "different faces of each set of attributes",
    "out": "of generate and edit: a .png, or a folder; of report: an .html, or a folder; results/ without it",
    "store": "folder of artefacts; data/store without it",
    "workers": "processes on the CPU; 0 for one per processor",
    "gpu": "cards to run Caffe on, such as 0 or 0,1; the CPU without it",
    "scheduler": "of Dask, whose workers compute, such as tcp://host:8786; local:4 starts four on this machine",
    "ship": "yes sends files to workers that do not share the store's folder",
    "port": "port of the demo's page",
    "torch": "a Python that has PyTorch, for bench to compare with",
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> None:
        unknown = re.search(r"unrecognized arguments: --([\w-]+)", message)
        if unknown:
            conf.resolve({unknown[1].replace("-", "_"): ""})
        raise UserError(f"{message}; attr2face --help lists commands, attr2face config settings")


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    options = Parser(add_help=False, allow_abbrev=False)
    groups = {}
    for holder, f in conf.leaves(conf.Settings()):
        title = "general" if isinstance(holder, conf.Settings) else (holder.__doc__ or "").partition("\n")[0]
        group = groups.get(title) or groups.setdefault(title, options.add_argument_group(title))
        names = [
            f"--{name.replace('_', '-')}"
            for name in (f.name, *(old for old, new in conf.RENAMED.items() if new == f.name))
        ]
        choices = f": {', '.join(f.metadata['choices'])}" if f.metadata["choices"] else ""
        bare = {"nargs": "?", "const": "yes"} if f.type == "bool" else {}
        group.add_argument(*names, dest=f.name, help=f.metadata["help"] + choices, metavar="VALUE", **bare)
    other = options.add_argument_group("Machine and places.")
    for name, about in OPTIONS.items():
        value = {"workers": 0, "n": 1, "attrs": None, "port": "8866", "ship": False}.get(name, "")
        kind = conf.switch if name == "ship" else int if isinstance(value, int) else str
        other.add_argument(f"--{name}", default=value, type=kind, help=about)
    top = Parser(
        "attr2face", description=__doc__, epilog="attr2face config lists the settings and their values."
    )
    commands = top.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        about = {
            "help": command.__doc__,
            "description": command.__doc__,
            "parents": [options],
            "allow_abbrev": False,
        }
        sub = commands.add_parser(command.__name__, **about)
        sub.set_defaults(command=command)
        if command in (generate, edit):
            sub.add_argument(
                "attributes",
                nargs="?",
                default="",
                help='such as "Male, Smiling", or @file with a set in each line',
            )
        if command is describe:
            sub.add_argument(
                "folder", nargs="?", default="", help="the folder with attributes.csv, in place of --dataset"
            )
        if command is worker:
            sub.add_argument(
                "address", nargs="?", default="", help="of the scheduler, such as tcp://host:8786"
            )
        if command is clean:
            sub.add_argument("--yes", type=conf.switch, nargs="?", const=True, help="do not ask")
            sub.add_argument(
                "--all",
                type=conf.switch,
                nargs="?",
                const=True,
                help="remove everything that the store has made",
            )
    return top


def parse(arguments: list[str]) -> Run:
    """The command and its settings, from words such as --seed 2 or SEED=2."""
    words = [
        re.sub(r"^([A-Za-z][A-Za-z_]*)=", lambda name: f"--{name[1].lower().replace('_', '-')}=", word)
        for word in arguments
    ]
    options = parser().parse_args(words)
    names = [f.name for _, f in conf.leaves(conf.Settings())]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if getattr(options, "folder", ""):
        _add_folder(options.folder, given)
    options.out = str(Path(options.out).expanduser()) + "/" * options.out.endswith("/") if options.out else ""
    store = Path(options.store).expanduser() if options.store else None
    options.scheduler = getattr(options, "address", "") or options.scheduler
    cluster = cluster_of(options.scheduler, options.ship, store)
    steps = Steps(given, store, machine(options.gpu, options.workers, cluster))
    sets, changes = ([], {}) if options.command is describe else _requested(steps, options)
    run = Run(steps, sets, changes, options)
    _check_number(run)
    _check_out(run)
    return run


def _requested(steps: Steps, options: argparse.Namespace) -> tuple[list[list[str]], dict[str, bool]]:
    """The sets of attributes that are asked for, each as often as N says, or the changes of an edit."""
    options.attrs = getattr(options, "attributes", "") or (
        ",".join(steps.attributes.example) if options.attrs is None else options.attrs
    )
    if options.command is not edit:
        return [chosen for chosen in steps.attributes.parse_sets(options.attrs) for _ in range(options.n)], {}
    if options.attrs.startswith("@"):
        raise UserError(f"{options.attrs} cannot be a list of edits; give one, such as 'Smiling,!Eyeglasses'")
    return [], steps.attributes.parse_changes(options.attrs)


def _add_folder(folder: str, given: dict[str, str]) -> None:
    """Add the FOLDER of describe to the settings as their DATASET, or refuse two that differ."""
    named = folder if folder in conf.DATASETS else str(Path(folder).expanduser().absolute())
    if "dataset" in given and conf.resolve({"dataset": given["dataset"]}).dataset != named:
        raise UserError(
            f"{folder} and DATASET={given['dataset']} cannot be described at once; leave one of them out"
        )
    given["dataset"] = named


def _check_number(run: Run) -> None:
    """Refuse an N that is out of range, or has no effect."""
    n, command = run.options.n, run.options.command
    if n != 1 and command is not generate:
        raise UserError(f"N={n} has no effect on {command.__name__}; leave it out")
    if not 1 <= n <= MOST or len(run.sets) > MOST:
        raise UserError(f"N={n} makes {len(run.sets)} faces; choose 1 to {MOST}")


def main() -> int:
    """Run a command; bad input is one sentence and status 2, an interrupt says how to go on and is status
    130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, even where SIGINT is ignored
    try:
        run = parse(sys.argv[1:])
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
