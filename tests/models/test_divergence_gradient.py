"""The written-out gradients against autograd of the divergences themselves, in float64, float32 and by differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from understudy.models.divergence_gradient import divergence_gradient, formula_of
from understudy.objectives.row_losses import evaluate_full
from understudy.plans import Divergence

DIVERGENCES = {
    "forward": Divergence("forward"),
    "reverse": Divergence("reverse"),
    "reverse, clipped": Divergence("reverse", log_ratio_clip=0.5),
    "jsd": Divergence("jsd", beta=0.5),
    "jsd, mostly target": Divergence("jsd", beta=0.9),
    "jsd 0": Divergence("jsd", beta=0.0),
    "jsd 1, clipped": Divergence("jsd", beta=1.0),
    "skew_forward": Divergence("skew_forward", alpha=0.1),
    "skew_forward 0": Divergence("skew_forward", alpha=0.0),
    "skew_reverse": Divergence("skew_reverse", alpha=0.1),
    "skew_reverse 0": Divergence("skew_reverse", alpha=0.0),
    "product, forward": Divergence("forward", student_power=0.6),
    "product, jsd": Divergence("jsd", student_power=-0.4),
    "floored": Divergence("reverse", target_floor=-4.0),
}


def logits(*, dtype: torch.dtype = torch.float64, size: int = 300) -> tuple[Tensor, Tensor]:
    """Four rows: far apart, sharp, a target that gives half of the vocabulary nothing, and equal sides."""
    generator = torch.Generator().manual_seed(0)
    student, target = (torch.randn(4, size, generator=generator, dtype=torch.float64) * 2 for _ in range(2))
    student[1] *= 10
    target[2, ::2] = -math.inf
    target[3] = student[3]
    return student.to(dtype), target.to(dtype)


def through_softmax(gradient: Tensor, live: Tensor) -> Tensor:
    return gradient - live.exp() * gradient.sum(1, keepdim=True)


def by_autograd(row_loss: Divergence, student: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    student = student.clone().requires_grad_()
    value = evaluate_full(row_loss, student.log_softmax(1), target.log_softmax(1))
    return value.detach(), torch.autograd.grad(value.sum(), student)[0]


@pytest.mark.parametrize("name", DIVERGENCES)
def test_float64_equals_autograd(name: str) -> None:
    student, target = logits()
    value, gradient = by_autograd(DIVERGENCES[name], student, target)
    live = student.log_softmax(1)
    found = divergence_gradient(DIVERGENCES[name], live, target.log_softmax(1))
    torch.testing.assert_close(found.value, value, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(through_softmax(found.gradient, live), gradient, rtol=1e-11, atol=1e-13)
    assert gradient[0].abs().max() > 1e-3


@pytest.mark.parametrize("name", DIVERGENCES)
def test_float32_is_within_a_millionth(name: str) -> None:
    live, target = (side.log_softmax(1) for side in logits(dtype=torch.float32))
    exact = live.double().requires_grad_()  # the same rounded inputs: the formulas' own rounding is what is asked
    value = evaluate_full(DIVERGENCES[name], exact, target.double())
    gradient = torch.autograd.grad(value.sum(), exact)[0]
    found = divergence_gradient(DIVERGENCES[name], live, target)
    assert float((found.value - value).abs().max() / value.abs().max()) < 1e-6
    assert float((found.gradient - gradient).norm() / gradient.norm()) < 1e-6


@pytest.mark.parametrize("name", ["forward", "reverse", "jsd", "skew_forward", "skew_reverse", "floored"])
def test_finite_differences(name: str) -> None:
    student, target = logits(size=7)
    live = student.log_softmax(1)
    made = through_softmax(divergence_gradient(DIVERGENCES[name], live, target.log_softmax(1)).gradient, live)
    step = 1e-5
    for entry in range(7):
        moved = [student.clone(), student.clone()]
        moved[0][:, entry] += step
        moved[1][:, entry] -= step
        up, down = (
            divergence_gradient(DIVERGENCES[name], side.log_softmax(1), target.log_softmax(1)).value for side in moved
        )
        torch.testing.assert_close(made[:, entry], (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [name for name in DIVERGENCES if "product" not in name and name != "floored"])
def test_equal_sides_are_exactly_nothing_and_extremes_are_finite(name: str, dtype: torch.dtype) -> None:
    student, _ = logits(dtype=dtype)
    live = student.log_softmax(1)
    same = divergence_gradient(DIVERGENCES[name], live, live.clone())
    assert float(same.value[0].abs()) < 1e-6 and float(through_softmax(same.gradient, live)[0].abs().max()) < 1e-6
    certain = torch.full((2, 5), -1e4, dtype=dtype)
    certain[0, 0] = certain[1, 1] = 0.0
    for side, other in ((certain, certain.flip(0)), (certain, torch.full_like(certain, -math.inf))):
        found = divergence_gradient(DIVERGENCES[name], side, other)
        assert bool(found.value.isfinite().all() and found.gradient.isfinite().all())


def test_neither_side_is_written_to() -> None:
    student, target = logits()
    live, other = student.log_softmax(1), target.log_softmax(1)
    kept = live.clone(), other.clone()
    for row_loss in DIVERGENCES.values():
        divergence_gradient(row_loss, live, other)
    assert torch.equal(live, kept[0]) and torch.equal(other, kept[1])


def test_the_ends_of_a_parameter_are_plain_divergences() -> None:
    ends = {name: formula_of(DIVERGENCES[name]) for name in ("jsd 0", "jsd 1, clipped", "skew_forward 0")}
    assert ends == {"jsd 0": "forward", "jsd 1, clipped": "reverse", "skew_forward 0": "forward"}
    assert formula_of(DIVERGENCES["skew_reverse 0"]) == "reverse"
