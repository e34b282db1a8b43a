"""Caffe on GPUs: its mode is set here, and work is shared out among several cards, or cores, a process each.

`devices` are the numbers of cards; None among them is the CPU.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from itertools import cycle
from multiprocessing import connection, get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from attr2face.caffe_quietly import caffe
from attr2face.errors import UserError
from attr2face.models import Model

Devices = tuple[int | None, ...]
CPU: Devices = (None,)

# Caffe aborts where a card is not there, so another process tries.
TRIAL = "import sys, caffe; [caffe.set_device(int(card)) for card in sys.argv[1:]]; print(caffe.has_nccl())"


def devices_named(text: str) -> Devices:
    """The cards that GPU=`text` names, as in "0" or "0,1", once each has been tried; the CPU where it is empty.

    Raises
    ------
    UserError
        If a card is not there, Caffe was built for the CPU only, or several are named and it was built without NCCL.
    """
    if not text:
        return CPU
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise UserError(f"GPU={text} does not name cards; give their numbers, such as GPU=0 or GPU=0,1")
    cards = tuple(dict.fromkeys(map(int, text.split(","))))
    trial = subprocess.run([sys.executable, "-c", TRIAL, *map(str, cards)], capture_output=True, text=True)
    if "CPU-only" in trial.stderr:
        raise UserError(
            f"GPU={text}: this Caffe was built for the CPU only; build one with CUDA by make setup GPU={text}, or leave GPU empty"
        )
    if trial.returncode:
        reason = re.search(r"vs\. 0\)\s+(.+)", trial.stderr)
        raise UserError(f"GPU={text} cannot be used ({reason[1] if reason else 'Caffe ended'}); see nvidia-smi, or leave GPU empty")
    if len(cards) > 1 and "True" not in trial.stdout:
        raise UserError(f"GPU={text}: this Caffe was built without NCCL, which several cards need; name one card")
    return cards


def use(device: int | None) -> None:
    """Run what this process does from now on on a card; on the CPU, where Caffe starts, for None."""
    if device is not None:
        caffe.set_device(device)  # before the mode, whose setting takes up card 0
        caffe.set_mode_gpu()


def cores(devices: Devices, model: Model, pieces: int) -> Devices:
    """A process for each core in place of one on the CPU, for work in many pieces.

    A large net's products keep all cores busy, and its memory is better had once.
    """
    if devices != CPU or model.name != "mini":
        return devices
    return CPU * max(1, min(os.cpu_count() or 1, pieces // 2))


def in_turn(work: Callable[..., Iterator], devices: Devices, *arguments: object) -> Iterator:
    """What `work(k, n, *arguments)` yields on n devices, k from 0 to n - 1: item i comes from k = i mod n.

    One device is this process's own. Each of several has a process, on the CPU with a thread, and none of those outlives this generator.
    The first shows its progress.

    Raises
    ------
    UserError
        If a process raised one, or ended early.
    """
    n = len(devices)
    if n == 1:
        yield from work(0, 1, *arguments)
        return
    context = get_context("spawn")
    errors, pipes = context.SimpleQueue(), [context.Pipe(duplex=False) for _ in devices]
    processes = [
        context.Process(target=_run, args=(writer, errors, device, work, k, n, arguments), daemon=True)
        for k, (device, (_, writer)) in enumerate(zip(devices, pipes, strict=True))
    ]
    try:
        for process, (_, writer) in zip(processes, pipes, strict=True):
            process.start()
            writer.close()
        for process, (reader, _) in cycle(zip(processes, pipes, strict=True)):
            _wait(reader, processes, errors)
            try:
                yield reader.recv()
            except EOFError:  # this one has no more, so nor have the others
                process.join()
                _wait(reader, processes, errors)
                return
    finally:
        for process in processes:
            process.terminate()


def _wait(reader: connection.Connection, processes: list, errors: object) -> None:
    """Until there is something to read, or its end; raise if any process failed."""
    while True:
        # In this order: what ends from here on wakes the wait.
        running = [process.sentinel for process in processes if process.exitcode is None]
        there = reader.poll()
        if any(process.exitcode for process in processes):
            raise UserError(
                errors.get() if not errors.empty() else "one of the processes that shared the work ended early; run the command again"
            )
        if there:
            return
        connection.wait([reader, *running])


def _run(writer: connection.Connection, errors: object, device: int | None, work: Callable[..., Iterator], k: int, n: int,
         arguments: tuple) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere if k else sys.stderr):
            threadpool_limits(1 if device is None else None)
            use(device)
            for item in work(k, n, *arguments):
                writer.send(item)
    except Exception as error:
        errors.put(str(error) if isinstance(error, UserError) else repr(error))
        os._exit(2)
