"""Value and gradient of a whole-vocabulary divergence, written out: what autograd would give, without its graph.

S is the live student, T the target, l = log S, t = log T, d = t - l. Every mixture is written through d, so that
S = T gives exactly zero. The gradients are with respect to l as if its entries were free; the step through the
softmax (subtract S times their sum) is the caller's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.plans import Divergence

Formula = Literal["forward", "reverse", "clipped_reverse", "jsd", "skew_forward", "skew_reverse"]


@dataclass(frozen=True, eq=False)
class RowGradient:
    """Args: value: [m] nats. gradient: [m, V], its derivative with respect to the live log-probs."""

    value: Tensor
    gradient: Tensor


def formula_of(row_loss: Divergence) -> Formula:
    """Which of the formulas a divergence is: JSD and the skewed kinds are plain KL at the ends of their parameter."""
    if row_loss.kind == "forward" or (row_loss.kind, row_loss.beta) == ("jsd", 0):
        return "forward"
    if row_loss.kind == "reverse" or (row_loss.kind, row_loss.beta) == ("jsd", 1):
        return "reverse" if row_loss.log_ratio_clip == math.inf else "clipped_reverse"
    if row_loss.kind == "jsd":
        return "jsd"
    if row_loss.alpha == 0:
        return "forward" if row_loss.kind == "skew_forward" else "reverse"
    return row_loss.kind


def divergence_gradient(row_loss: Divergence, live: Float[Tensor, "m v"], target: Float[Tensor, "m v"]) -> RowGradient:
    """The value of ``evaluate_full`` and its gradient in ``live``; both sides are log-softmax values in nats."""
    target = target.clamp_min(row_loss.target_floor)
    if row_loss.student_power != 0:
        target = (target + row_loss.student_power * live).log_softmax(1)
    formula = formula_of(row_loss)
    if formula == "forward":
        return _forward(live, target)
    if formula == "reverse":
        return _reverse(live, target)
    if formula == "clipped_reverse":
        return _clipped_reverse(live, target, row_loss.log_ratio_clip)
    if formula == "jsd":
        return _jsd(live, target, row_loss.beta)
    if formula == "skew_forward":
        return _skew_forward(live, target, row_loss.alpha)
    return _skew_reverse(live, target, row_loss.alpha)


def _forward(live: Tensor, target: Tensor) -> RowGradient:
    mass = target.exp()
    return RowGradient(target.sub_(live).mul_(mass).sum(1), mass.neg_())


def _reverse(live: Tensor, target: Tensor) -> RowGradient:
    mass = live.exp()
    spent = torch.sub(live, target, out=target).mul_(mass)
    return RowGradient(spent.sum(1), spent.add_(mass))


def _clipped_reverse(live: Tensor, target: Tensor, clip: float) -> RowGradient:
    distance, mass = live - target, live.exp()
    cut = distance.clamp(-clip, clip)
    return RowGradient((mass * cut).sum(1), mass * (cut + (distance.abs() <= clip)))


def _jsd(live: Tensor, target: Tensor, beta: float) -> RowGradient:
    """The larger side lies -log(1 + w (exp(-|d|) - 1)) above m, w the other's share; the other lies |d| lower.

    The parts of the gradient through m cancel but for S (l - log m).
    """
    distance = target - live
    target_larger = distance > 0
    fall = distance.abs_().neg_()
    share = torch.where(target_larger, live.new_tensor(1 - beta), live.new_tensor(beta))
    larger = torch.expm1(fall).mul_(share).log1p_().neg_()
    smaller = fall.add_(larger)
    gradient = torch.where(target_larger, smaller, larger).mul_(live.exp()).mul_(1 - beta)
    from_target = torch.where(target_larger, larger, smaller).mul_(target.exp())
    return RowGradient(from_target.sum(1).mul_(beta) + gradient.sum(1), gradient)


def _skew_forward(live: Tensor, target: Tensor, alpha: float) -> RowGradient:
    """t - log m = -log(1 + (1 - alpha) (exp(-d) - 1))."""
    excess = torch.expm1(_bounded(live - target)).mul_(1 - alpha)
    mass = target.exp_()
    value = (mass * excess.log1p()).sum(1).neg_()
    # S / m = (S / T) / (T's share of m over T); in it 1 + excess = m / T.
    return RowGradient(value, live.exp().mul_(mass_over_middle(excess)).mul_(alpha - 1))


def mass_over_middle(excess: Tensor) -> Tensor:
    """T / m from m / T - 1."""
    return excess.add(1).reciprocal_()


def _skew_reverse(live: Tensor, target: Tensor, alpha: float) -> RowGradient:
    """l - log m = -log(1 + (1 - alpha) (exp(d) - 1))."""
    excess = torch.expm1(_bounded(target - live)).mul_(1 - alpha)
    mass = live.exp()
    to_middle = excess.log1p().neg_()
    value = (mass * to_middle).sum(1)
    return RowGradient(value, to_middle.sub_(mass_over_middle(excess).mul_(alpha)).add_(1).mul_(mass))


def _bounded(distance: Tensor) -> Tensor:
    """Keeps exp(d) finite; beyond it one of the two has a mass that rounds to nothing."""
    return distance.clamp_max(0.9 * math.log(torch.finfo(distance.dtype).max))
