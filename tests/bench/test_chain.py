"""The chain's moments against brute force: automatic differentiation, and one sequence at a time."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from understudy.bench.chain import (
    Chain,
    largest_score,
    moments,
    random_chain,
    sampled_gradients,
    second_moment_bound,
    sequences,
)

DISCOUNTS = (0.0, 0.3, 1.0)


def reverse_kl_gradient(chain: Chain, length: int) -> Tensor:
    """Of KL(S||T) over whole sequences, by automatic differentiation of its definition."""
    logits = chain.student.clone().requires_grad_()
    student, teacher = logits.log_softmax(1), chain.teacher.log_softmax(1)
    total = torch.zeros((), dtype=torch.float64)
    for tokens in itertools.product(range(chain.vocabulary), repeat=length):
        pairs = list(zip((0, *tokens), tokens, strict=False))
        own = sum((student[pair] for pair in pairs), torch.zeros((), dtype=torch.float64))
        theirs = sum((teacher[pair] for pair in pairs), torch.zeros((), dtype=torch.float64))
        total = total + own.exp() * (own - theirs)
    (gradient,) = torch.autograd.grad(total, logits)
    return gradient.flatten()


def sampled_one_by_one(chain: Chain, length: int, discount: float) -> list[tuple[float, Tensor]]:
    """(probability, gradient) of every sequence: the surrogate -sum_t R_t log pi_S differentiated, R_t by its sum."""
    found = []
    teacher = chain.teacher.log_softmax(1)
    for tokens in itertools.product(range(chain.vocabulary), repeat=length):
        logits = chain.student.clone().requires_grad_()
        student = logits.log_softmax(1)
        pairs = list(zip((0, *tokens), tokens, strict=False))
        advantages = [float((teacher[pair] - student[pair]).detach()) for pair in pairs]
        loss = torch.zeros((), dtype=torch.float64)
        for t, pair in enumerate(pairs):
            to_go = sum(discount ** (k - t) * advantages[k] for k in range(t, length))
            loss = loss - to_go * student[pair]
        (gradient,) = torch.autograd.grad(loss, logits)
        found.append((math.exp(sum(float(student[pair].detach()) for pair in pairs)), gradient.flatten()))
    return found


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("length", [1, 3])
def test_every_sequence_has_its_probability_and_gradient(length: int, discount: float) -> None:
    chain = random_chain(5)
    tokens = sequences(3, length)
    probability, gradients = sampled_gradients(chain, tokens, discount=discount)
    for row, (chance, gradient) in enumerate(sampled_one_by_one(chain, length, discount)):
        assert float(probability[row]) == pytest.approx(chance, abs=1e-14)
        torch.testing.assert_close(gradients[row], gradient, rtol=0, atol=1e-12)
    assert float(probability.sum()) == pytest.approx(1, abs=1e-12)


def test_the_whole_return_gives_the_gradient_of_the_sequences_reverse_kl() -> None:
    chain, length = random_chain(1), 4
    probability, gradients = sampled_gradients(chain, sequences(3, length), discount=1.0)
    torch.testing.assert_close(probability @ gradients, reverse_kl_gradient(chain, length), rtol=0, atol=1e-12)


@pytest.mark.parametrize("discount", DISCOUNTS)
def test_moments_against_brute_force(discount: float) -> None:
    chain, length = random_chain(2), 3
    pairs = sampled_one_by_one(chain, length, discount)
    mean = sum((p * g for p, g in pairs), torch.zeros(9, dtype=torch.float64))
    target = reverse_kl_gradient(chain, length)
    found = moments(chain, length, discount=discount)
    assert found.bias == pytest.approx(float((mean - target).norm()), abs=1e-12)
    assert found.signal == pytest.approx(float(target.norm()), abs=1e-12)
    assert found.variance == pytest.approx(sum(p * float((g - mean).square().sum()) for p, g in pairs), abs=1e-12)
    assert found.bias == pytest.approx(0, abs=1e-12) if discount == 1 else found.bias > 0.01


def test_one_token_is_unbiased_whatever_the_discount() -> None:
    chain = random_chain(3)
    assert moments(chain, 1, discount=0.0) == moments(chain, 1, discount=1.0)
    assert moments(chain, 1, discount=0.0).bias == 0


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    logits = random_chain(4).student
    found = moments(Chain(logits, logits), 5, discount=0.5)
    assert (found.bias, found.signal, found.variance, found.bound) == (0, 0, 0, 0)


def test_the_bound_by_hand() -> None:
    """A fair coin against one of 3 to 1: |A| is at most log 2, the score's norm sqrt(1/2), the sum of returns 6."""
    half = torch.zeros(2, 2, dtype=torch.float64)
    skew = torch.tensor([[math.log(3), 0.0]] * 2, dtype=torch.float64)
    assert largest_score(half.log_softmax(1)) == pytest.approx(math.sqrt(0.5))
    bound = second_moment_bound(Chain(half, skew), 3, discount=1.0)
    assert bound == pytest.approx((math.log(2) * math.sqrt(0.5) * 6) ** 2)
    assert second_moment_bound(Chain(half, skew), 3, discount=0.0) == pytest.approx((math.log(2) * 3) ** 2 / 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_no_second_moment_exceeds_its_bound(seed: int, discount: float) -> None:
    chain = random_chain(seed)
    for length in (1, 2, 5):
        probability, gradients = sampled_gradients(chain, sequences(3, length), discount=discount)
        bound = second_moment_bound(chain, length, discount=discount)
        assert float(gradients.square().sum(1).max()) <= bound
        assert moments(chain, length, discount=discount).variance <= float(probability @ gradients.square().sum(1))


def test_chains_are_drawn_by_their_seed() -> None:
    assert torch.equal(random_chain(7).student, random_chain(7).student)
    assert not torch.equal(random_chain(7).student, random_chain(8).student)
    assert not torch.equal(random_chain(7).student, random_chain(7).teacher)
