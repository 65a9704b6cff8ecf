"""entropy_opd: OPD at the states where the student is least sure, over the batch or over each rollout."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.claims import at_visited_states, distance, on_policy, reverse_kl, sampled_loss
from tests.objectives.oracle import expected_gradient, make_chain, plan_loss, rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.entropy_opd import EntropyOPD
from understudy.objectives.within import quantile_within, sum_before, total_within
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def entropies(chain):
    live = chain.logits.detach().log_softmax(1)
    return -(live.exp() * live).sum(1)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_over_the_batch_it_is_reverse_kl_at_the_unsure_states(share):
    chain = make_chain(0)
    found = on_policy(EntropyOPD(share=share, reduction="token_sum"), chain)
    entropy = entropies(chain)
    unsure = entropy >= torch.quantile(entropy[chain.state_rows()], 1 - share)
    assert 0 < int(unsure.sum()) < unsure.numel()
    assert distance(found, at_visited_states(chain, lambda live: unsure * reverse_kl(chain)(live))) < 1e-9
    assert distance(found, at_visited_states(chain, lambda live: ~unsure * reverse_kl(chain)(live))) > 1e-3
    assert distance(found, at_visited_states(chain, lambda live: -(unsure * reverse_kl(chain)(live)))) > 1e-3


def test_over_each_rollout_it_is_the_sum_over_rollouts_each_with_its_own_line():
    chain = make_chain(1)
    found = on_policy(EntropyOPD(share=0.5, over="rollout", reduction="token_sum"), chain)
    entropy = entropies(chain)

    def kept(ratio, sequence):
        own = entropy[[chain.row_of(sequence[:t]) for t in range(len(sequence))]]
        return (own >= torch.quantile(own, 0.5)) * ratio

    assert distance(found, sampled_loss(chain, kept)) < 1e-9
    assert distance(found, on_policy(EntropyOPD(share=0.5, reduction="token_sum"), chain)) > 1e-3


def test_all_of_them_is_opd_and_an_equal_teacher_gives_exactly_zero():
    chain = make_chain(2)
    for over in ("batch", "rollout"):
        everything = EntropyOPD(share=1.0, over=over, reduction="token_sum")
        assert torch.equal(on_policy(everything, chain), on_policy(OPD(reduction="token_sum"), chain))
    chain.teacher = chain.logits.detach().clone()
    found = expected_gradient(
        objective_of(EntropyOPD(reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(found, torch.zeros_like(found))


@pytest.mark.parametrize("over", ["batch", "rollout"])
def test_the_line_is_drawn_through_the_student_s_own_tokens(over):
    """Half of the student's four are kept, though a teacher's two between them are surer, or less sure, than all."""
    mixed = rollout_of([1, 1, 1, 1, 1, 1], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[1:3] = Origin.TEACHER
    table = batch_of([mixed], contexts_of([mixed])).table
    logprob = torch.full((6,), -1.0, dtype=torch.float64)
    table = table.with_tokens(teacher_logprob=logprob, student_logprob=2 * logprob, behaviour_logprob=2 * logprob)
    for others in (9.0, 0.0):
        entropy = torch.tensor([1.0, others, others, 4.0, 2.0, 3.0], dtype=torch.float64)
        (plan,) = objective_of(EntropyOPD(share=0.5, over=over)).plan(
            table.with_tokens(student_entropy=entropy), PlanContext()
        )
        assert plan.terms[0].rows.tolist() == [3, 5]


def test_a_gated_mean_divides_by_what_is_kept():
    chain = make_chain(3)
    table, rows = chain.filled(chain.batch(Origin.STUDENT)), chain.state_rows()
    plans = [objective_of(EntropyOPD(denominator=d)).plan(table, PlanContext())[0] for d in ("all", "gated")]
    kept = plans[0].terms[0].rows.numel()
    assert 0 < kept < table.num_tokens
    every, gated = (plan_loss(plan, chain.logits[rows]) for plan in plans)
    assert torch.allclose(every * table.num_tokens, gated * kept, atol=1e-12)


def test_statistics_within_rollouts_by_hand_in_any_order_of_rows():
    rollout = torch.tensor([2, 0, 2, 0, 2, 0, 0, 0])
    index = torch.tensor([1, 4, 0, 0, 2, 2, 1, 3])
    values = torch.tensor([20.0, 5.0, 10.0, 1.0, 40.0, 3.0, 2.0, 4.0], dtype=torch.float64)
    before = sum_before(values, rollout=rollout, index=index)
    assert before.tolist() == [10.0, 10.0, 0.0, 0.0, 30.0, 3.0, 1.0, 6.0]
    assert total_within(values, rollout).tolist() == [70.0, 15.0, 70.0, 15.0, 70.0, 15.0, 15.0, 15.0]
    found = quantile_within(values, 0.8, rollout=rollout, num_rollouts=4)
    assert found[0].item() == pytest.approx(4.2) and found[2].item() == pytest.approx(32.0)
    assert found[[1, 3]].isnan().all()
    none = torch.zeros(0, dtype=torch.float64)
    assert sum_before(none, rollout=none.long(), index=none.long()).numel() == 0
    assert quantile_within(none, 0.5, rollout=none.long(), num_rollouts=2).isnan().all()
