"""What agents did on a suite: turns, invalid actions, and scores by sort of task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from understudy.environments.agents import TALLY
from understudy.evaluation.samples import SampleRecord
from understudy.rollouts import Rollout

_TOLD = ("steps", "malformed", "inadmissible", "repeated", "cut")


def actions_of(rollout: Rollout) -> dict[str, float] | None:
    """The counts of an agent's tally of an attempt; None where there is none."""
    tally = rollout.extra.get(TALLY)
    return {name: float(tally.get(name, 0)) for name in _TOLD} if isinstance(tally, Mapping) else None


def mean_turns_of(samples: Sequence[SampleRecord]) -> float | None:
    """Mean completions of an attempt; None where the model wrote none in any."""
    turns = [len(sample.completions) for sample in samples]
    return sum(turns) / len(turns) if any(turns) else None


def invalid_rate_of(samples: Sequence[SampleRecord]) -> float | None:
    """Share of all actions that were malformed or inadmissible; None where nobody tallied."""
    tallies = [sample.actions for sample in samples if sample.actions is not None]
    steps = sum(tally["steps"] for tally in tallies)
    return sum(tally["malformed"] + tally["inadmissible"] for tally in tallies) / steps if steps else None


def scores_by_domain(scores: Mapping[str, float], samples: Sequence[SampleRecord]) -> dict[str, float]:
    """Mean score of the problems of each domain; empty where all are of one.

    Args:
        scores: of each problem.
    """
    domain_of = {sample.problem: sample.domain for sample in samples}
    names = sorted(set(domain_of.values()))
    if len(names) < 2:
        return {}
    found = {name: [score for problem, score in scores.items() if domain_of[problem] == name] for name in names}
    return {name or "none": math.fsum(values) / len(values) for name, values in found.items()}
