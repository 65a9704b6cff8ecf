# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""The gradient of a whole-vocabulary divergence in Triton, in the place of the student's logits.

A program has one row: it reads both rows of logits for the value, and reads them again as it writes the gradient.
The formulas are those of ``divergence_gradient``.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from understudy.models.divergence_gradient import formula_of
from understudy.models.kernels.plain import FullTerm
from understudy.models.kernels.statistics import RowStatistics
from understudy.models.kernels.triton_rows import NUM_WARPS, block_of, on_device_of, scale_softmax_

FORMULAS = ("forward", "reverse", "clipped_reverse", "jsd", "skew_forward", "skew_reverse")
FORWARD, REVERSE, CLIPPED_REVERSE, JSD, SKEW_FORWARD = (tl.constexpr(number) for number in range(5))
LOWEST = tl.constexpr(-1.0e30)
# exp() of more is infinite in float32; what stands at it has a mass that rounds to nothing.
LARGEST = tl.constexpr(79.0)


def full_gradient_(
    logits: Tensor, statistics: RowStatistics, term: FullTerm, factor: Tensor, *, needed: bool
) -> Tensor:
    """As ``rows.full_gradient_`` for one term with at most one entry a row: its row losses [m]."""
    values = torch.empty(term.index.numel(), dtype=torch.float32, device=logits.device)
    row_loss, formula = term.row_loss, FORMULAS.index(formula_of(term.row_loss))
    parameter = {"clipped_reverse": row_loss.log_ratio_clip, "jsd": row_loss.beta}.get(
        FORMULAS[formula], row_loss.alpha
    )
    with on_device_of(logits):
        _full[(values.numel(),)](
            logits,
            term.target,
            term.index,
            values,
            statistics.top,
            statistics.mass.log(),
            term.target_statistics.top,
            term.target_statistics.mass.log(),
            (term.weights / statistics.temperature).to(torch.float32),
            factor.to(torch.float32),
            logits.stride(0),
            term.target.stride(0),
            logits.shape[1],
            1.0 / statistics.temperature,
            row_loss.target_floor,
            row_loss.student_power,
            parameter,
            formula=formula,
            powered=row_loss.student_power != 0,
            needed=needed,
            block=block_of(logits.shape[1]),
            num_warps=NUM_WARPS,
        )
    if needed and term.index.numel() < logits.shape[0]:
        other = torch.ones(logits.shape[0], dtype=torch.bool, device=logits.device)
        other[term.index] = False
        scale_softmax_(logits, statistics, factor, rows=other.nonzero().squeeze(1))
    return values


@triton.jit
def _log_prob(logits, at, here, top, log_mass, inverse_temperature):
    value = tl.load(logits + at, mask=here, other=LOWEST).to(tl.float32)
    return tl.maximum((tl.maximum(value, LOWEST) - top) * inverse_temperature, LOWEST) - log_mass


@triton.jit
def _expm1(x):
    """exp(x) - 1 without cancellation: the series where x is small."""
    small = x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6)))))
    return tl.where(tl.abs(x) < 0.25, small, tl.exp(x) - 1)


@triton.jit
def _log1p(x):
    """log(1 + x) without cancellation: the rounding of 1 + x is divided out (a known trick of W. Kahan)."""
    sum_ = 1 + x
    rounded = sum_ - 1
    safe = tl.where(rounded == 0, 1.0, rounded)
    return tl.where(rounded == 0, x, tl.log(sum_) * (x / safe))


