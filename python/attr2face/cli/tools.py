"""Commands about the store, the settings, the project's own files and its pages."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from attr2face.api import ENVIRONMENT
from attr2face.attributes import pubfig
from attr2face.cli.run import CommandLine, check_vgg, results_folder
from attr2face.errors import UserError
from attr2face.settings import Settings
from attr2face.steps.places import CHECKOUT


def describe(run: CommandLine) -> None:
    """check a dataset, and say what to do before anything is made from it"""
    from attr2face.data.describe import Wanted, describe_dataset

    steps, s = run.steps, run.steps.settings
    root = steps.dataset.root or steps.made("faces")
    wanted = Wanted(steps.model.crop + s.database.margin, s.judging.judge_share, s.seed)
    errors = 0
    for finding in describe_dataset(root, steps.dataset, wanted):
        print(finding)
        errors += finding.fatal
    if errors:
        raise UserError(f"{root} cannot be used as it is; mend the errors above ({errors})")
    given = {**steps.given, "attrs": ",".join(steps.dataset.attributes.example)}
    words = shlex.join(f"{name.upper()}={value}" for name, value in given.items())
    print(f"{root} can be used: make generate {words}")


def sheet(run: CommandLine) -> None:
    """draw a rendered person without and with each attribute, as docs/attributes.jpg"""
    from attr2face.data.render.contact_sheet import contact_sheet

    page = CHECKOUT / "docs" / "attributes.jpg"
    contact_sheet(page, 96, 7, run.steps.settings.seed)
    print(page)


def nets(run: CommandLine) -> None:
    """write the committed prototxt files again"""
    from attr2face.datasets import dataset_of
    from attr2face.models import MODELS
    from attr2face.network.committed import write_prototxts
    from attr2face.steps.resolve import defaults_of

    synthetic = dataset_of("synthetic")
    usual = {name: defaults_of(synthetic, model) for name, model in MODELS.items()}
    write_prototxts(CHECKOUT / "prototxt", usual)


def bench(run: CommandLine) -> None:
    """measure speeds, side by side with Caffe's own tools"""
    from attr2face.bench.speeds import measure_speeds

    measure_speeds(run.steps, run.options.gpu, run.options.torch)


def notebooks(run: CommandLine) -> None:
    """execute the notebooks, as pages in results/; notebooks/ keeps small outputs of the default settings"""
    from attr2face.report.notebooks import executed, write_light, write_notebook_page

    _prepare(run)
    out = results_folder() / f"{run.steps.dataset.name}-{run.steps.model.name}" / "notebooks"
    for path in sorted((CHECKOUT / "notebooks").glob("[1-6]_*.ipynb")):
        notebook = executed(path, _notebook_environment(run))
        write_notebook_page(notebook, out / f"{path.stem}.html")
        print(out / f"{path.stem}.html")
        if run.steps.settings == Settings():
            write_light(notebook, path)
            print(path)


def jupyter(run: CommandLine) -> None:
    """open the notebooks"""
    _prepare(run)
    command = [str(Path(sys.executable).with_name("jupyter")), "lab", "--ServerApp.ip=127.0.0.1"]
    done = subprocess.run([*command, str(CHECKOUT / "notebooks")], env=_notebook_environment(run))
    if done.returncode:
        raise UserError(f"jupyter lab ended with status {done.returncode}")


def _prepare(run: CommandLine) -> None:
    """Make what the notebooks read, if they can show it."""
    steps, target = run.steps, run.options.command.__name__
    check_vgg(steps, target)
    missing = [name for name in pubfig().names if name not in steps.dataset.attributes.index]
    if missing:
        raise UserError(
            f"make {target} shows PubFig's attributes, and DATASET={steps.settings.dataset} lacks "
            f"{missing[0]}; choose synthetic, lfw, lfw_published or pubfig"
        )
    for name in ("mixture", "eigenfaces", "decoder", "scores", "judge"):
        steps.made(name)
    steps.varied(layer=steps.model.output).made("decoder")
    for part in steps["face_nets"].values():
        part.made()


def _notebook_environment(run: CommandLine) -> dict[str, str]:
    """The environment in which `Pipeline.from_environment` finds what the command was given."""
    places = ("workers", "gpu", "scheduler", "ship")
    where = {"store": run.steps.store.root} | {name: getattr(run.options, name) for name in places}
    named = {**run.steps.given, **where}
    given = shlex.join(f"{name.upper()}={value}" for name, value in named.items())
    return os.environ | {ENVIRONMENT: given, "TQDM_DISABLE": "1"}


def demo(run: CommandLine) -> None:
    """serve a page to tick attributes on, at 127.0.0.1:PORT"""
    from attr2face.demo.server import serve

    port = str(run.options.port)
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UserError(f"PORT={port} is no port; choose 1 to 65535")
    serve(run.steps, int(port))


def worker(run: CommandLine) -> None:
    """start a worker for the scheduler at SCHEDULER, with one thread, or the card GPU"""
    from attr2face.cluster.worker import start_worker

    start_worker(run.options.scheduler, run.steps.machine.cards)
