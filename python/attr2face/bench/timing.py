"""Timing two contenders side by side."""

import statistics
import time
from collections.abc import Callable


def seconds(run: Callable[[], object]) -> float:
    """The time that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare_speeds(
    what: str, ours: Callable[[], object], theirs: Callable[[], object], images: int, rounds: int
) -> dict:
    """A row of medians: images/s of both, and the ratio theirs / ours of times, in changing order."""
    return compare_times(what, lambda: seconds(ours), lambda: seconds(theirs), images, rounds)


def compare_times(
    what: str, ours: Callable[[], float], theirs: Callable[[], float], images: int, rounds: int
) -> dict:
    """As `compare_speeds`, of contenders that return the seconds they took."""
    times = []
    for k in range(rounds):
        pair = {run: run() for run in ((ours, theirs) if k % 2 else (theirs, ours))}
        times.append((pair[ours], pair[theirs]))
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in times)
    return {
        "what": what,
        "ours": f"{images / a:.4g}/s",
        "theirs": f"{images / b:.4g}/s",
        "ratio": f"{ratio:.2f}",
    }