@triton.jit
def _value_and_gradient(live, target, parameter, formula: tl.constexpr):
    """One entry's part of the row loss, and its derivative with respect to the live log-prob."""
    student, mass = tl.exp(live), tl.exp(target)
    if formula == FORWARD:
        return mass * (target - live), -mass
    if formula == REVERSE:
        spent = student * (live - target)
        return spent, spent + student
    if formula == CLIPPED_REVERSE:
        distance = live - target
        cut = tl.minimum(tl.maximum(distance, -parameter), parameter)
        inside = tl.where(tl.abs(distance) <= parameter, 1.0, 0.0)
        return student * cut, student * (cut + inside)
    if formula == JSD:
        distance = target - live
        fall = -tl.abs(distance)
        larger = -_log1p(tl.where(distance > 0, 1 - parameter, parameter) * _expm1(fall))
        gradient = (1 - parameter) * student * tl.where(distance > 0, fall + larger, larger)
        return parameter * mass * tl.where(distance > 0, larger, fall + larger) + gradient, gradient
    if formula == SKEW_FORWARD:
        excess = (1 - parameter) * _expm1(tl.minimum(live - target, LARGEST))
        return -mass * _log1p(excess), (parameter - 1) * student / (1 + excess)
    excess = (1 - parameter) * _expm1(tl.minimum(target - live, LARGEST))
    to_middle = -_log1p(excess)
    return student * to_middle, student * (to_middle + 1 - parameter / (1 + excess))


@triton.jit
def _log_mass_of_product(
    own, other, size, top, log_mass, target_top, target_log_mass, inverse_temperature, floor, power, block: tl.constexpr
):
    """log of the sum over the row of T * S^power, T floored."""
    lane = tl.arange(0, block)
    highest = tl.full((block,), LOWEST, tl.float32)
    mass = tl.zeros((block,), tl.float32)
    for start in range(0, size, block):
        at = start + lane
        here = at < size
        live = _log_prob(own, at, here, top, log_mass, inverse_temperature)
        target = tl.maximum(_log_prob(other, at, here, target_top, target_log_mass, inverse_temperature), floor)
        value = tl.where(here, tl.maximum(target + power * live, LOWEST), LOWEST)
        higher = tl.maximum(highest, value)
        mass = mass * tl.exp(highest - higher) + tl.where(here, tl.exp(value - higher), 0.0)
        highest = higher
    peak = tl.max(highest, 0)
    return peak + tl.log(tl.sum(mass * tl.exp(highest - peak), 0))


@triton.jit
def _full(
    logits,
    targets,
    index,
    values,
    tops,
    log_masses,
    target_tops,
    target_log_masses,
    weights,
    factors,
    stride,
    target_stride,
    size,
    inverse_temperature,
    floor,
    power,
    parameter,
    formula: tl.constexpr,
    powered: tl.constexpr,
    needed: tl.constexpr,
    block: tl.constexpr,
):
    entry = tl.program_id(0).to(tl.int64)
    row = tl.load(index + entry).to(tl.int64)
    own, other = logits + row * stride, targets + entry * target_stride
    top, log_mass = tl.load(tops + row), tl.load(log_masses + row)
    target_top, target_log_mass = tl.load(target_tops + entry), tl.load(target_log_masses + entry)
    lane = tl.arange(0, block)
    shift = 0.0
    if powered:
        shift = _log_mass_of_product(
            own, other, size, top, log_mass, target_top, target_log_mass, inverse_temperature, floor, power, block
        )
    value, total = tl.zeros((block,), tl.float32), tl.zeros((block,), tl.float32)
    for start in range(0, size, block):
        at = start + lane
        here = at < size
        live = _log_prob(own, at, here, top, log_mass, inverse_temperature)
        target = tl.maximum(_log_prob(other, at, here, target_top, target_log_mass, inverse_temperature), floor)
        if powered:
            target += power * live - shift
        some, gradient = _value_and_gradient(live, target, parameter, formula)
        value += tl.where(here, some, 0.0)
        total += tl.where(here, gradient, 0.0)
    tl.store(values + entry, tl.sum(value, 0))
    if needed:
        weight = tl.load(weights + entry)
        spent = tl.load(factors + row) - weight * tl.sum(total, 0)
        for start in range(0, size, block):
            at = start + lane
            here = at < size
            live = _log_prob(own, at, here, top, log_mass, inverse_temperature)
            target = tl.maximum(_log_prob(other, at, here, target_top, target_log_mass, inverse_temperature), floor)
            if powered:
                target += power * live - shift
            _, gradient = _value_and_gradient(live, target, parameter, formula)
            tl.store(own + at, weight * gradient + spent * tl.exp(live), mask=here)
