"""The loss of one optimiser step as plain data: weights, constants and supports, no model and no statistics.

loss = sum over terms and rows of ``weight * row_loss(live log-probs; constants)``. The planner has folded
mask, coefficient and 1/denominator into ``weight``; the executor only sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from understudy.errors import ShapeError


@dataclass(frozen=True)
class Ratio:
    """f(rho) of a likelihood term, rho = exp(live log-prob - old log-prob), detached.

    ``one``: 1. ``importance``: rho. ``capped``: clip(rho, low, high) (truncated importance sampling, CISPO).
    ``masked``: rho where low <= rho <= high, else 0 (ICE-POP). ``ppo``: rho, or 0 where the clipped surrogate
    min(rho A, clip(rho, low, high) A) is flat. ``dual_clip``: ppo, and 0 where A < 0 and rho > dual.

    Args:
        low: lower bound of rho. high: upper bound of rho. dual: bound of rho for negative advantages.
    """

    kind: Literal["one", "importance", "capped", "masked", "ppo", "dual_clip"] = "one"
    low: float = 0.0
    high: float = float("inf")
    dual: float = float("inf")


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Gradient -A f(rho) grad l, summed over K: the policy gradient and, with A = 1, the negative log-likelihood.

    Its value is -A l for ratio ``one``, and the surrogate -A rho (clipped as f is) for the others.

    Args:
        advantage: [M, K] constants.
        ratio: f. old_logprob: [M, K], the denominator of rho; required unless ``ratio`` is ``one``.
    """

    advantage: Tensor
    ratio: Ratio = Ratio()
    old_logprob: Tensor | None = None


@dataclass(frozen=True, eq=False)
class ToTarget:
    """A function of d = l - target, summed over K.

    ``square``: d^2 / 2 (k2). ``huber``: Huber with ``delta``. ``k3``: exp(-d) + d - 1.

    Args:
        target: [M, K] constants. kind: the function. delta: Huber's corner, nats.
    """

    target: Tensor
    kind: Literal["square", "huber", "k3"] = "square"
    delta: float = 1.0


@dataclass(frozen=True, eq=False)
class Divergence:
    """A divergence between target T and live student S, on K ids or on the whole vocabulary.

    ``forward``: KL(T||S). ``reverse``: KL(S||T). ``jsd``: beta KL(T||m) + (1 - beta) KL(S||m) with
    m = beta T + (1 - beta) S; beta 0 is forward and 1 is reverse. ``skew_forward``: KL(T || alpha T + (1 - alpha) S).
    ``skew_reverse``: KL(S || (1 - alpha) T + alpha S).

    Supports of K ids: ``raw`` uses full-vocabulary probabilities as they are; ``renormalised`` makes both sum to 1
    on the ids; ``target_renormalised`` only the target (EOPD); ``tail`` adds one bucket for the rest;
    ``detached_log`` is ``raw`` with the student's log detached, so that the gradient passes through its weight only.

    Args:
        kind: the divergence. target: [M, K] log-probs (nats, full-vocabulary softmax); None with ``Full``.
        support: how K ids stand for the vocabulary; ignored with ``Full``.
        beta, alpha: parameters of ``jsd`` and of the skewed kinds.
        target_floor: target log-probs below it (nats; -inf above all) are raised to it, so that KL(S||T) stays finite.
        student_power: the target becomes T * S^power over its sum on the entries, the S in it a constant (Veto).
        log_ratio_clip: ``reverse`` only: log S - log T is cut to [-clip, clip]; beyond it only S has a gradient.
    """

    kind: Literal["forward", "reverse", "jsd", "skew_forward", "skew_reverse"]
    target: Tensor | None = None
    support: Literal["raw", "renormalised", "target_renormalised", "tail", "detached_log"] = "raw"
    beta: float = 0.5
    alpha: float = 0.1
    target_floor: float = -100.0
    student_power: float = 0.0
    log_ratio_clip: float = float("inf")

    def __post_init__(self) -> None:
        if self.support == "detached_log" and self.kind != "reverse":
            raise ShapeError("support 'detached_log' has no gradient here", got=self.kind, expected="kind 'reverse'")
        if not (0 <= self.beta <= 1 and 0 <= self.alpha < 1):
            raise ShapeError(
                "divergence parameters", got=(self.beta, self.alpha), expected="beta in [0, 1], alpha in [0, 1)"
            )
        if self.log_ratio_clip != float("inf") and (self.kind != "reverse" or self.support == "detached_log"):
            raise ShapeError("log_ratio_clip", got=(self.kind, self.support), expected="a differentiated 'reverse'")


RowLoss = Likelihood | ToTarget | Divergence


@dataclass(frozen=True, eq=False)
class Ids:
    """A support of K ids a row.

    Args:
        ids: [M, K] int64. valid: [M, K] bool, false for entries that only fill the row; None when all count.
    """

    ids: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True)
class Full:
    """The whole shared vocabulary; the target comes from a scorer's hidden states.

    Args:
        scorer: name of the entry of ``TokenTable.hidden``.
    """

    scorer: str


@dataclass(frozen=True, eq=False)
class LossTerm:
    """One named term.

    Args:
        name: also the metric's name.
        rows: [M] int64 rows of the token table, ascending; terms may overlap on rows.
        weights: [M] float; mask, coefficient and 1/denominator folded in.
        row_loss: the function of a row's live log-probs, and its constants.
        support: the ids at which the live log-probs are taken.
        told: [M] columns for files and reports; no executor reads them.
    """

    name: str
    rows: Tensor
    weights: Tensor
    row_loss: RowLoss
    support: Ids | Full
    told: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = self.rows.numel()
        if tuple(self.weights.shape) != (count,):
            raise ShapeError(f"weights of term {self.name!r}", got=tuple(self.weights.shape), expected=(count,))
        if isinstance(self.support, Ids) and (self.support.ids.ndim != 2 or self.support.ids.shape[0] != count):
            raise ShapeError(f"ids of term {self.name!r}", got=tuple(self.support.ids.shape), expected=f"[{count}, K]")


@dataclass(frozen=True, eq=False)
class LossPlan:
    """The loss of one optimiser step.

    Args:
        terms: named terms; the loss is their sum.
        temperature: live logits are divided by it before the softmax.
        statistics: figures of the plan for the log (shares of gates, mean advantage, ...), already global.
    """

    terms: Sequence[LossTerm]
    temperature: float = 1.0
    statistics: Mapping[str, float] = field(default_factory=dict)
