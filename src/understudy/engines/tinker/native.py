"""Which of the Tinker service's own losses a term of a plan is, exactly.

The service sums its losses over tokens, and so does a plan over its rows: mask, coefficient and 1/denominator are in
the plan's weights already. A weight therefore folds into the advantage, and a term is one of the service's losses when
its gradient is that loss's gradient with ``weight * advantage`` in place of the advantage:

* ``cross_entropy``: -w l. A likelihood without a ratio, at any number of ids a row.
* ``importance_sampling``: -rho A. A likelihood with ratio ``importance`` at one id a row.
* ``cispo``: -clip(rho, low, high) A l, the clip without a gradient. Ratio ``capped`` at one id a row. Its value is
  another than the plan's, its gradient the same.
* ``ppo``: -min(rho A, clip(rho, low, high) A). Ratio ``ppo`` at one id a row, if no weight is negative: the minimum of
  a negated advantage would be the other branch.

Everything else at chosen ids is a custom loss. Source: the SDK's types (tinker 0.38.0) and Tinker's page on losses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from understudy.errors import CapabilityError
from understudy.plans import Full, Ids, Likelihood, LossPlan, LossTerm

NativeName = Literal["cross_entropy", "importance_sampling", "ppo", "cispo"]


@dataclass(frozen=True)
class Native:
    """One of the service's losses.

    Args:
        name: of the loss. config: its settings.
    """

    name: NativeName
    config: Mapping[str, float] = field(default_factory=dict)


def native_of(term: LossTerm) -> Native | None:
    """The service's loss that this term is; None where its gradient has to be computed on this side."""
    loss = term.row_loss
    if not isinstance(loss, Likelihood) or not isinstance(term.support, Ids):
        return None
    ratio = loss.ratio
    if ratio.kind == "one":
        return Native("cross_entropy")
    if term.support.ids.shape[1] != 1:
        return None
    if ratio.kind == "importance":
        return Native("importance_sampling")
    if not (math.isfinite(ratio.low) and math.isfinite(ratio.high)):
        return None  # whether the service takes an infinite bound is not said
    bounds = {"clip_low_threshold": ratio.low, "clip_high_threshold": ratio.high}
    if ratio.kind == "capped":
        return Native("cispo", bounds)
    if ratio.kind == "ppo" and bool((term.weights >= 0).all()):
        return Native("ppo", bounds)
    return None


def native_plan(terms: Sequence[LossTerm]) -> Native | None:
    """The service's loss that a whole plan is, in one pass; None where it is a custom loss.

    Likelihoods without a ratio add up in one ``cross_entropy``. Two passes of the service's own losses would be exact
    too, but cost more than the forward pass and the one pass of a custom loss.
    """
    found = [native_of(term) for term in terms]
    if len(found) == 1:
        return found[0]
    return found[0] if found and all(one == Native("cross_entropy") for one in found) else None


def native_inputs(native: Native, term: LossTerm) -> dict[str, Tensor]:
    """[M, K] float32 inputs of the loss beside the targets: ``weights``, or ``advantages`` and ``logprobs``."""
    loss, support = term.row_loss, term.support
    assert isinstance(loss, Likelihood) and isinstance(support, Ids)
    advantage = term.weights[:, None].double() * loss.advantage.double()
    if support.valid is not None:
        advantage = torch.where(support.valid, advantage, torch.zeros_like(advantage))
    if native.name == "cross_entropy":
        return {"weights": advantage.float()}
    assert loss.old_logprob is not None
    old = loss.old_logprob.float()
    # Where the advantage is zero the row is exactly zero here; 0 * exp(inf) would not be there.
    return {"advantages": advantage.float(), "logprobs": torch.where(advantage == 0, torch.zeros_like(old), old)}


def check_plan(plan: LossPlan) -> None:
    """Refuse a plan that needs more than log-probabilities at chosen ids, at temperature 1.

    Raises:
        CapabilityError: a term runs over the whole vocabulary, or the loss has another temperature.
    """
    for term in plan.terms:
        if isinstance(term.support, Full):
            raise CapabilityError(
                f"the term {term.name!r} runs over the whole vocabulary, and the Tinker service gives log-probs at "
                "chosen ids only",
                remedy="Give the method a top_k where it has one, choose another, or use engine.kind local.",
            )
    if plan.temperature != 1.0:
        raise CapabilityError(
            "the Tinker service's losses have temperature 1",
            got=plan.temperature,
            expected="rollout.temperature: 1",
        )
