"""Both sides in alternating processes, and the ratios of their seconds round by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from understudy.bench.speed.apart import MeasurementError, Place, measure_apart
from understudy.bench.speed.following import Following
from understudy.bench.speed.phases import Clock
from understudy.bench.speed.settings import OUR_SETTINGS, PEER_DEFAULT, PEER_SETTINGS
from understudy.bench.speed.step_job import Measured, Side, StepJob
from understudy.bench.speed.workload import SIZES, Size
from understudy.bench.speed.writing import write_apart

_EXPLORING_STEPS = 2

Turn = tuple[Side, str]
Runs = Mapping[str, Sequence[Measured]]
"""Setting -> its processes, in the order of the rounds."""


@dataclass(frozen=True)
class Order:
    """How much is measured, and how.

    Args:
        rounds: of fresh processes. steps: in each, after one that is thrown away. threads: of both sides.
        clock: what they read. peer_python: an interpreter that has trl; None leaves TRL out.
        settings: of ours. peer_settings: of TRL's; empty tries them all and takes its defaults, its fastest in
            float32 and its fastest. limit_seconds: of one process.
    """

    rounds: int = 3
    steps: int = 4
    threads: int = 1
    clock: Clock = "wall"
    peer_python: str | None = None
    settings: Sequence[str] = OUR_SETTINGS
    peer_settings: Sequence[str] = ()
    limit_seconds: float = 1800.0

    @property
    def processes(self) -> int:
        """About how many are started for a size."""
        tried = 0 if self.peer_python is None or self.peer_settings else len(PEER_SETTINGS)
        peers = 0 if self.peer_python is None else len(self.peer_settings) or 3
        return tried + self.rounds * (len(self.settings) + peers)


@dataclass(frozen=True)
class Comparison:
    """One size.

    Args:
        ours, peers: the measured settings of each side. explored: seconds of every setting of TRL that was tried
            before, by which ``peers`` were chosen. failures: reasons by side and setting, such as ``TRL gkd-float32``.
    """

    size: str
    ours: Runs
    peers: Runs
    explored: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio:
    """Their seconds over ours, over rounds."""

    median: float
    smallest: float
    largest: float


def ratio_of(mine: Sequence[Measured], theirs: Sequence[Measured]) -> Ratio:
    """Their seconds over ours, each pair within one round."""
    pairs = [b.total / a.total for a, b in zip(mine, theirs, strict=True)]
    return Ratio(statistics.median(pairs), min(pairs), max(pairs))


def compare(size: str, order: Order, following: Following) -> Comparison:
    """Choose TRL's settings, then take turns: ours, theirs, ours, theirs, in every round.

    A setting that fails once is left out from then on, and its reason is kept.
    """
    with TemporaryDirectory(prefix="understudy-speed-") as folder:
        write_apart(Path(folder), SIZES[size])
        bench = _Bench(Path(folder), SIZES[size], order, label=size, following=following)
        explored = bench.explore() if order.peer_python and not order.peer_settings else {}
        chosen = (order.peer_settings or fastest_of(explored)) if order.peer_python else []
        mine: list[Turn] = [("ours", setting) for setting in order.settings]
        turns = alternating(mine, [("peer", setting) for setting in chosen])
        for number in range(order.rounds):
            for side, setting in turns:
                bench.turn(side, setting, number)
    return Comparison(size, bench.kept("ours"), bench.kept("peer"), explored, bench.failures)


class _Bench:
    """The processes of one size, and what came of them."""

    def __init__(self, folder: Path, size: Size, order: Order, *, label: str, following: Following) -> None:
        self._order, self._label, self._following = order, label, following
        self._job = StepJob(str(folder), size, "ours", "", steps=order.steps, threads=order.threads, clock=order.clock)
        self._found: dict[tuple[Side, str], list[Measured]] = {}
        self.failures: dict[str, str] = {}

    def explore(self) -> dict[str, float]:
        """Seconds of every setting of TRL that works."""
        found = {}
        for setting in PEER_SETTINGS:
            done = self._measured("peer", setting, steps=_EXPLORING_STEPS, what="trying")
            if done is not None:
                found[setting] = done.total
        return found

    def turn(self, side: Side, setting: str, number: int) -> None:
        """Measure a setting, unless it failed before."""
        if _name(side, setting) in self.failures:
            self._following.skip()
            return
        done = self._measured(side, setting, steps=self._order.steps, what=f"round {number + 1},")
        if done is not None:
            self._found.setdefault((side, setting), []).append(done)

    def kept(self, side: Side) -> dict[str, list[Measured]]:
        """The settings of a side that worked in every round."""
        return {
            setting: runs
            for (whose, setting), runs in self._found.items()
            if whose == side and _name(side, setting) not in self.failures
        }

    def _measured(self, side: Side, setting: str, *, steps: int, what: str) -> Measured | None:
        name = _name(side, setting)
        self._following.begin(f"{self._label} {what} {name}")
        python = self._order.peer_python if side == "peer" else None
        place = Place(python, threads=self._order.threads, limit_seconds=self._order.limit_seconds)
        job = replace(self._job, side=side, setting=setting, steps=steps)
        try:
            done = Measured(**measure_apart("step_job", job.to_json(), place))
        except MeasurementError as error:
            self.failures[name] = str(error)
            self._following.end(f"failed: {error}")
            return None
        self._following.end(f"{done.total:.3f} s a step, {done.memory_mib:.0f} MiB")
        return done


def fastest_of(explored: Mapping[str, float]) -> list[str]:
    """TRL's defaults, its fastest in float32, its fastest; those that worked."""
    groups = [[PEER_DEFAULT], [name for name in explored if "float32" in name], [*explored]]
    best = [min(there, key=explored.__getitem__) for group in groups if (there := [n for n in group if n in explored])]
    return list(dict.fromkeys(best))


def alternating(first: Sequence[Turn], second: Sequence[Turn]) -> list[Turn]:
    """One of each in turn; what is left of the longer at the end."""
    pairs = [one for pair in zip(first, second, strict=False) for one in pair]
    shared = min(len(first), len(second))
    return [*pairs, *first[shared:], *second[shared:]]


def _name(side: Side, setting: str) -> str:
    return f"{'Understudy' if side == 'ours' else 'TRL'} {setting}"
