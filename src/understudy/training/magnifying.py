"""The likeliest tokens of student and teacher at every place of a few rollouts, for the page that shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.errors import TokenizerMismatchError
from understudy.protocols import Scorer, ScoreRequest, Scores
from understudy.tokens import TokenTable
from understudy.training.columns import Scoring

_STEPS = 20
"""About so many steps of a run are magnified, however long it is: the cost of the whole is bounded."""


@dataclass(frozen=True)
class Magnifier:
    """What is kept, and when.

    Args:
        num_rollouts: of a step; 0 magnifies nothing. top_k: tokens kept at each place.
    """

    num_rollouts: int = 0
    top_k: int = 5

    def is_due(self, step: int, *, total_steps: int) -> bool:
        """Whether this step is one of the about twenty, the first and the last among them.

        >>> [step for step in range(100) if Magnifier(6).is_due(step, total_steps=100)][-2:]
        [95, 99]
        """
        every = max(1, total_steps // _STEPS)
        return self.num_rollouts > 0 and (step % every == 0 or step == total_steps - 1)


@dataclass(frozen=True, eq=False)
class Magnified:
    """One scorer's likeliest tokens at some rows of the token table.

    Args:
        rows: [M] int64, ascending. ids: [M, K] int64, most likely first. logprobs: [M, K] float32 nats.
    """

    rows: Tensor
    ids: Tensor
    logprobs: Tensor


def magnified(
    table: TokenTable, scorers: Mapping[str, Scorer], scoring: Scoring, magnifier: Magnifier
) -> dict[str, Magnified]:
    """The likeliest tokens by each scorer that can tell them; what the method asked for anyway is not asked again."""
    rows = _rows_of(table, magnifier.num_rollouts)
    found = {}
    for name, scorer in scorers.items():
        known = table.wide.get(f"{name}_top_k")
        if known is not None:
            ids, logprobs = known.ids[rows, : magnifier.top_k], known.logprobs[rows, : magnifier.top_k]
        else:
            width = scorer.capabilities.width(min(magnifier.top_k, scorer.capabilities.top_k))
            scores = _asked(scorer, _request(scoring, name, rows, width)) if width and rows.numel() else None
            if scores is None or scores.top_ids is None or scores.top_logprobs is None:
                continue
            ids, logprobs = scores.top_ids, scores.top_logprobs
        found[name] = Magnified(rows, ids, logprobs)
    return found


def _asked(scorer: Scorer, request: ScoreRequest) -> Scores | None:
    """The scores, or None of a teacher with another tokenizer that has no single token at some of these places."""
    try:
        return scorer.score(request)
    except TokenizerMismatchError:
        return None


def _request(scoring: Scoring, name: str, rows: Tensor, width: int) -> ScoreRequest:
    """Only the contexts of these rows, so that nothing else is read again."""
    reading = scoring.readings[name]
    contexts = reading.context[rows].unique()
    return ScoreRequest(
        contexts=[reading.contexts[int(number)] for number in contexts],
        context=torch.searchsorted(contexts, reading.context[rows]),
        position=reading.position[rows],
        top_k=width,
        temperature=scoring.temperature,
        routes=[reading.routes[int(number)] for number in contexts] if reading.routes else (),
    )


def _rows_of(table: TokenTable, count: int) -> Tensor:
    """[M] rows of rollouts spread evenly from the best to the worst: by reward, then by distance to the teacher."""
    numbers = table["rollout"].unique().tolist()
    ranked = sorted(numbers, key=lambda number: _rank(table, number))
    places = torch.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().long().unique()
    chosen = [ranked[place] for place in places.tolist()]
    return torch.isin(table["rollout"], torch.tensor(chosen, dtype=torch.int64)).nonzero().squeeze(1)


def _rank(table: TokenTable, number: int) -> tuple[float, float, int]:
    reward = float(table.rollouts["reward"][number])
    rows = table["rollout"] == number
    distance = 0.0
    if "teacher_logprob" in table.tokens:
        gap = (table.tokens.get("student_logprob", table["behaviour_logprob"]) - table["teacher_logprob"])[rows]
        distance = float(gap[gap.isfinite()].double().mean()) if bool(gap.isfinite().any()) else 0.0
    return (0.0 if reward != reward else -reward, -distance, number)
