"""Laws of the methods that compare distributions: nothing to learn from, targets without mass, what they cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.largest_tensor import LargestTensor
from tests.objectives.oracle import rollout_of
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, objective_of
from understudy.objectives.synthetic import synthetic_table
from understudy.plans import Full
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import Hidden, TokenTable, Wide, batch_of

LENGTHS = [[4], [6], [], [5], [7], [5]]
CONTEXT = PlanContext(step=1, total_steps=3)
ON_IDS = {
    "topk_fkl": {},
    "jsd_topk": {},
    "local_support": {"append_sampled": True, "special_tokens": (1, 2)},
    "rethinking": {"support": "union"},
    "vopd": {"baseline": "top_k"},
    "sdpo": {},
    "opcd": {"with_teacher_top_k": True},
    "sdft": {},
}
ON_VOCABULARY = {"distillm": {}, "veto": {"direction": "forward"}, "tip": {}, "minillm": {}, "opsd": {}}
BY_NAME = {config.model_fields["method"].default: config for config in METHODS}


def config_of(name: str, **options):
    return BY_NAME[name](**{**ON_IDS, **ON_VOCABULARY}[name], **options)


FAMILY = [*ON_IDS, *ON_VOCABULARY]


def without_mass(logprobs: torch.Tensor) -> torch.Tensor:
    holed = logprobs.clone()
    holed[::2, -1] = -torch.inf
    holed[1] = -torch.inf
    return holed


@pytest.mark.parametrize("name", FAMILY)
def test_a_teacher_without_mass_gives_no_nan(name):
    probe = make_probe(rollouts_of(LENGTHS))
    table = probe.table
    teacher = probe.teacher.clone()
    teacher[:, 3] = -torch.inf
    probe.teacher = teacher
    probe.table = table.with_tokens(teacher_logprob=without_mass(table["teacher_logprob"][:, None])[:, 0]).with_wide(
        **{n: replace(w, logprobs=without_mass(w.logprobs)) for n, w in table.wide.items() if n.startswith("teacher")}
    )
    probe.table = probe.table.with_hidden(teacher=Hidden(teacher, lambda states: states))
    (found,) = check_on_ranks(objective_of(config_of(name)), probe, context=CONTEXT)
    assert torch.isfinite(found).all() and found.abs().max() > 0


@pytest.mark.parametrize("name", sorted({*FAMILY} - {"distillm"}))
def test_tokens_of_others_give_the_distillation_exactly_zero(name):
    """DistiLLM learns from text of others too, as ``gkd`` does."""
    rollouts = rollouts_of(LENGTHS)
    for rollout in rollouts:
        for turn in rollout.turns:
            turn.origin[:] = Origin.TEACHER
    probe = make_probe(rollouts)
    (plan,) = objective_of(config_of(name)).plan(probe.table, CONTEXT)
    assert all(term.rows.numel() == 0 for term in plan.terms)
    assert torch.equal(probe.gradient([plan]), torch.zeros_like(probe.weight))
    assert all(value == value or key.endswith(("p05", "p95")) for key, value in plan.statistics.items())


def wide_table(objective, *, rows: int, k: int) -> TokenTable:
    """One long rollout with every column the objective needs, K distinct ids a row."""
    rollout = rollout_of(list(range(1, rows + 1)), key=0, group=0, origin=Origin.STUDENT)
    table = batch_of([rollout], contexts_of([rollout])).table
    ids = torch.arange(k)[None] + torch.arange(rows)[:, None]
    names = [f"{scorer}_top_k" for scorer in objective.needs.top_k]
    wide = {name: Wide(ids + 3 * place, torch.full((rows, k), -5.0)) for place, name in enumerate(names)}
    wide |= {f"{scorer}_at_{column}": wide[column] for scorer, column in objective.needs.at_ids}
    columns = {name: torch.full((rows,), -1.0) for name in (*objective.needs.columns, "behaviour_logprob")}
    return table.with_tokens(**columns).with_wide(**wide)


@pytest.mark.parametrize("name", ON_IDS)
def test_planning_on_ids_is_linear_in_rows_and_ids(name):
    rows, k = 40, 16
    objective = objective_of(config_of(name, top_k=k))
    assert not objective.needs.hidden
    with LargestTensor() as largest:
        objective.plan(wide_table(objective, rows=rows, k=k), CONTEXT)
    assert largest.values <= 2 * rows * k


@pytest.mark.parametrize("name", FAMILY)
def test_only_these_touch_the_vocabulary(name):
    objective = objective_of(config_of(name))
    (plan,) = objective.plan(synthetic_table(objective), CONTEXT)
    assert any(isinstance(term.support, Full) for term in plan.terms) == (name in ON_VOCABULARY)
