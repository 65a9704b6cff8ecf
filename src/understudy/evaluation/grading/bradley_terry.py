"""Strengths from pairwise verdicts, with intervals over the tasks they were given on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.errors import DataError
from understudy.evaluation.statistics import equal_differences, is_constant

_TURNS = 10_000
_CLOSE = 1e-10
_PRIOR = 0.5
"""Wins given to each side of each pair that met, so that who never lost has a finite strength; our choice."""


@dataclass(frozen=True)
class Verdict:
    """A task judged between two players.

    Args:
        task: identifier. first, second: numbers of the players. won: 1 the first, 0 the second, 0.5 neither.
    """

    task: str
    first: int
    second: int
    won: float


@dataclass(frozen=True)
class Strength:
    """A player's strength, log-odds against the mean player, and its interval by the bootstrap over tasks."""

    mean: float
    low: float
    high: float


def strengths(wins: Float[np.ndarray, "player player"], *, prior: float = _PRIOR) -> Float[np.ndarray, "player"]:
    """Log strengths (natural, mean 0) that make the wins likeliest: P(i beats j) = s_i / (s_i + s_j).

    Hunter's iteration of minorising functions. For two players without a prior it is the closed form, half of
    log(wins / losses) each way.

    >>> strengths(np.array([[0.0, 30.0], [10.0, 0.0]]), prior=0.0).round(4).tolist()
    [0.5493, -0.5493]

    Args:
        wins: wins[i, j] of i over j; ties count half for both. prior: added to both sides of every pair that met.
    Raises:
        DataError: the players fall into groups that never met, or without a prior one never won or never lost.
    Source: Bradley and Terry, Biometrika 39 (1952); Hunter, Ann. Stat. 32 (2004).
    """
    met = (wins + wins.T) > 0
    counted = wins + prior * met
    if not _all_connected(counted > 0):
        raise DataError(
            "strengths cannot be told", got="players that never met, or one that always won", expected="a prior"
        )
    games, total = counted + counted.T, counted.sum(axis=1)
    strength = np.ones(len(wins))
    for _ in range(_TURNS):
        sums = strength[:, None] + strength[None, :]
        new = total / (games / sums).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new) - np.log(strength)).max() < _CLOSE:
            return np.log(new)
        strength = new
    return np.log(strength)


def rated(
    verdicts: Sequence[Verdict], num_players: int, *, seed: int, num_samples: int = 1000, confidence: float = 0.95
) -> list[Strength]:
    """Each player's strength with the percentile bootstrap over tasks, all verdicts on a task drawn together.

    Where two players fared alike on every task all samples are the same: the bounds are then those of the margin by
    ``equal_differences``.

    Raises:
        DataError: there are no verdicts, or see ``strengths``.
    """
    if not verdicts:
        raise DataError("there are no verdicts to rate players by", expected="at least 1")
    tasks = list(dict.fromkeys(verdict.task for verdict in verdicts))
    tables = np.zeros((len(tasks), num_players, num_players))
    for verdict in verdicts:
        table = tables[tasks.index(verdict.task)]
        table[verdict.first, verdict.second] += verdict.won
        table[verdict.second, verdict.first] += 1 - verdict.won
    mean = strengths(tables.sum(axis=0))
    tail = (1 - confidence) / 2
    if num_players == 2 and is_constant(margins := _margins(tables)):
        bounds = [_strength_of(one, tables) for one in equal_differences(float(margins[0]), len(tasks), chance=tail)]
        return [Strength(float(mean[0]), *bounds), Strength(float(mean[1]), -bounds[1], -bounds[0])]
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(num_samples):
        table = tables[generator.integers(len(tasks), size=len(tasks))].sum(axis=0)
        try:
            drawn.append(strengths(table))
        except DataError:  # a sample in which two groups did not meet says nothing of their difference
            continue
    low, high = (
        np.quantile(drawn, [tail, 1 - tail], axis=0)
        if drawn
        else (np.full_like(mean, -np.inf), np.full_like(mean, np.inf))
    )
    return [Strength(*(float(x) for x in three)) for three in zip(mean, low, high, strict=True)]


def _margins(tables: Float[np.ndarray, "task 2 2"]) -> Float[np.ndarray, "task"]:
    """The first player's wins less its losses, as a share of the verdicts on each task."""
    won, lost = tables[:, 0, 1], tables[:, 1, 0]
    return (won - lost) / (won + lost)


def _strength_of(margin: float, tables: Float[np.ndarray, "task 2 2"]) -> float:
    """The first player's strength, had all verdicts together that margin."""
    won = tables.sum() * (1 + margin) / 2
    return float(strengths(np.array([[0.0, won], [tables.sum() - won, 0.0]]))[0])


def _all_connected(beats: np.ndarray) -> bool:
    """Whether from every player a chain of wins leads to every other one."""
    reach = beats | np.eye(len(beats), dtype=bool)
    for _ in range(len(beats)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return bool(reach.all())
