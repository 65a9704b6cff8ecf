"""The three kinds of row loss: pure functions of one row's live log-probabilities and that row's constants."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.errors import ShapeError
from understudy.plans import Divergence, Likelihood, Ratio, RowLoss, ToTarget

NO_MASS = -100.0
"""Nats that stand for no mass: low enough to weigh nothing, finite so that nothing is NaN."""


def evaluate(
    row_loss: RowLoss, live: Float[Tensor, "m k"], *, valid: Bool[Tensor, "m k"] | None = None
) -> Float[Tensor, "m"]:
    """One loss a row from live full-vocabulary log-probs at K ids; differentiable in ``live`` only.

    Args:
        row_loss: the kind and its constants, cut to these M rows.
        live: nats, at the loss temperature.
        valid: false for entries that only fill the row; they contribute exactly zero.
    """
    if isinstance(row_loss, Likelihood):
        return likelihood(row_loss, live, valid=valid)
    if isinstance(row_loss, ToTarget):
        return to_target(row_loss, live, valid=valid)
    return divergence(row_loss, live, valid=valid)


def evaluate_full(row_loss: Divergence, live: Float[Tensor, "m v"], target: Float[Tensor, "m v"]) -> Float[Tensor, "m"]:
    """A divergence over the whole vocabulary; both sides are log-softmax values in nats."""
    return _divergence(row_loss, live, _powered(row_loss, live, target.clamp_min(row_loss.target_floor)))


def select(row_loss: RowLoss, index: Int[Tensor, "s"]) -> RowLoss:
    """The same row loss with its constants cut to rows ``index``, on the device of ``index``."""
    cut: dict[str, Any] = {}
    for field in fields(row_loss):
        constant = getattr(row_loss, field.name)
        if isinstance(constant, Tensor):
            cut[field.name] = constant[index.to(constant.device)].to(index.device)
    return replace(row_loss, **cut)


def likelihood(
    row_loss: Likelihood, live: Float[Tensor, "m k"], *, valid: Bool[Tensor, "m k"] | None = None
) -> Float[Tensor, "m"]:
    """sum_k with gradient -A f(rho) grad l, f(rho) detached: the policy gradient of A with ratio f.

    Its value is -A l for ratio ``one`` (a likelihood) and the surrogate -A rho, cut as the ratio says, for the others.
    """
    advantage = row_loss.advantage
    if valid is not None:
        advantage = torch.where(valid, advantage, torch.zeros_like(advantage))
    if row_loss.ratio.kind == "one":
        value = -advantage * live
    else:
        if row_loss.old_logprob is None:
            raise ShapeError(f"ratio {row_loss.ratio.kind!r} without old_logprob", expected="[M, K] old log-probs")
        rho = (live.detach() - row_loss.old_logprob).exp()
        factor = ratio_factor(row_loss.ratio, rho, advantage)
        value = -advantage * (surrogate_ratio(row_loss.ratio, rho, advantage) + factor * (live - live.detach()))
    # An advantage of zero gives exactly zero also where the live log-prob is -inf.
    return torch.where(advantage == 0, torch.zeros_like(live), value).sum(1)


def surrogate_ratio(ratio: Ratio, rho: Float[Tensor, "m k"], advantage: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """What multiplies A in the surrogate's value: f(rho), and the bound itself where ppo's surrogate is flat."""
    if ratio.kind not in ("ppo", "dual_clip"):
        return ratio_factor(ratio, rho, advantage)
    lowered = rho.clamp_min(ratio.low)
    if ratio.kind == "dual_clip":
        lowered = lowered.clamp_max(ratio.dual)
    return torch.where(advantage > 0, rho.clamp_max(ratio.high), lowered)


def ratio_factor(ratio: Ratio, rho: Float[Tensor, "m k"], advantage: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """f(rho) as ``Ratio`` defines it; no gradient flows through it."""
    if ratio.kind == "one":
        return torch.ones_like(rho)
    if ratio.kind == "importance":
        return rho
    if ratio.kind == "capped":
        return rho.clamp(ratio.low, ratio.high)
    if ratio.kind == "masked":
        return torch.where((rho >= ratio.low) & (rho <= ratio.high), rho, torch.zeros_like(rho))
    flat = ((advantage > 0) & (rho > ratio.high)) | ((advantage < 0) & (rho < ratio.low))
    if ratio.kind == "dual_clip":
        flat = flat | ((advantage < 0) & (rho > ratio.dual))
    return torch.where(flat, torch.zeros_like(rho), rho)


def to_target(
    row_loss: ToTarget, live: Float[Tensor, "m k"], *, valid: Bool[Tensor, "m k"] | None = None
) -> Float[Tensor, "m"]:
    """sum_k g(l - target) with g the square (k2), Huber, or k3 = exp(-d) + d - 1."""
    distance = live - row_loss.target
    if valid is not None:
        distance = torch.where(valid, distance, torch.zeros_like(distance))
    if row_loss.kind == "square":
        return (distance.square() / 2).sum(1)
    if row_loss.kind == "huber":
        zeros = torch.zeros_like(distance)
        return torch.nn.functional.huber_loss(distance, zeros, reduction="none", delta=row_loss.delta).sum(1)
    return (torch.exp(-distance) + distance - 1).sum(1)


def divergence(
    row_loss: Divergence, live: Float[Tensor, "m k"], *, valid: Bool[Tensor, "m k"] | None = None
) -> Float[Tensor, "m"]:
    """A divergence on K ids under the support's normalisation (identities 5 to 7 of docs/methods/identities.md)."""
    if row_loss.target is None:
        raise ShapeError("a divergence on ids has no target", expected="[M, K] target log-probs")
    target, live = _counted(row_loss.target.clamp_min(row_loss.target_floor), valid), _counted(live, valid)
    target = _powered(row_loss, live, target)
    if row_loss.support in ("renormalised", "target_renormalised"):
        target = target.log_softmax(1)
    if row_loss.support == "renormalised":
        live = live.log_softmax(1)
    target, live = _counted(target, valid), _counted(live, valid)  # a row of none was made uniform: nothing again
    if row_loss.support == "tail":
        target, live = _with_tail(target), _with_tail(live)
    if row_loss.support == "detached_log":
        return (live.exp() * (live.detach() - target)).sum(1)
    return _divergence(row_loss, live, target)


