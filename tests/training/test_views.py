"""What scorers read in place of the student's contexts, and the rows that survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.conformance.tiny import VOCAB
from tests.training.tiny_run import loaded, parts_of, sampled_rollouts, weights_of
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.errors import ShapeError
from understudy.models.sampling import LocalSampler
from understudy.objectives.objective import Objective
from understudy.objectives.supports import student_top_k
from understudy.objectives.terms import divergence
from understudy.plans import Divergence
from understudy.protocols import SamplingParams, ScoreRequest, View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.training.clock import Clock
from understudy.training.metrics import figures_of
from understudy.training.step import Parts, StepResult, run_step
from understudy.training.views import Reading, rows_seen_by_all


def step_of(parts: Parts, number: int = 0) -> StepResult:
    return run_step(parts, number, clock=Clock(), progress=lambda count: None)


def shown_the_best_peer(rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
    """SDPO's shape: the completion of the group's best rollout stands before the prompt; known after the rewards."""
    viewed = []
    for context in contexts:
        group = [r for r in rollouts if r.group == rollouts[context.rollout].group and r.turns]
        best = max(group, key=lambda r: r.reward or 0.0).turns[0].completion_ids
        viewed.append(Viewed(torch.cat([best, context.ids]), torch.arange(context.ids.numel()) + best.numel()))
    return viewed


def self_taught_parts(total_steps: int) -> Parts:
    """A student whose teacher is itself: averaged weights that read a peer's answer first."""
    policy = LocalPolicy(
        loaded(0), optimizer=OptimizerConfig(learning_rate=0.01), total_updates=total_steps, ema_decay=0.5
    )
    sampler = LocalSampler(policy.model, vocab_size=VOCAB, max_length=64)
    params = SamplingParams(max_completion_length=8, stop_ids=frozenset({1}))
    term = divergence(Divergence("jsd", beta=0.5, support="tail"), support=student_top_k(5))
    return Parts(
        collect=lambda step, progress: sampled_rollouts(sampler, params, step=step, progress=progress),
        policy=policy,
        objective=Objective({"self": term}),
        settings=parts_of(total_steps).settings,
        scorers={"teacher": policy.scorer("ema")},
        views={"teacher": View("reward", shown_the_best_peer)},
        announce=lambda version: sampler.load_weights(None, version),
    )


def test_a_privileged_self_teacher_reads_the_reward_s_best_peer_with_averaged_weights() -> None:
    parts = self_taught_parts(3)
    before = weights_of(parts)
    results = [step_of(parts, number) for number in range(3)]
    assert any(not a.equal(b) for a, b in zip(before, weights_of(parts), strict=True))
    table, contexts = results[-1].batch.table, results[-1].batch.contexts
    assert results[-1].drift is None or results[-1].drift < 1e-5

    # The columns of the last step are those of the average before its update, in the longer contexts.
    again = self_taught_parts(3)
    for number in range(2):
        step_of(again, number)
    viewed = shown_the_best_peer(results[-1].rollouts, contexts)
    position = torch.stack([viewed[c].position[p] for c, p in zip(table["context"], table["position"], strict=True)])
    ids = table.wide_column("student_top_k").ids
    scores = again.scorers["teacher"].score(
        ScoreRequest([one.ids for one in viewed], table["context"], position, ids=ids)
    )
    assert scores.at_ids is not None
    assert torch.allclose(table.wide_column("teacher_at_student_top_k").logprobs, scores.at_ids, atol=1e-6)
    live = again.policy.score(ScoreRequest([c.ids for c in contexts], table["context"], table["position"], ids=ids))
    assert live.at_ids is not None and not torch.allclose(scores.at_ids, live.at_ids, atol=1e-2)


def test_tokens_without_a_counterpart_have_no_row_and_are_counted() -> None:
    def every_other(_: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        return [Viewed(context.ids, places_of(context.ids)) for context in contexts]

    def places_of(ids: Tensor) -> Tensor:
        place = torch.arange(ids.numel())
        return torch.where(place % 2 == 0, place, -1)

    whole = step_of(parts_of(2))
    partial = step_of(replace(parts_of(2), views={"teacher": View("rollout", every_other)}))
    kept = whole.batch.table["position"] % 2 == 0
    assert partial.batch.table["position"].equal(whole.batch.table["position"][kept])
    assert partial.batch.table["teacher_logprob"].equal(whole.batch.table["teacher_logprob"][kept])
    assert partial.batch.table["student_logprob"].equal(whole.batch.table["student_logprob"][kept])
    assert figures_of(partial)["rollouts/unaligned_tokens"] == float((~kept).sum()) > 0
    assert "rollouts/unaligned_tokens" not in figures_of(whole)


def test_a_token_with_nothing_before_it_has_no_row() -> None:
    context = torch.zeros(4, dtype=torch.int64)
    readings = [Reading([], context, torch.tensor(places)) for places in ([1, 2, 3, 4], [0, 1, -1, 2])]
    assert rows_seen_by_all(readings, 4).tolist() == [1, 3]


def test_a_view_that_forgets_a_context_or_a_token_is_refused() -> None:
    for read, said in (
        (lambda _, contexts: [Viewed(c.ids, torch.arange(c.ids.numel())) for c in contexts[1:]], "number of texts"),
        (lambda _, contexts: [Viewed(c.ids, torch.arange(c.ids.numel() - 1)) for c in contexts], "every token"),
        (lambda _, contexts: [Viewed(c.ids, torch.arange(c.ids.numel()) + 1) for c in contexts], "every token"),
    ):
        with pytest.raises(ShapeError, match=said):
            step_of(replace(parts_of(2), views={"teacher": View("rollout", read)}))
