"""Ratios by the names of the field: how far from the sampler a token's gradient still counts."""

from __future__ import annotations

from understudy.plans import Ratio


def ppo_clip(epsilon: float = 0.2, epsilon_high: float | None = None) -> Ratio:
    """rho until the surrogate min(rho A, clip(rho, 1 - epsilon, 1 + epsilon_high) A) is flat; ``None``: both alike.

    Source: Schulman et al., arXiv:1707.06347, eq. 7; the higher upper bound: DAPO, arXiv:2503.14476, section 3.1.
    """
    return Ratio("ppo", low=1 - epsilon, high=1 + (epsilon if epsilon_high is None else epsilon_high))


def dual_clip(epsilon: float = 0.2, epsilon_high: float | None = None, *, delta: float = 3.0) -> Ratio:
    """``ppo_clip``, and nothing where A < 0 and rho > delta. Source: Ye et al., arXiv:1912.09729."""
    bounds = ppo_clip(epsilon, epsilon_high)
    return Ratio("dual_clip", low=bounds.low, high=bounds.high, dual=delta)


def cispo(epsilon_high: float = 0.2) -> Ratio:
    """min(rho, 1 + epsilon_high), which no token loses. Source: MiniMax-M1, arXiv:2506.13585 (no lower bound)."""
    return Ratio("capped", low=0.0, high=1 + epsilon_high)


def icepop(low: float = 0.5, high: float = 5.0) -> Ratio:
    """rho within [low, high], nothing outside: the mask on the ratio of trainer to sampler.

    Source: Ling team, arXiv:2510.18855 (IcePop); with these bounds MiMo-V2-Flash, arXiv:2601.02780.
    """
    return Ratio("masked", low=low, high=high)
