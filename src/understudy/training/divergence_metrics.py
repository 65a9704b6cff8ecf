"""How far the student is from its teacher on its own tokens: over all of them, and for each domain."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from understudy.objectives.row_losses import NO_MASS
from understudy.rollouts import Origin
from understudy.tokens import TokenTable
from understudy.training.pooling import mean
from understudy.world import World

_LARGEST_RATIO = 20.0
"""Log ratios are cut to this in k3 only, where one wild token would drown the rest."""


def divergence_figures(table: TokenTable) -> dict[str, float]:
    """Reverse KL over the student's tokens by the estimators k1 and k3.

    Where only the teacher was scored, the sampler's log-probs stand for the student's. A token that the teacher gives
    no mass counts as the loss counts it, with ``NO_MASS`` nats, so that one such token does not blot out the figure.
    """
    if "teacher_logprob" not in table.tokens or not bool((table["origin"] == Origin.STUDENT).any()):
        return {}
    k1, k3 = _estimates(table)
    return {"kl/reverse_k1": mean(k1), "kl/k3": mean(k3)}


def domain_figures(table: TokenTable, *, world: World, domains: Sequence[str] = ()) -> dict[str, float]:
    """k1 and k3 of each domain, and its share of the student's tokens, where there are several; equal on every rank.

    Args:
        world: adds up the ranks' tokens. domains: all names that some rank may have, in one order; none takes those of
            this batch, which one rank knows whole.
    """
    names = list(domains) or sorted(set(table.domains))
    if "teacher_logprob" not in table.tokens or len(names) < 2:
        return {}
    number_of = {name: number for number, name in enumerate(names)}
    by_rollout = torch.tensor([number_of.get(name, len(names)) for name in table.domains], dtype=torch.int64)
    domain = by_rollout[table["rollout"][table["origin"] == Origin.STUDENT]]
    k1, k3 = _estimates(table)
    sums = torch.zeros(len(names) + 1, 3, dtype=torch.float64)
    sums.index_add_(0, domain, torch.stack([torch.ones_like(k1), k1, k3], dim=1))
    totals = world.sum(sums)[: len(names)]
    count = totals[:, 0]
    if int((count > 0).sum()) < 2:
        return {}
    figures = {}
    for number, name in enumerate(names):
        if count[number] > 0:
            called = name or "none"
            figures[f"kl/reverse_k1/{called}"] = float(totals[number, 1] / count[number])
            figures[f"kl/k3/{called}"] = float(totals[number, 2] / count[number])
            figures[f"tokens/share/{called}"] = float(count[number] / count.sum())
    return figures


def _estimates(table: TokenTable) -> tuple[Tensor, Tensor]:
    """k1 = -a and k3 = exp(a) - a - 1 of each token of the student, a = log pi_T - log pi_S; float64."""
    own = table["origin"] == Origin.STUDENT
    student = table.tokens.get("student_logprob", table["behaviour_logprob"])
    ratio = (table["teacher_logprob"].clamp_min(NO_MASS) - student)[own].double()
    bounded = ratio.clamp(-_LARGEST_RATIO, _LARGEST_RATIO)
    return -ratio, bounded.exp() - bounded - 1