def _counted(logprobs: Float[Tensor, "m k"], valid: Bool[Tensor, "m k"] | None) -> Float[Tensor, "m k"]:
    """No mass at entries that do not count."""
    return logprobs if valid is None else logprobs.masked_fill(~valid, NO_MASS)


def _powered(row_loss: Divergence, live: Float[Tensor, "m v"], target: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
    """log of T * S^power over its sum, no gradient through S; T itself for power 0."""
    if row_loss.student_power == 0:
        return target
    return (target + row_loss.student_power * live.detach()).log_softmax(1)


def _with_tail(logprobs: Float[Tensor, "m k"]) -> Float[Tensor, "m j"]:
    """One more column: the log of the mass outside the K ids, kept just above zero mass."""
    smallest = torch.finfo(logprobs.dtype).eps * logprobs.shape[1]
    rest = torch.log1p(-logprobs.exp().sum(1, keepdim=True).clamp(max=1 - smallest))
    return torch.cat([logprobs, rest], dim=1)


def _divergence(row_loss: Divergence, live: Float[Tensor, "m v"], target: Float[Tensor, "m v"]) -> Float[Tensor, "m"]:
    beta, alpha = row_loss.beta, row_loss.alpha
    if row_loss.kind == "forward" or (row_loss.kind == "jsd" and beta == 0):
        return _kl(target, live)
    if row_loss.kind == "reverse" or (row_loss.kind == "jsd" and beta == 1):
        clip = row_loss.log_ratio_clip
        return _kl(live, target) if clip == math.inf else (live.exp() * (live - target).clamp(-clip, clip)).sum(1)
    if row_loss.kind == "jsd":
        middle = _mixture(target, live, weight=beta)
        return beta * _kl(target, middle) + (1 - beta) * _kl(live, middle)
    if row_loss.kind == "skew_forward":
        return _kl(target, _mixture(target, live, weight=alpha))
    return _kl(live, _mixture(live, target, weight=alpha))


def _kl(p: Float[Tensor, "m v"], q: Float[Tensor, "m v"]) -> Float[Tensor, "m"]:
    return (p.exp() * (p - q)).sum(1)


def _mixture(p: Float[Tensor, "m v"], q: Float[Tensor, "m v"], *, weight: float) -> Float[Tensor, "m v"]:
    """log(weight * exp(p) + (1 - weight) * exp(q))."""
    if weight == 0:
        return q
    return torch.logaddexp(p + math.log(weight), q + math.log1p(-weight))
