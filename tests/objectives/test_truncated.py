"""Rollouts that the length limit cut: learned from, or as if they had no tokens, for every method."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.probes import Probe, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, objective_of
from understudy.plans import LossPlan
from understudy.rollouts import FinishReason, Origin, Rollout, contexts_of
from understudy.tokens import batch_of

LENGTHS = [[4], [6], [3], [5], [7], [2], [6], [4], [5, 3], [4, 6]]
CUT = (1, 2, 5, 9)
CONTEXT = PlanContext(step=1, total_steps=3)


def rollouts() -> list[Rollout]:
    found = [replace(one, correct=one.key % 2 == 0) for one in rollouts_of(LENGTHS)]
    found[0].turns[0].origin[:] = Origin.DATA
    found[3].turns[0].origin[:] = Origin.TEACHER
    return [replace(one, finish_reason=FinishReason.LENGTH) if n in CUT else one for n, one in enumerate(found)]


def without_their_tokens(probe: Probe) -> Probe:
    """The same batch in which the rollouts that were cut are empty, every other row as it was."""
    rows = (~probe.table.rollouts["truncated"][probe.table["rollout"]]).nonzero().squeeze(1)
    emptied = [replace(one, turns=()) if n in CUT else one for n, one in enumerate(probe.rollouts)]
    table = batch_of(emptied, contexts_of(emptied)).table
    kept = probe.table.keep_rows(rows)
    tokens = {**kept.tokens, "turn": table["turn"], "context": table["context"]}
    return replace(
        probe,
        rollouts=emptied,
        features=probe.features[rows],
        teacher=probe.teacher[rows],
        table=replace(table, tokens=tokens, wide=kept.wide, hidden=kept.hidden),
    )


def weights_by_row(plan: LossPlan, num_tokens: int) -> torch.Tensor:
    """[N] how much of each term stands on each row, all terms together."""
    total = torch.zeros(num_tokens, dtype=torch.float64)
    for term in plan.terms:
        total.index_add_(0, term.rows, term.weights.double().abs())
    return total


@pytest.mark.parametrize("config", list(METHODS), ids=lambda c: c.__name__)
def test_masked_rollouts_are_as_rollouts_without_tokens(config):
    probe = make_probe(rollouts())
    (plan,) = objective_of(config(truncated="mask")).plan(probe.table, CONTEXT)
    cut = probe.table.rollouts["truncated"][probe.table["rollout"]]
    assert not weights_by_row(plan, probe.table.num_tokens)[cut].any()
    found = probe.gradient([plan])
    assert found.abs().max() > 0
    emptied = without_their_tokens(probe)
    expected = emptied.gradient(objective_of(config()).plan(emptied.table, CONTEXT))
    assert (found - expected).abs().max() < 1e-12
    assert (found - probe.gradient(objective_of(config()).plan(probe.table, CONTEXT))).abs().max() > 1e-9


def test_their_rewards_stay_in_their_groups():
    """Of two rollouts with rewards 1 and 0 the second was cut: the first is still better than its group's mean."""
    pair = [replace(one, reward=1.0 - n) for n, one in enumerate(rollouts_of([[3], [4]]))]
    probe = make_probe([pair[0], replace(pair[1], finish_reason=FinishReason.LENGTH)])
    grpo = next(config for config in METHODS if config.__name__ == "GRPO")
    (plan,) = objective_of(grpo(truncated="mask", advantage="centred", reduction="token_mean")).plan(
        probe.table, CONTEXT
    )
    (term,) = plan.terms
    assert term.rows.tolist() == [0, 1, 2]
    assert term.weights.tolist() == [1 / 3] * 3
    assert term.row_loss.advantage.flatten().tolist() == [0.5] * 3


def test_a_batch_in_which_everything_was_cut_plans_nothing():
    probe = make_probe([replace(one, finish_reason=FinishReason.LENGTH) for one in rollouts()])
    for config in METHODS:
        (plan,) = objective_of(config(truncated="mask")).plan(probe.table, CONTEXT)
        assert all(term.rows.numel() == 0 for term in plan.terms)
