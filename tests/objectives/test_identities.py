"""The fourteen identities of docs/methods/identities.md, each against autograd or a closed form in float64."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.objectives.methods.test_opd import sequence_reverse_kl
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.row_losses import evaluate, evaluate_full
from understudy.plans import Divergence, Likelihood, Ratio, ToTarget
from understudy.rollouts import Origin

VOCABULARY = 7
PAGE = Path(__file__).parents[2] / "docs" / "methods" / "identities.md"


def test_the_page_states_every_identity_and_names_its_test():
    sections = re.split(r"^<a id=\"identity-(\d+)\"></a>\n## \1\. ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    named = {
        number: re.findall(r"`(test_\w+)`", text) for number, text in zip(sections[::2], sections[1::2], strict=True)
    }
    tests = [name for name in globals() if re.match(r"test_\d+_", name)]
    assert list(named) == [str(number) for number in range(1, 15)]
    assert named == {number: [each for each in tests if each.split("_")[1] == number] for number in named}


@pytest.fixture(params=[0, 1, 2])
def pair(request) -> tuple[Tensor, Tensor]:
    """Student logits with gradient, teacher log-probs."""
    generator = torch.Generator().manual_seed(request.param)
    student = torch.randn(VOCABULARY, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(VOCABULARY, generator=generator, dtype=torch.float64).log_softmax(0)
    return student, teacher


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits)[0]


def expectation_of_rows(row_loss_at, logits: Tensor) -> Tensor:
    """E_{y ~ S} of the gradient of a sampled row loss, S held fixed in the expectation."""
    live = logits.log_softmax(0)
    values = torch.stack([row_loss_at(y, live[None, y : y + 1])[0] for y in range(VOCABULARY)])
    return gradient((live.detach().exp() * values).sum(), logits)


def reverse_kl(live: Tensor, teacher: Tensor) -> Tensor:
    return (live.exp() * (live - teacher)).sum()


def forward_kl(live: Tensor, teacher: Tensor) -> Tensor:
    return (teacher.exp() * (teacher - live)).sum()


def test_1_reverse_kl_gradient_is_the_policy_gradient_of_the_log_ratio(pair):
    student, teacher = pair
    live = student.log_softmax(0).detach()
    advantage = teacher - live

    def sampled(y, l):
        return evaluate(Likelihood(advantage[y : y + 1][None]), l)

    closed = live.exp() * ((live - teacher) - reverse_kl(live, teacher))
    assert torch.allclose(expectation_of_rows(sampled, student), closed, atol=1e-12)
    assert torch.allclose(gradient(reverse_kl(student.log_softmax(0), teacher), student), closed, atol=1e-12)


def test_2_forward_kl_gradient_in_logits_is_student_minus_teacher(pair):
    student, teacher = pair
    loss = evaluate_full(Divergence("forward"), student.log_softmax(0)[None], teacher[None])[0]
    assert torch.allclose(gradient(loss, student), student.softmax(0).detach() - teacher.exp(), atol=1e-12)


def test_3_differentiating_sampled_k1_gives_zero_in_expectation(pair):
    student, teacher = pair
    found = expectation_of_rows(lambda y, l: (l - teacher[y])[:, 0], student)
    assert found.abs().max() < 1e-12
    other = expectation_of_rows(lambda y, l: (l - 0 * teacher[y])[:, 0], student)
    assert torch.equal(found, other)  # and no dependence on the teacher


def test_4_k2_follows_reverse_kl_and_k3_follows_forward_kl(pair):
    student, teacher = pair
    live = student.log_softmax(0)
    by_square = expectation_of_rows(
        lambda y, l: evaluate(ToTarget(teacher[None, y : y + 1], kind="square"), l), student
    )
    by_k3 = expectation_of_rows(lambda y, l: evaluate(ToTarget(teacher[None, y : y + 1], kind="k3"), l), student)
    assert torch.allclose(by_square, gradient(reverse_kl(live, teacher), student), atol=1e-12)
    assert torch.allclose(by_k3, gradient(forward_kl(student.log_softmax(0), teacher), student), atol=1e-12)
    fixed = live.detach()
    k3 = torch.stack(
        [evaluate(ToTarget(teacher[None, y : y + 1], kind="k3"), fixed[None, y : y + 1])[0] for y in range(7)]
    )
    assert torch.allclose((fixed.exp() * k3).sum(), reverse_kl(fixed, teacher), atol=1e-12)  # unbiased value


def top(teacher: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    values, ids = teacher.topk(k)
    return values[None], ids[None]


def test_5_raw_top_k_forward_kl_gradient_and_fixed_point(pair):
    student, teacher = pair
    target, ids = top(teacher)
    loss = evaluate(Divergence("forward", target=target), student.log_softmax(0)[None].gather(1, ids))[0]
    mass = target.exp().sum()
    closed = mass * student.softmax(0).detach()
    closed[ids[0]] -= target[0].exp()
    assert torch.allclose(gradient(loss, student), closed, atol=1e-12)
    fixed = torch.full((VOCABULARY,), -60.0, dtype=torch.float64)
    fixed[ids[0]] = (target[0].exp() / mass).log()
    fixed.requires_grad_()
    at_fixed = evaluate(Divergence("forward", target=target), fixed.log_softmax(0)[None].gather(1, ids))[0]
    assert gradient(at_fixed, fixed).abs().max() < 1e-12


def test_6_raw_top_k_reverse_kl_has_a_spurious_term_that_a_detached_log_removes(pair):
    student, teacher = pair
    target, ids = top(teacher)
    inside = torch.zeros(VOCABULARY, dtype=torch.float64)
    inside[ids[0]] = 1

    def found(support):
        l = student.log_softmax(0)[None].gather(1, ids)
        return gradient(evaluate(Divergence("reverse", target=target, support=support), l)[0], student)

    probability = student.softmax(0).detach()
    spurious = probability * (inside - (probability * inside).sum())
    assert torch.allclose(found("raw") - found("detached_log"), spurious, atol=1e-12)
    assert spurious.abs().max() > 1e-3


def test_6_tail_bucket_moves_mass_out_of_a_support_the_teacher_likes_less(pair):
    student, teacher = pair
    target, ids = top(teacher)
    l = student.log_softmax(0)[None].gather(1, ids)
    found = gradient(evaluate(Divergence("reverse", target=target, support="tail"), l)[0], student)
    live = student.log_softmax(0)
    coarse = [live[ids[0]], torch.log1p(-live[ids[0]].exp().sum())[None]]
    goal = [teacher[ids[0]], torch.log1p(-teacher[ids[0]].exp().sum())[None]]
    assert torch.allclose(found, gradient(reverse_kl(torch.cat(coarse), torch.cat(goal)), student), atol=1e-10)


def test_7_renormalised_top_k_never_moves_logits_outside_and_one_id_is_nothing(pair):
    student, teacher = pair
    target, ids = top(teacher)
    l = student.log_softmax(0)[None].gather(1, ids)
    found = gradient(evaluate(Divergence("reverse", target=target, support="renormalised"), l)[0], student)
    outside = torch.ones(VOCABULARY, dtype=torch.bool)
    outside[ids[0]] = False
    assert found[outside].abs().max() < 1e-15 < found[~outside].abs().max()
    one = evaluate(
        Divergence("reverse", target=target[:, :1], support="renormalised"), student.log_softmax(0)[None, :1]
    )
    assert one.item() == 0.0 and gradient(one[0], student).abs().max() == 0.0


@pytest.mark.parametrize("weight", [0.5, 1.25])
def test_8_extrapolated_reward_has_the_geometric_optimum(pair, weight):
    _, teacher = pair
    reference = torch.randn(VOCABULARY, dtype=torch.float64).log_softmax(0)
    optimum = (weight * teacher + (1 - weight) * reference).log_softmax(0).requires_grad_()
    live = optimum.log_softmax(0)
    objective = (live.exp() * (weight * (teacher - reference) - (live - reference))).sum()
    assert gradient(objective, optimum).abs().max() < 1e-12


def test_9_trust_mask_keeps_one_minus_total_variation(pair):
    student, teacher = pair
    live = student.log_softmax(0).detach()
    ratio = (teacher - live).exp()
    kept = (live.exp() * ratio.clamp(max=1)).sum()
    variation = (live.exp() - teacher.exp()).abs().sum() / 2
    assert torch.allclose(kept, 1 - variation, atol=1e-12)
    assert (ratio.clamp(max=1) * ratio.log()).min() >= -1 / torch.e


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_10_jsd_gradient_and_its_vanishing_end(pair, beta):
    student, teacher = pair
    live = student.log_softmax(0)
    middle = (beta * teacher.exp() + (1 - beta) * live.exp()).log().detach()
    fixed = live.detach()
    closed = gradient(((1 - beta) * fixed.exp() * (fixed - middle) * live).sum(), student)
    loss = evaluate_full(Divergence("jsd", beta=beta), student.log_softmax(0)[None], teacher[None])[0]
    assert torch.allclose(gradient(loss, student), closed, atol=1e-12)


def test_10_jsd_ends_are_the_divergences_themselves(pair):
    student, teacher = pair
    live = student.log_softmax(0)
    for beta, plain in ((0.0, forward_kl), (1.0, reverse_kl)):
        loss = evaluate_full(Divergence("jsd", beta=beta), live[None], teacher[None])[0]
        assert torch.allclose(loss, plain(live, teacher), atol=1e-12)
    near = evaluate_full(Divergence("jsd", beta=1 - 1e-6), student.log_softmax(0)[None], teacher[None])[0]
    assert gradient(near, student).abs().max() < 1e-5  # it vanishes towards beta 1, hence the special case


@pytest.mark.parametrize(
    ("divergence", "advantage"),
    [
        (lambda u: -u.log(), lambda u: u.log() - 1),  # reverse KL
        (lambda u: u * u.log(), lambda u: u),  # forward KL
        (lambda u: (u - 1).square(), lambda u: -(u - 1).square() + u * 2 * (u - 1)),  # chi-square
    ],
)
def test_11_policy_gradient_advantage_of_any_f_divergence(pair, divergence, advantage):
    student, teacher = pair
    live = student.log_softmax(0)
    exact = gradient((live.exp() * divergence((teacher - live).exp())).sum(), student)
    fixed = (teacher - live).exp().detach()

    def sampled(y, l):
        return evaluate(Likelihood(advantage(fixed[y])[None, None]), l)

    assert torch.allclose(expectation_of_rows(sampled, student), exact, atol=1e-12)


def test_12_control_variate_has_zero_mean_and_the_same_gradient(pair):
    student, teacher = pair
    live = student.log_softmax(0).detach()
    advantage = teacher - live
    centred = advantage + reverse_kl(live, teacher)
    assert (live.exp() * centred).sum().abs() < 1e-12
    gradients = [
        expectation_of_rows(lambda y, l, a=a: evaluate(Likelihood(a[y : y + 1][None]), l), student)
        for a in (advantage, centred)
    ]
    assert torch.allclose(*gradients, atol=1e-12)


def test_13_an_unnormalised_target_is_fine_for_reverse_kl_and_wrong_for_forward_kl(pair):
    student, teacher = pair
    shifted = teacher + 0.7
    reverse = [gradient(reverse_kl(student.log_softmax(0), t), student) for t in (teacher, shifted)]
    forward = [gradient(forward_kl(student.log_softmax(0), t), student) for t in (teacher, shifted)]
    assert torch.allclose(*reverse, atol=1e-12)
    assert (forward[0] - forward[1]).abs().max() > 1e-2


def test_14_sequence_reverse_kl_needs_the_sum_to_go_and_token_level_is_biased_for_it():
    chain = make_chain(0)
    probability = chain.sequence_logprob(chain.logits).exp()
    claim = gradient_of(sequence_reverse_kl(chain), chain)
    token, to_go = (
        expected_gradient(
            objective_of(OPD(discount=discount, reduction="token_sum")),
            chain,
            origin=Origin.STUDENT,
            probability=probability,
        )
        for discount in (0.0, 1.0)
    )
    assert (to_go - claim).abs().max() < 1e-9 < 1e-3 < (token - claim).abs().max()


@pytest.mark.parametrize("kind", ["importance", "capped", "masked", "ppo", "dual_clip"])
def test_value_of_a_ratio_is_the_surrogate_and_its_gradient_that_of_the_surrogate(kind):
    ratio = Ratio(kind, low=0.8, high=1.2, dual=1.5)
    advantage = torch.tensor([[2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0, 0.0]], dtype=torch.float64)
    rho = torch.tensor([[0.5, 1.0, 1.4, 0.5, 1.0, 1.4, 1.6, 1.0]], dtype=torch.float64)
    live = rho.log().requires_grad_()
    loss = evaluate(Likelihood(advantage, ratio, torch.zeros_like(rho)), live).sum()
    by_hand = {
        "importance": ([1, 2, 2.8, -1, -2, -2.8, -3.2, 0], [1, 2, 2.8, -1, -2, -2.8, -3.2, 0]),
        "capped": ([1.6, 2, 2.4, -1.6, -2, -2.4, -2.4, 0], [1.6, 2, 2.4, -1.6, -2, -2.4, -2.4, 0]),
        "masked": ([0, 2, 0, 0, -2, 0, 0, 0], [0, 2, 0, 0, -2, 0, 0, 0]),
        "ppo": ([1, 2, 2.4, -1.6, -2, -2.8, -3.2, 0], [1, 2, 0, 0, -2, -2.8, -3.2, 0]),
        "dual_clip": ([1, 2, 2.4, -1.6, -2, -2.8, -3.0, 0], [1, 2, 0, 0, -2, -2.8, 0, 0]),
    }
    value, slope = by_hand[kind]
    assert loss.item() == pytest.approx(-sum(value))
    assert torch.autograd.grad(loss, live)[0][0].tolist() == pytest.approx([-s for s in slope])
