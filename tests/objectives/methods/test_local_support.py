"""local_support: reverse KL renormalised on the teacher's top-k, and what is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    on_own_text,
    renormalised,
    reverse_kl,
    self_taught,
    with_tail,
)
from tests.objectives.oracle import make_chain, rollout_of
from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.local_support import LocalSupport
from understudy.objectives.special_tokens import first_special_tokens
from understudy.preview import preview
from understudy.recipe import load_recipe
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def local(live, teacher, ids):
    return reverse_kl(renormalised(live.gather(1, ids)), renormalised(teacher.gather(1, ids)))


@pytest.fixture
def chain():
    return make_chain(0, vocabulary=5, length=2)


@pytest.mark.parametrize("support", ["teacher", "student"])
def test_expected_gradient_is_the_local_divergence(chain, support):
    found = on_own_text(LocalSupport(support=support, reduction="token_sum"), chain, k=3)

    def claim(live, teacher):
        return local(live, teacher, (teacher if support == "teacher" else live).detach().topk(3).indices)

    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    assert difference(found, -at_visited_states(claim, chain)) > 1e-3


@pytest.mark.parametrize("normalisation", ["renormalised", "tail"])
def test_the_whole_vocabulary_is_the_reverse_kl(chain, normalisation):
    config = LocalSupport(normalisation=normalisation, reduction="token_sum")
    found = on_own_text(config, chain, k=5 if normalisation == "renormalised" else 4)
    assert difference(found, at_visited_states(reverse_kl, chain)) < 1e-9


def test_a_tail_bucket_stands_for_all_other_tokens(chain):
    def claim(live, teacher):
        ids = teacher.topk(2).indices
        return reverse_kl(with_tail(live.gather(1, ids)), with_tail(teacher.gather(1, ids)))

    found = on_own_text(LocalSupport(top_k=2, normalisation="tail", reduction="token_sum"), chain, k=3)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9


def test_the_sampled_token_joins_the_support_where_it_is_absent(chain):
    def claim(live, teacher):
        total = torch.zeros(live.shape[0], dtype=live.dtype)
        for state in range(live.shape[0]):
            for token in range(5):
                ids = teacher[state].topk(2).indices
                if token not in ids:
                    ids = torch.cat([ids, torch.tensor([token])])
                value = local(live[state : state + 1], teacher[state : state + 1], ids[None])[0]
                total[state] += live[state, token].exp().detach() * value
        return total

    found = on_own_text(LocalSupport(top_k=2, append_sampled=True, reduction="token_sum"), chain, k=2)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    without = on_own_text(LocalSupport(top_k=2, reduction="token_sum"), chain, k=2)
    assert difference(found, without) > 1e-3


def test_a_clipped_log_ratio_leaves_the_weight_its_gradient(chain):
    def claim(live, teacher):
        ids = teacher.topk(3).indices
        l, t = renormalised(live.gather(1, ids)), renormalised(teacher.gather(1, ids))
        return (l.exp() * (l - t).clamp(-0.4, 0.4)).sum(1)

    found = on_own_text(LocalSupport(log_ratio_clip=0.4, reduction="token_sum"), chain, k=3)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    wide = on_own_text(LocalSupport(log_ratio_clip=50, reduction="token_sum"), chain, k=3)
    plain = on_own_text(LocalSupport(reduction="token_sum"), chain, k=3)
    assert difference(wide, plain) < 1e-12 < difference(found, plain)


@pytest.mark.parametrize("append", [False, True])
def test_teacher_equal_to_student_gives_zero(chain, append):
    config = LocalSupport(append_sampled=append, reduction="token_sum")
    assert on_own_text(config, self_taught(chain), k=2).abs().max() < 1e-12


def table_of(*sequences):
    rollouts = [rollout_of(s, key=i, group=i, origin=Origin.STUDENT) for i, s in enumerate(sequences)]
    return batch_of(rollouts, contexts_of(rollouts)).table


def test_the_first_of_each_special_token_in_each_rollout_by_hand():
    table = table_of([1, 3, 3, 2, 0], [3, 1, 0, 3], [], [1, 1])
    gate = first_special_tokens([3, 0, 77])
    expected = [False, True, False, False, True, True, False, True, False, False, False]
    assert gate(table, PlanContext()).tolist() == expected


def test_special_tokens_leave_loss_and_mean():
    chain = make_chain(1)
    table = chain.filled(chain.batch(Origin.STUDENT))
    dropped = first_special_tokens([0, 2])(table, PlanContext())
    (plan,) = objective_of(LocalSupport(special_tokens=(0, 2))).plan(table, PlanContext())
    (term,) = plan.terms
    assert 0 < dropped.sum() < table.num_tokens
    assert term.rows.tolist() == (~dropped).nonzero()[:, 0].tolist()
    assert torch.allclose(term.weights.sum(), torch.ones((), dtype=torch.float64))


def test_special_tokens_named_by_text_get_ids_or_are_refused():
    config = LocalSupport(special_tokens=("</think>", 7))
    assert config.with_token_ids({"</think>": 11}.__getitem__).special_tokens == (11, 7)
    with pytest.raises(RecipeError, match="'</think>'"):
        objective_of(config).plan(make_chain(0).filled(make_chain(0).batch(Origin.STUDENT)), PlanContext())


def test_a_dry_run_needs_no_tokenizer_for_tokens_named_by_text():
    recipe = load_recipe(
        Path(__file__).parents[3] / "recipes" / "testbed-opd.yaml",
        ["objective.method=local_support", 'objective.special_tokens=["</think>"]'],
    )
    assert preview(recipe).planned_rows["local"] > 0


def test_entropy_share_keeps_the_unsure_tokens_of_each_rollout():
    chain = make_chain(2, length=4)
    table = chain.filled(chain.batch(Origin.STUDENT))
    (plan,) = objective_of(LocalSupport(entropy_share=0.2)).plan(table, PlanContext())
    for rollout in range(table.num_rollouts):
        mine = (table["rollout"] == rollout).nonzero()[:, 0]
        entropy = table["student_entropy"][mine]
        kept = mine[entropy >= torch.quantile(entropy, 0.8)]
        assert set(kept.tolist()) == set(mine.tolist()) & set(plan.terms[0].rows.tolist())
