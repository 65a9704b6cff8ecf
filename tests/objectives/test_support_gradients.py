"""What docs/methods/support.md says of each support's gradient in the logits, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from understudy.objectives.row_losses import evaluate
from understudy.plans import Divergence

K, VOCABULARY = 3, 8
SUPPORTS = [
    ("forward", "raw"),
    ("reverse", "raw"),
    ("forward", "target_renormalised"),
    ("reverse", "renormalised"),
    ("forward", "renormalised"),
    ("reverse", "tail"),
    ("forward", "tail"),
    ("reverse", "detached_log"),
]
REST_AT_EQUALITY = {support for support in SUPPORTS if support[1] in ("renormalised", "tail", "detached_log")}


@pytest.fixture(params=range(3))
def logits(request) -> Tensor:
    generator = torch.Generator().manual_seed(request.param)
    return torch.randn(VOCABULARY, generator=generator, dtype=torch.float64).requires_grad_()


def teacher(logits: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(int(logits.detach().abs().sum() * 1e6))
    return torch.randn(VOCABULARY, generator=generator, dtype=torch.float64).log_softmax(0)


def gradient(kind, support, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient in the logits, and which of them are inside and outside of the target's top k."""
    inside = target.topk(K).indices
    live = logits.log_softmax(0)
    loss = evaluate(Divergence(kind, target=target[inside][None], support=support), live[inside][None]).sum()
    (slope,) = torch.autograd.grad(loss, logits)
    outside = torch.ones(VOCABULARY, dtype=torch.bool)
    outside[inside] = False
    return slope, inside, outside.nonzero()[:, 0]


@pytest.mark.parametrize(("kind", "support"), SUPPORTS)
def test_where_student_and_teacher_agree(kind, support, logits):
    slope, _, _ = gradient(kind, support, logits, logits.detach().log_softmax(0))
    assert (slope.abs().max() < 1e-12) == ((kind, support) in REST_AT_EQUALITY)


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_renormalised_leaves_the_outside_alone_and_sums_to_zero_inside(kind, logits):
    slope, inside, outside = gradient(kind, "renormalised", logits, teacher(logits))
    assert slope[outside].abs().max() < 1e-12 and slope[inside].sum().abs() < 1e-12
    assert slope[inside].abs().max() > 1e-3


def test_a_renormalised_support_of_one_token_is_nothing(logits):
    live = logits.log_softmax(0)[None, :1]
    loss = evaluate(Divergence("reverse", target=torch.tensor([[-2.0]]).double(), support="renormalised"), live)
    assert loss.item() == 0.0
    assert torch.autograd.grad(loss.sum(), logits)[0].abs().max() < 1e-15


def test_raw_forward_has_the_printed_gradient(logits):
    target = teacher(logits)
    slope, inside, outside = gradient("forward", "raw", logits, target)
    student, mass = logits.detach().softmax(0), target[inside].exp().sum()
    assert torch.allclose(slope[outside], mass * student[outside], atol=1e-12)
    assert torch.allclose(slope[inside], mass * student[inside] - target[inside].exp(), atol=1e-12)


def test_raw_reverse_is_the_detached_log_and_a_term_without_teacher_that_drains_the_support(logits):
    target = teacher(logits)
    slope, inside, outside = gradient("reverse", "raw", logits, target)
    wanted, _, _ = gradient("reverse", "detached_log", logits, target)
    student = logits.detach().softmax(0)
    mass = student[inside].sum()
    spurious = -student * mass
    spurious[inside] = student[inside] * (1 - mass)
    assert torch.allclose(slope - wanted, spurious, atol=1e-12)
    downhill = (logits.detach() - 1e-3 * spurious).softmax(0)
    assert downhill[inside].sum() < mass and (spurious[outside] < 0).all()


def test_target_renormalised_pushes_the_outside_down(logits):
    slope, _, outside = gradient("forward", "target_renormalised", logits, teacher(logits))
    assert (slope[outside] > 0).all()


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_tail_pushes_the_outside_together_towards_the_teachers_mass(kind, logits):
    target = teacher(logits)
    slope, inside, outside = gradient(kind, "tail", logits, target)
    student = logits.detach().softmax(0)
    per_share = slope[outside] / student[outside]
    assert torch.allclose(per_share, per_share[:1].expand_as(per_share), atol=1e-12)
    if kind == "forward":
        gap = target[inside].exp().sum() - student[inside].sum()
        assert torch.sign(slope[outside].sum()) == torch.sign(gap)


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_tail_is_a_lower_bound_of_the_whole_divergence(kind, logits):
    target, live = teacher(logits), logits.detach().log_softmax(0)
    p, q = (target, live) if kind == "forward" else (live, target)
    whole = (p.exp() * (p - q)).sum()
    values = []
    for k in range(1, VOCABULARY):
        ids = target.topk(k).indices
        row = Divergence(kind, target=target[ids][None], support="tail")
        values.append(evaluate(row, live[ids][None]).item())
    assert all(value <= whole + 1e-12 for value in values)
    assert values[-1] == pytest.approx(whole.item(), abs=1e-12)
