"""The account of a blind comparison: who was preferred how often, how strong that makes them, and what order did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from understudy.evaluation.grading.agreement import fleiss_kappa
from understudy.evaluation.grading.asking import Grader
from understudy.evaluation.grading.bradley_terry import Verdict, rated
from understudy.evaluation.grading.votes import Reason
from understudy.evaluation.statistics import paired, wilson_interval


@dataclass(frozen=True)
class Preference:
    """One grader's word on one task.

    Args:
        won: 1 for A, 0 for B, 0.5 for a tie; None is ungraded. why: its reason. reason: why it is ungraded.
        is_a_first: the order it saw; None where nobody was asked. by_rule: one side handed nothing in.
        followed_order: of a grader that saw both orders and contradicted itself: True where it preferred the first one
            shown both times, False where the second.
    """

    task_id: str
    grader: str
    won: float | None
    why: str = ""
    reason: Reason | None = None
    is_a_first: bool | None = None
    by_rule: bool = False
    followed_order: bool | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def was_first_better(self) -> bool | None:
        """Whether it preferred the first one shown; None for a tie, or without a verdict or an order."""
        if self.is_a_first is None or self.won not in (0.0, 1.0):
            return None
        return (self.won == 1.0) == self.is_a_first


def pair_report(
    preferences: Sequence[Preference],
    *,
    only: Sequence[str],
    graders: Sequence[Grader],
    notices: Sequence[str],
    seed: int,
) -> dict[str, object]:
    """The content of ``pairwise.json``.

    ``majority`` counts tasks by what more than half of the graders prefer; ``bradley_terry`` uses every verdict, with
    intervals over tasks.
    """
    tasks = list(dict.fromkeys(one.task_id for one in preferences))
    by_task = {name: [one for one in preferences if one.task_id == name] for name in tasks}
    decided = {name: _majority([one.won for one in found]) for name, found in by_task.items()}
    counts = Counter(decided.values())
    judged = counts[1.0] + counts[0.5] + counts[0.0]
    return {
        "kind": "pairwise",
        "num_tasks": len(tasks),
        "tasks_of_one_run_only": list(only),
        "majority": paired(counts[1.0], counts[0.5], counts[0.0]).to_json() if judged else None,
        "num_ungraded": counts[None],
        "bradley_terry": _strengths(preferences, seed),
        "position": _position(preferences),
        "kappa": _kappa(list(by_task.values())),
        "graders": [_grader(one, [p for p in preferences if p.grader == one.settings.name]) for one in graders],
        "tasks": [
            {"task_id": name, "won": decided[name], "preferences": [_short(one) for one in found]}
            for name, found in by_task.items()
        ],
        "notices": [*notices, *(f"Grader {g.settings.name} was given up: {g.down}" for g in graders if g.down)],
    }


def _majority(won: Sequence[float | None]) -> float | None:
    """What more than half of the graders say; a task without that is ungraded."""
    return next((side for side in (1.0, 0.5, 0.0) if 2 * sum(one == side for one in won) > len(won)), None)


def _strengths(preferences: Sequence[Preference], seed: int) -> dict[str, object] | None:
    verdicts = [Verdict(one.task_id, 0, 1, one.won) for one in preferences if one.won is not None]
    if not verdicts:
        return None
    a = rated(verdicts, 2, seed=seed)[0]
    # Strengths have mean 0: the difference of two players is twice the first one's.
    logits = [2 * one for one in (a.mean, a.low, a.high)]
    chances = [1 / (1 + math.exp(-one)) for one in logits]
    return {
        **dict(zip(("log_odds", "log_odds_low", "log_odds_high"), logits, strict=True)),
        **dict(zip(("win_probability", "win_probability_low", "win_probability_high"), chances, strict=True)),
    }


def _position(preferences: Sequence[Preference]) -> dict[str, object]:
    """How often the one shown first was preferred, of decisive verdicts; one half where order does nothing."""
    firsts = [one.was_first_better for one in preferences if one.was_first_better is not None]
    followed = [one.followed_order for one in preferences if one.followed_order is not None]
    share = wilson_interval(sum(firsts), len(firsts)).to_json() if firsts else None
    return {"first_preferred": share, "changed_with_order": {"first": sum(followed), "second": followed.count(False)}}


def _kappa(tasks: Sequence[Sequence[Preference]]) -> float | None:
    whole = [
        [one.won for one in task]
        for task in tasks
        if not any(one.won is None or one.by_rule for one in task) and len(task) > 1
    ]
    return (
        fleiss_kappa(np.array([[row.count(side) for side in (1.0, 0.5, 0.0)] for row in whole], float))
        if whole
        else None
    )


def _grader(grader: Grader, given: Sequence[Preference]) -> dict[str, object]:
    settings, asked = grader.settings, [one for one in given if not one.by_rule]
    tokens = [sum(one.input_tokens for one in asked), sum(one.output_tokens for one in asked)]
    price = settings.price
    return {
        "name": settings.name,
        "model": settings.model,
        "url": settings.url,
        "down": grader.down,
        "preferred": {
            name: sum(one.won == won for one in asked) for name, won in (("a", 1.0), ("tie", 0.5), ("b", 0.0))
        },
        "ungraded": dict(Counter(one.reason for one in asked if one.reason)),
        "position": _position(asked),
        "num_requests": grader.spent.requests,
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "cost": (tokens[0] * price.input_per_million + tokens[1] * price.output_per_million) / 1e6,
    }


def _short(one: Preference) -> dict[str, object]:
    kept = ("grader", "won", "why", "reason", "is_a_first", "by_rule")
    return {name: value for name, value in asdict(one).items() if name in kept}
