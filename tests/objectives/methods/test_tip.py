"""tip: reverse KL on the tokens that the soft-or of uncertainty and disagreement keeps."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import difference, reverse_kl, self_taught
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.tip import TIP
from understudy.rollouts import Origin


def kept_rows(entropy, divergence, *, share, clip):
    """[N] bool, written out anew from arXiv:2604.14084."""
    entropy = torch.minimum(entropy, torch.quantile(entropy, clip))
    h = (entropy - entropy.min()) / (entropy.max() - entropy.min())
    d = (divergence - divergence.min()) / (divergence.max() - divergence.min())
    score = h + d - h * d
    return score >= torch.quantile(score, 1 - share)


@pytest.mark.parametrize("share", [0.2, 0.4, 1.0])
@pytest.mark.parametrize("clip", [0.7, 0.98])
def test_expected_gradient_is_the_reverse_kl_of_the_kept_rows(share, clip):
    chain = make_chain(0, vocabulary=4, length=3)
    rows, sizes = chain.state_rows(), torch.tensor([len(s) for s in chain.sequences])
    live, teacher = chain.logits.detach().log_softmax(1)[rows], chain.teacher.log_softmax(1)[rows]
    entropy = -(live.exp() * live).sum(1)
    kept = kept_rows(entropy, reverse_kl(live, teacher), share=share, clip=clip)
    probability = chain.sequence_logprob(chain.logits).exp()
    config = TIP(share=share, clip_quantile=clip, reduction="token_sum")
    found = expected_gradient(objective_of(config), chain, origin=Origin.STUDENT, probability=probability)
    weight = probability.detach().repeat_interleave(sizes)

    def claim(logits):
        return (weight * kept * reverse_kl(logits.log_softmax(1)[rows], teacher)).sum()

    assert difference(found, gradient_of(claim, chain)) < 1e-9
    assert difference(found, -gradient_of(claim, chain)) > 1e-3
    assert (kept.sum() == len(rows)) == (share == 1.0)


def test_the_mean_is_over_kept_tokens_on_any_number_of_ranks():
    probe = make_probe(rollouts_of([[4], [6], [3], [5], [7], [2]]))
    (found,) = check_on_ranks(objective_of(TIP(share=0.3)), probe)
    kept = kept_rows(
        probe.table["student_entropy"], reverse_kl(probe.live.detach(), probe.teacher), share=0.3, clip=0.98
    )
    claim = probe.claimed(lambda live: (kept * reverse_kl(live, probe.teacher)).sum() / kept.sum())
    assert 0 < kept.sum() < probe.table.num_tokens
    assert difference(found, claim) < 1e-12


def test_teacher_equal_to_student_gives_zero():
    chain = self_taught(make_chain(1))
    probability = torch.ones(len(chain.sequences))
    objective = objective_of(TIP(reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    assert found.abs().max() < 1e-12


def test_a_batch_without_a_token_of_the_student_is_exactly_zero():
    chain = make_chain(2)
    (plan,) = objective_of(TIP()).plan(chain.filled(chain.batch(Origin.DATA)), PlanContext())
    assert plan.terms[0].rows.numel() == 0
