"""Steps that judge: the judges themselves, what they are asked, and what they see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.descriptions import read_description
from attr2face.models import JUDGE
from attr2face.settings import Generation
from attr2face.steps.data import OTHER_SEEDS
from attr2face.steps.fitting import OF_COMMITTED, as_usual, at_hand, committed
from attr2face.steps.folders import database_in, trained_in, weights_in
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    from attr2face.evaluation.measures import Judges

# Judges.

JUDGED_BY = ("judge_people", "judge_pictures", "judge_share")


@step(version=2)
def judge(run: Run, judge_lmdb: Path) -> None:
    """The first judge of faces, ridge regression, of people whom no net has seen; its accuracy."""
    from attr2face.evaluation.judge import write_accuracy, write_judge

    write_judge(database_in(judge_lmdb), run.out, run.machine)
    write_accuracy(run.out / "judge.h5", database_in(judge_lmdb), run.out)


@choice(*OF_COMMITTED, *JUDGED_BY)
def judge_of_shown(settings: View) -> Use:
    """The judge of faces that are shown: the one that comes with the project, where its nets make them."""
    with_nets = committed(settings) and as_usual(settings, JUDGED_BY) and not settings.dataset.rendered
    return Use("committed_nets", part="judge") if with_nets else Use("judge")


@step()
def baseline(run: Run, lmdb: Path) -> None:
    """The same regression on the people whom the net learns from."""
    from attr2face.evaluation.judge import write_judge

    write_judge(database_in(lmdb), run.out, run.machine)


@choice("dataset", "seed")
def judge_start(settings: View) -> Use | None:
    """Where the net among the judges starts: that of photographs from the one of rendered faces."""
    if settings.dataset.rendered:
        return None
    return Use("net_judge", {"seed": settings.seed}, anew=True)


@choice()
def judge_body(settings: View) -> dict[str, object]:
    """The layers of the net among the judges, as plain data."""
    return JUDGE.body


@step("judge_epochs", "seed", resumable=True)
def net_judge(run: Run, judge_lmdb: Path, judge_start: Path | None, judge_body: dict) -> None:
    """The second judge, a net."""
    from attr2face.evaluation.netjudge import write_net_judge

    s = run.settings
    weights = weights_in(judge_start) if judge_start else None
    seed = s.seed + OTHER_SEEDS["judges"]
    write_net_judge(database_in(judge_lmdb), weights, s.judge_epochs, seed, run.out, run.machine)


@choice("identity", "vgg_face")
def identity(settings: View) -> dict[str, object]:
    """What tells people apart: the user's net, VGG-Face if it is there, or what finetuning starts from."""
    path = settings.identity
    if not path:
        vgg_face = File(settings.vgg_face, "make weights downloads it")
        if settings.vgg_face.exists():
            return {"vgg_face": vgg_face}
        return {"start": Use("start", {"repeat": 0})}
    from attr2face.evaluation.identity import read_identity

    net = read_identity(path)
    remedy = f"mend the path in {path}"
    mean = read_description(path, "IDENTITY").mean
    return {
        "description": File(path, "set IDENTITY to a TOML or JSON file"),
        "prototxt": File(net.prototxt, remedy),
        "weights": File(net.weights, remedy),
        # An image in a file of its own; numbers are in the description itself.
        "mean": hashlib.sha256(mean.tobytes()).hexdigest() if mean.ndim > 1 else None,
    }


@step("seed")
def projections(run: Run, lmdb: Path, judge: Path, net_judge: Path) -> None:
    """Principal components of what the judges see in pictures of training people."""
    from attr2face.evaluation.measures import write_projections

    database = database_in(lmdb)
    write_projections(judge / "judge.h5", net_judge, database, run.settings.seed, run.out, run.machine)


@choice()
def judges(settings: View) -> dict[str, Use]:
    """All who look at pictures, and what they need."""
    names = ("lmdb", "judge", "net_judge", "projections", "identity")
    return {name: Use(name) for name in names}


def judges_in(judges: Mapping[str, object], out: Path) -> Judges:
    """Who looks at pictures; a prototxt that has to be written goes to `out`."""
    from attr2face.evaluation import identity
    from attr2face.evaluation.measures import Judges

    found = judges["identity"]
    if "description" in found:
        net = identity.read_identity(found["description"])
        net.check()
    elif "vgg_face" in found:
        net = identity.vgg_face_net(found["vgg_face"], out)
    else:
        net = identity.own_net(database_in(judges["lmdb"]), weights_in(found["start"]), out)
    projections = judges["projections"] / "projections.npz"
    return Judges(judges["judge"] / "judge.h5", judges["net_judge"], net, judges["lmdb"], projections)


# What is asked, and what is seen.


@step("images", "split", "seed")
def requests(run: Run, lmdb: Path) -> None:
    """Attributes of unseen people's pictures, for which each method generates faces."""
    from attr2face.evaluation.requests import write_requests

    s = run.settings
    write_requests(database_in(lmdb), s.images, s.split, s.seed, run.out)


@step("seed")
def real(run: Run, judges: dict, requests: Path) -> None:
    """Measures of real pictures of unseen people."""
    from attr2face.evaluation.comparison import write_real
    from attr2face.evaluation.requests import read_requests

    database, asked = database_in(judges["lmdb"]), read_requests(requests)
    write_real(database, asked, judges_in(judges, run.out), run.settings.seed, run.out, run.machine)


def _of_method(settings: View) -> str:
    return f"requested-{settings.target}-{settings.preset}"


@step(Generation, "dataset", *DRAWN, resumable=True, label=_of_method)
def requested_faces(
    run: Run, own_nets: dict[str, Path], own_pictures: dict, requests: Path, descent: dict
) -> None:
    """A method's faces for the requests."""
    from attr2face.evaluation.requests import read_requests
    from attr2face.generation.faces import write_faces

    sets = read_requests(requests).with_draws
    settings, pictures = run.settings[Generation], at_hand(own_pictures, run.settings)
    made_with, seed = trained_in(**own_nets), run.training_seed
    write_faces(made_with, sets, settings, seed, run.out, run.machine, pictures)


@step("target", "preset", label=lambda settings: f"measures-of-{settings.target}-{settings.preset}")
def measures(run: Run, judges: dict, requested_faces: Path) -> None:
    """Measures of a method's faces."""
    from attr2face.evaluation.measures import write_measures

    write_measures(requested_faces, judges_in(judges, run.out), run.out, run.machine)


@step("seed")
def diagnosis(run: Run, lmdb: Path, finetuned: Path, mixture: Path, activations: Path) -> None:
    """What activations, attributes and targets are like, before a picture is generated."""
    from attr2face.evaluation.diagnosis import write_diagnosis
    from attr2face.report import figures

    seed = run.settings.seed
    trained = trained_in(lmdb, finetuned, mixture=mixture)
    kinds, has = write_diagnosis(trained, activations / "activations.h5", seed, run.out, run.machine)
    attributes = database_in(lmdb).attributes
    figures.save(figures.common_histograms(kinds, attributes, has, seed), run.out / "histograms")
