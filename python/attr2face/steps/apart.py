"""Trainings side by side, each on a worker of a cluster that shares the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.cluster.worker import cards_here
from attr2face.parallel import Machine, map_in_order
from attr2face.store import artefacts_in

if TYPE_CHECKING:
    from attr2face.steps.graph import Steps


def make_apart(steps: Steps, runs: Sequence[Steps], names: Sequence[str]) -> None:
    """Make some steps of other settings, each by a worker of the cluster, with one thread or on one card.

    Without a cluster that shares the store, nothing is made here: each training takes all that this machine
    has, one after another.
    """
    cluster = steps.machine.cluster
    if not cluster or cluster.ship:
        return
    missing = [run for run in runs if not all(run[name].exists for name in names)]
    # What several runs start from is made once: what each repetition was pretrained to, then what all workers
    # can compute together.
    starts = {run["start"].key: run for run in missing if not getattr(run["start"], "exists", True)}
    _make_all(steps, [(run, ["start"]) for run in starts.values()])
    for run in missing:
        for _, made_from in artefacts_in(run["finetuned"].inputs):
            made_from.made()
    _make_all(steps, [(run, list(names)) for run in missing])


def _make_all(steps: Steps, jobs: Sequence[tuple[Steps, list[str]]]) -> None:
    from tqdm import tqdm

    tasks = [(run.given, run.arguments, steps.store.root, names) for run, names in jobs]
    with tqdm(total=len(tasks), desc="trainings", unit=" trainings", disable=not tasks) as bar:
        for (run, names), _ in zip(jobs, map_in_order(steps.machine, make_here, tasks), strict=True):
            for name in names:
                run[name].wait_for()
            bar.update()


def make_here(
    given: Mapping[str, str], arguments: Mapping[str, object], store: Path, names: Sequence[str]
) -> None:
    """Make some steps of some settings here, and nowhere else: the task of a worker that shares the store."""
    from attr2face.steps.graph import Steps

    steps = Steps(given, store, Machine(1, cards_here()), arguments)
    for name in names:
        steps.made(name)
