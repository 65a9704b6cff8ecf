"""Suites that need no grader: a text's negative log-likelihood, and the reverse KL to a teacher on fresh answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from understudy.evaluation.suites import Better, SampleRecord, SuiteResult
from understudy.protocols import Scorer, ScoreRequest
from understudy.rollouts import Rollout, contexts_of
from understudy.tokens import batch_of


def nll_result(name: str, rollouts: Sequence[Rollout], scorer: Scorer) -> SuiteResult:
    """Mean -log p a token of each written completion, nats; one sample a rollout. Lower is better."""
    return _result(name, rollouts, [-column for column in _by_rollout(rollouts, scorer)])


def reverse_kl_result(
    name: str, rollouts: Sequence[Rollout], student: Scorer, teacher: Scorer, *, routes: Sequence[str] = ()
) -> SuiteResult:
    """Mean log pi_S - log pi_T a token of each fresh answer, nats: the k1 estimate of KL(S||T). Lower is better.

    Both sides are scored by full-vocabulary softmaxes at temperature 1, whatever the sampler kept.

    Args:
        routes: one a rollout, for a teacher that stands for several.
    """
    ours, theirs = _by_rollout(rollouts, student), _by_rollout(rollouts, teacher, routes)
    return _result(name, rollouts, [a - b for a, b in zip(ours, theirs, strict=True)])


def _by_rollout(rollouts: Sequence[Rollout], scorer: Scorer, routes: Sequence[str] = ()) -> list[Tensor]:
    """Log-probs of each rollout's scored tokens, float64."""
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    request = ScoreRequest(
        contexts=[context.ids for context in contexts],
        context=table["context"],
        position=table["position"],
        routes=[routes[context.rollout] for context in contexts] if routes else (),
    )
    logprobs = scorer.score(request).sampled.double()
    return list(logprobs.split(torch.bincount(table["rollout"], minlength=len(rollouts)).tolist()))


def _result(name: str, rollouts: Sequence[Rollout], columns: Sequence[Tensor]) -> SuiteResult:
    """Answers without a token say nothing and count 0."""
    better: Better = "lower"
    samples = [
        SampleRecord(
            problem=rollout.problem,
            completions=(),
            reward=float(column.mean()) if column.numel() else 0.0,
            correct=None,
            finish_reason=rollout.finish_reason,
            num_tokens=column.numel(),
        )
        for rollout, column in zip(rollouts, columns, strict=True)
    ]
    return SuiteResult(name, better, tuple(samples))
