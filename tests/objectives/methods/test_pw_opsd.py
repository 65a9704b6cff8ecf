"""pw_opsd: a full-vocabulary divergence in which later tokens of a response weigh more."""

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.claims import distance, on_policy
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain, rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import GKD, objective_of
from understudy.objectives.methods.pw_opsd import PWOPSD
from understudy.objectives.positions import late_positions
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def weight(place, *, lowest=0.25, middle=0.30, width=0.10):
    return lowest + (1 - lowest) / (1 + math.exp(-(place - middle) / width))


def claim_of(chain, *, per_sequence, flip=1):
    probability, teacher = chain.sequence_logprob(chain.logits).exp().detach(), chain.teacher.log_softmax(1)

    def loss(logits):
        live = logits.log_softmax(1)
        forward = (teacher.exp() * (teacher - live)).sum(1)
        total = torch.zeros((), dtype=torch.float64)
        for number, sequence in enumerate(chain.sequences):
            length = len(sequence)
            for t in range(length):
                place = (t + 0.5) / length
                share = weight(place if flip == 1 else 1 - place) / (length if per_sequence else 1)
                total = total + probability[number] * share * forward[chain.row_of(sequence[:t])]
        return total / (len(chain.sequences) if per_sequence else 1)

    return gradient_of(loss, chain)


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_the_weighted_forward_kl_along_every_rollout(seed):
    chain = make_chain(seed)
    found = on_policy(PWOPSD(reduction="token_sum"), chain)
    assert distance(found, claim_of(chain, per_sequence=False)) < 1e-9
    assert distance(found, claim_of(chain, per_sequence=False, flip=-1)) > 1e-3


def test_every_sequence_weighs_the_same():
    chain = make_chain(2)
    assert distance(on_policy(PWOPSD(), chain), claim_of(chain, per_sequence=True)) < 1e-9


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_with_equal_weights_it_is_the_divergence_itself(beta):
    chain = make_chain(3)
    flat = on_policy(PWOPSD(beta=beta, lowest=1.0, reduction="token_sum"), chain)
    assert distance(flat, on_policy(GKD(beta=beta, lmbda=1.0, reduction="token_sum"), chain)) < 1e-12


def test_teacher_equal_to_student_gives_zero_and_other_writers_teach_nothing():
    chain = make_chain(4)
    elsewhere = expected_gradient(
        objective_of(PWOPSD(reduction="token_sum")),
        chain,
        origin=Origin.DATA,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(elsewhere, torch.zeros_like(elsewhere))
    chain.teacher = chain.logits.detach().clone()
    assert on_policy(PWOPSD(reduction="token_sum"), chain).abs().max() < 1e-12


def test_weights_by_hand_rise_along_the_student_s_own_tokens():
    mixed = rollout_of([1, 2, 1, 2, 1, 1], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[:2] = Origin.TEACHER
    table = batch_of([mixed], contexts_of([mixed])).table
    weights = late_positions(lowest=0.25, middle=0.30, width=0.10)(table, PlanContext())
    assert weights[2:].tolist() == pytest.approx([weight((i + 0.5) / 4) for i in range(4)])
    assert weights[2] < 0.53 < 0.99 < weights[5]
