"""What a soak's file says: how the memory, handles, threads and disk of the training process went, with intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WARM_STEPS = 4
"""A process that has done fewer steps still loads and allocates; our choice."""

_DRAWS = 2000


@dataclass(frozen=True)
class Slope:
    """A least-squares slope with its 95 % interval, by drawing whole lives with replacement."""

    value: float
    low: float
    high: float

    def written(self, unit: str) -> str:
        return f"{self.value:+.3g} {unit} ({self.low:+.3g} to {self.high:+.3g})"


Record = Mapping[str, Any]
Lives = Mapping[int, Sequence[Record]]


def lives_of(records: Sequence[Record]) -> dict[int, list[Record]]:
    """Samples of warm processes by life; a life needs two."""
    lives: dict[int, list[Record]] = {}
    saved = 0
    for record in records:
        if record["kind"] == "sample" and record["steps"] >= saved + WARM_STEPS and record["life"] in lives:
            lives[record["life"]].append(record)
        elif record["kind"] == "sample" and record["steps"] < saved + WARM_STEPS:
            lives[record["life"]] = []  # it has not made up what was lost: nothing of it counts yet
        elif record["kind"] == "kill":
            saved = record["saved"]
    return {life: samples for life, samples in lives.items() if len(samples) > 1}


def within(lives: Lives, name: str, *, over: str = "age") -> Slope:
    """How a figure changes as a process gets older, each life about its own mean."""
    return _drawn(lives, lambda chosen: _pooled([(_column(life, over), _column(life, name)) for life in chosen]))


def across(lives: Lives, name: str) -> Slope:
    """How a life's median of a figure changes with when the life began."""

    def slope(chosen: Sequence[Sequence[Record]]) -> float:
        begun = np.array([life[0]["at"] - life[0]["age"] for life in chosen])
        level = np.array([np.median(_column(life, name)) for life in chosen])
        return _pooled([(begun, level)])

    return _drawn(lives, slope)


def _column(life: Sequence[Record], name: str) -> np.ndarray:
    return np.array([sample[name] for sample in life], dtype=np.float64)


def _pooled(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    centred = [(x - x.mean(), y - y.mean()) for x, y in pairs]
    below = sum(float((x * x).sum()) for x, _ in centred)
    return sum(float((x * y).sum()) for x, y in centred) / below if below else 0.0


def _drawn(lives: Lives, slope: Callable[[Sequence[Sequence[Record]]], float]) -> Slope:
    known, generator = list(lives.values()), np.random.default_rng(0)
    picks = generator.integers(0, len(known), (_DRAWS, len(known)))
    values = [slope([known[place] for place in pick]) for pick in picks]
    low, high = np.percentile(values, [2.5, 97.5])
    return Slope(slope(known), float(low), float(high))


def table_of(file: Path) -> str:
    """The whole file in words and figures; also of a soak that still runs."""
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    kills = [record for record in records if record["kind"] == "kill"]
    lines = [_summary(records, kills)]
    lives = lives_of(records)
    if len(lives) < 3:
        return "\n".join([*lines, f"{len(lives)} lives of two warm samples or more: too few for a slope"])
    mega, hour = 2.0**20, 3600.0
    units = {"resident": (mega, "MiB"), "anonymous": (mega, "MiB"), "handles": (1, ""), "threads": (1, "")}
    lines.append(
        f"{'figure':<10} {'least':>8} {'median':>8} {'most':>8}  a process's hour (95 %)  the soak's hour (95 %)"
    )
    for name, (unit, word) in units.items():
        values = np.concatenate([_column(life, name) for life in lives.values()]) / unit
        slopes = [_scaled(slope, hour / unit).written(word) for slope in (within(lives, name), across(lives, name))]
        spread = f"{values.min():>8.1f} {np.median(values):>8.1f} {values.max():>8.1f}"
        lines.append(f"{name:<10} {spread}  {'  '.join(slopes)}")
    lines.append(_disk(records))
    return "\n".join(lines)


def _scaled(slope: Slope, factor: float) -> Slope:
    return Slope(slope.value * factor, slope.low * factor, slope.high * factor)


def _summary(records: Sequence[Record], kills: Sequence[Record]) -> str:
    if not kills:
        return "no kill yet"
    bad = [kill for kill in kills if kill["faults"]]
    again = [before["steps"] - after["saved"] for before, after in pairwise(kills) if after["saved"] < before["steps"]]
    minutes = max(record.get("at", 0.0) for record in records) / 60
    words = [
        f"{minutes:.0f} minutes, {len(kills)} kills, {kills[-1]['steps']} steps kept",
        f"{len(kills) - len(bad)} of {len(kills)} left metrics and rollouts whole and equal to what stood before",
    ]
    words += [f"life {kill['life']}: {'; '.join(kill['faults'])}" for kill in bad]
    return "\n".join(words) + (f"\n{len(again)} lives ended before they had made up what was lost" if again else "")


def _disk(records: Sequence[Record]) -> str:
    samples = [record for record in records if record["kind"] == "sample" and record["steps"]]
    first, last = samples[0], samples[-1]
    steps = max(1, last["steps"] - first["steps"])
    grown = (last["disk"] - first["disk"]) / 1024 / steps
    return f"disk {last['disk'] / 2**20:.1f} MiB at the last sample; {grown:.1f} KiB a step (rollouts and metrics stay)"
