"""MiniLLM: the reverse KL of whole sequences by returns to go, with an exact step and a language-modelling loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from understudy.objectives.gates import data_tokens, student_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.returns import return_to_go, whitened
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.terms import Term, divergence, likelihood, policy_gradient
from understudy.objectives.writing import RolloutMix, Writing
from understudy.plans import Divergence


class MiniLLM(MethodConfig):
    """MiniLLM, but for its teacher-mixed sampling, which is not built.

    The source samples each token from 0.2 T + 0.8 S and weighs it by S over that mixture; here the student alone
    samples. It goes over a batch four times; here each update sees its own part of a batch once (``num_updates``).

    Args:
        discount: gamma of the sum over later tokens.
        length_norm: divide each return by the number of tokens it sums.
        whiten: shift and scale returns to mean 0 and variance 1 over the batch.
        reward_scale: each token's log T - log S is divided by it.
        reward_clip: and then cut to this size on either side.
        clip: half-width of the PPO clip.
        one_step_coefficient: of the exact reverse KL of each token.
        data_share: share of prompts whose completion is the data's; the source trains on as many texts as rollouts.
        lm_coefficient: of the negative log-likelihood of that text; the source gives the other half to a distillation
            loss on the same text, which is not built.
    """

    method: Literal["minillm"] = "minillm"
    discount: float = Field(default=1.0, ge=0, le=1)
    length_norm: bool = True
    whiten: bool = True
    reward_scale: float = Field(default=0.5, gt=0)
    reward_clip: float = Field(default=100.0, gt=0)
    clip: float = Field(default=0.2, gt=0)
    one_step_coefficient: float = Field(default=1.0, ge=0)
    data_share: float = Field(default=0.5, ge=0, lt=1)
    lm_coefficient: float = Field(default=0.5, ge=0)


def minillm(config: MiniLLM) -> Objective:
    """Sequence reverse KL (no teacher-mixed sampling): A_t = whiten(sum_{k>=t} r_k / (remaining length)) + exact KL.

    r = (log T - log S) / reward_scale, clipped. The expected gradient at the first update of a batch is the sum of
    -E[A_t grad log S(y_t)], of grad KL(S||T) at each visited state, and of grad -log S on the data's text. Without
    length_norm, whitening and clip, and with reward_scale 1, the first part is the gradient of the reverse KL of whole
    sequences (identity 14 of docs/methods/identities.md).

    Source: MiniLLM, arXiv:2306.08543, algorithm 1; microsoft/LMOps, minillm/losses.py.
    """
    returns = return_to_go(
        teacher_log_ratio(),
        gamma=config.discount,
        shape=lambda reward: _scaled(reward, config),
        per_remaining_token=config.length_norm,
    )
    signal = whitened(returns) if config.whiten else returns
    terms: dict[str, Term] = {"policy": policy_gradient(signal=signal, ratio=ppo_clip(config.clip))}
    if config.one_step_coefficient:
        terms["one_step"] = divergence(
            Divergence("reverse"),
            support=OnVocabulary(),
            gate=student_tokens,
            coefficient=config.one_step_coefficient,
        )
    if config.data_share:
        terms["lm"] = likelihood(gate=data_tokens, coefficient=config.lm_coefficient)
    return config.objective(terms, writing=Writing(RolloutMix(student=1 - config.data_share, data=config.data_share)))


def _scaled(reward: Tensor, config: MiniLLM) -> Tensor:
    return (reward / config.reward_scale).clamp(-config.reward_clip, config.reward_clip)
