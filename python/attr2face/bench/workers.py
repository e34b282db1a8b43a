"""What workers of a cluster cost: the same work by as many processes of this machine, side by side."""

import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from attr2face.bench.timing import compare_speeds
from attr2face.cluster.client import client_of
from attr2face.generation.faces import write_faces
from attr2face.generation.presets import needed
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine
from attr2face.steps import Steps
from attr2face.steps.fitting import trained_by
from attr2face.steps.folders import database_in, weights_in

_IMAGES = 12_000
FACES = [["Male", "Smiling", "Eyeglasses"]] * 64


def spreading(steps: Steps, rounds: int) -> Iterator[dict]:
    """Extraction and faces by the workers, and by as many processes of this machine."""
    cluster = steps.machine
    processes = replace(cluster, cluster=None, workers=len(client_of(cluster.cluster).nthreads()))
    lmdb = steps.made("lmdb")
    what = Extraction(lmdb, weights_in(steps.made("finetuned")), steps.settings.layer)
    generation = steps.settings.generation
    trained = trained_by(steps, *needed(generation))

    def extracting(machine: Machine, rows: np.ndarray) -> None:
        deque(compute_activations(what, rows, machine), maxlen=0)

    def facing(machine: Machine) -> None:
        with tempfile.TemporaryDirectory() as out:
            write_faces(trained, FACES, generation, 1, Path(out), machine)

    rows = np.arange(min(_IMAGES, len(database_in(lmdb).split)))
    extracting(cluster, rows)  # workers import Caffe with their first task
    sides = f"workers against processes, {processes.workers} of each"
    ours, theirs = partial(extracting, cluster, rows), partial(extracting, processes, rows)
    yield compare_speeds(f"extraction, {sides}", ours, theirs, len(rows), rounds)
    ours, theirs = partial(facing, cluster), partial(facing, processes)
    yield compare_speeds(f"faces, {sides}", ours, theirs, len(FACES), rounds)
