"""Both sides in alternating processes, and the ratios of their times pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ours
from benchmarks.measure import Clock, Measured, measure_apart
from benchmarks.workload import SIZES, write_workload

PEER_DEFAULT = "distillation-default"
_EXPLORING_STEPS = 2

Runs = Mapping[str, Sequence[Measured]]
"""Setting -> its processes, in the order of the rounds."""


@dataclass(frozen=True)
class Comparison:
    """One size.

    Args:
        ours, peers: the measured settings of each side. explored: median seconds of every setting of the peer that
            was tried before, by which ``peers`` were chosen: its defaults, its fastest in float32, its fastest.
    """

    size: str
    ours: Runs
    peers: Runs
    explored: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """How much is measured, and how: rounds of fresh processes, steps in each, their threads, the clock they read.

    ``say`` is told of progress.
    """

    rounds: int
    steps: int
    threads: int
    clock: Clock = "wall"
    with_peer: bool = True
    say: Callable[[str], None] = lambda _: None


def compare(size: str, folder: Path, plan: Plan) -> Comparison:
    """Choose the peer's settings, then take turns: ours, theirs, ours, theirs, in every round."""
    write_workload(folder, SIZES[size])
    explored = _explore(size, folder, plan) if plan.with_peer else {}
    mine = {setting: [] for setting in ours.SETTINGS}
    peers = {setting: [] for setting in _chosen(explored)}
    turns = _alternating([("ours", one) for one in mine], [("peer", one) for one in peers])
    for number in range(plan.rounds):
        for side, setting in turns:
            done = measure_apart(folder, size, side, setting, steps=plan.steps, threads=plan.threads, clock=plan.clock)
            (mine if side == "ours" else peers)[setting].append(done)
            plan.say(f"{size} round {number + 1}: {side} {setting} {done.seconds['total']:.3f} s")
    return Comparison(size, mine, peers, explored)


def ratios(mine: Sequence[Measured], theirs: Sequence[Measured]) -> tuple[float, float, float]:
    """Their seconds over ours by rounds: (median, smallest, largest)."""
    pairs = [b.seconds["total"] / a.seconds["total"] for a, b in zip(mine, theirs, strict=True)]
    return statistics.median(pairs), min(pairs), max(pairs)


def _explore(size: str, folder: Path, plan: Plan) -> dict[str, float]:
    from benchmarks import peer

    explored = {}
    for setting in peer.SETTINGS:
        done = measure_apart(
            folder, size, "peer", setting, steps=_EXPLORING_STEPS, threads=plan.threads, clock=plan.clock
        )
        explored[setting] = done.seconds["total"]
        plan.say(f"{size}: trying {setting} {explored[setting]:.3f} s")
    return explored


def _chosen(explored: Mapping[str, float]) -> list[str]:
    if not explored:
        return []
    exact = [setting for setting in explored if "float32" in setting]
    best = [min(names, key=lambda name: explored[name]) for names in (exact, list(explored))]
    return list(dict.fromkeys([PEER_DEFAULT, *best]))


def _alternating(first: Sequence, second: Sequence) -> list:
    """One of each in turn; what is left of the longer at the end."""
    pairs = [one for pair in zip(first, second, strict=False) for one in pair]
    shared = min(len(first), len(second))
    return [*pairs, *first[shared:], *second[shared:]]
