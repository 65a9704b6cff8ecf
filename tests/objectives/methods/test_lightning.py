"""lightning: the initial student's text, the teacher's stored marks, the student of now."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.claims import at_visited_states, distance, reverse_kl
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.lightning import Lightning
from understudy.rollouts import Origin


def found_under(initial, chain, **fields):
    """The plan's gradient in expectation over what the initial student (logits) wrote."""
    return expected_gradient(
        objective_of(Lightning(reduction="token_sum", **fields)),
        chain,
        origin=Origin.STUDENT,
        probability=chain.sequence_logprob(initial).exp(),
    )


def claim_of(initial, chain, penalty):
    probability = chain.sequence_logprob(initial).exp().detach()
    tokens = torch.tensor([token for sequence in chain.sequences for token in sequence])
    rows = chain.state_rows()
    teacher = chain.teacher.log_softmax(1)[rows, tokens]
    weight = probability.repeat_interleave(torch.tensor([len(sequence) for sequence in chain.sequences]))
    return gradient_of(lambda x: (weight * penalty(x.log_softmax(1)[rows, tokens] - teacher)).sum(), chain)


def squared(distance_to_teacher):
    return distance_to_teacher.square() / 2


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_that_of_the_squared_log_ratio_on_the_initial_text(seed):
    chain, initial = make_chain(seed), make_chain(40 + seed).logits.detach()
    found = found_under(initial, chain)
    assert distance(found, claim_of(initial, chain, squared)) < 1e-9
    assert distance(found, -claim_of(initial, chain, squared)) > 1e-3
    assert distance(found, at_visited_states(chain, reverse_kl(chain))) > 1e-3  # the text is not the student's of now


def test_a_clip_makes_it_huber_s():
    chain, initial = make_chain(2), make_chain(42).logits.detach()
    huber = torch.nn.HuberLoss(reduction="none", delta=0.5)
    claim = claim_of(initial, chain, lambda d: huber(d, torch.zeros_like(d)))
    assert distance(found_under(initial, chain, clip=0.5), claim) < 1e-9
    assert distance(found_under(initial, chain), claim) > 1e-3


def test_at_the_first_step_it_is_opd():
    chain = make_chain(3)
    found = found_under(chain.logits, chain)
    assert distance(found, at_visited_states(chain, reverse_kl(chain))) < 1e-9


def test_an_equal_teacher_gives_exactly_zero_and_the_sampler_is_not_asked():
    chain, initial = make_chain(4), make_chain(44).logits.detach()
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = found_under(initial, chain)
    assert torch.equal(found, torch.zeros_like(found))
    table = chain.filled(chain.batch(Origin.STUDENT))
    unknown = table.with_tokens(behaviour_logprob=torch.full_like(table["behaviour_logprob"], torch.nan))
    (plan,) = objective_of(Lightning()).plan(unknown, PlanContext())
    assert plan.terms[0].row_loss.ratio.kind == "one" and plan.terms[0].row_loss.old_logprob is None


def test_the_initial_student_writes():
    assert objective_of(Lightning()).writing.weights == "initial"
