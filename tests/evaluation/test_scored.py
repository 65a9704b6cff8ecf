"""Suites without a grader, against dense log-softmaxes of tiny real models."""

from __future__ import annotations

import pytest
import torch

from tests.conformance.oracle import dense_logprobs
from tests.conformance.tiny import VOCAB, tiny_model
from tests.training.tiny_run import loaded
from understudy.engines.local import LocalScorer
from understudy.evaluation.scored import nll_result, reverse_kl_result
from understudy.rollouts import FinishReason, Origin, Rollout, Turn

TEXTS = ([2, 3, 4], [5], [6, 7])


def rollouts() -> list[Rollout]:
    made = []
    for number, text in enumerate(TEXTS):
        ids = torch.tensor(text)
        turn = Turn(
            prompt_ids=torch.tensor([8, 9]),
            completion_ids=ids,
            origin=torch.full_like(ids, Origin.DATA),
            behaviour_logprob=torch.full((len(text),), float("nan")),
            weight_version=torch.full_like(ids, -1),
            finish_reason=FinishReason.STOP,
        )
        made.append(Rollout(number, number, f"p{number}", (turn,), FinishReason.STOP))
    return [*made, Rollout(3, 3, "empty", (), FinishReason.FAILED)]


def dense(seed: int) -> list[torch.Tensor]:
    """Log-probs of each text's tokens."""
    columns = []
    for text in TEXTS:
        ids = torch.tensor([8, 9, *text])
        position = torch.arange(2, 2 + len(text))
        at = dense_logprobs(tiny_model(seed=seed), [ids], torch.zeros_like(position), position, vocab_size=VOCAB)
        columns.append(at.gather(1, ids[2:, None])[:, 0].detach())
    return columns


def test_nll_is_the_mean_surprisal_a_token_of_each_text() -> None:
    result = nll_result("heldout_nll", rollouts(), LocalScorer(loaded(0)))
    assert result.better == "lower"
    expected = {f"p{n}": float(-column.mean()) for n, column in enumerate(dense(0))} | {"empty": 0.0}
    assert dict(result.scores) == pytest.approx(expected, abs=1e-5)


def test_reverse_kl_is_the_mean_log_ratio_and_zero_for_the_teacher_itself() -> None:
    student, teacher = LocalScorer(loaded(0)), LocalScorer(loaded(1))
    result = reverse_kl_result("kl", rollouts(), student, teacher)
    expected = {f"p{n}": float((a - b).mean()) for n, (a, b) in enumerate(zip(dense(0), dense(1), strict=True))}
    assert dict(result.scores) == pytest.approx(expected | {"empty": 0.0}, abs=1e-5)
    itself = reverse_kl_result("kl", rollouts(), teacher, teacher)
    assert set(itself.scores.values()) == {0.0} and itself.estimate.mean == 0.0
