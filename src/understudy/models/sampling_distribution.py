"""The distribution a sampler draws from, and the draw: temperature, top-k, top-p, inverse CDF of a given uniform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.protocols import SamplingParams

# Above this width a draw first picks a block of the vocabulary, then a token in it: one pass over [rows, V] without
# a cumulative sum of it. Measured: most of the gain over `multinomial` at 150k tokens.
_BLOCK = 512
# A nucleus is first looked for among this many most likely tokens; only when it is wider is the whole row sorted.
_NUCLEUS = 1024


@dataclass(frozen=True, eq=False)
class Drawn:
    """One token a row.

    Args:
        ids: [B] int64. logprobs: [B] float32 nats under the distribution that sampled.
    """

    ids: Tensor
    logprobs: Tensor


LEAST_TEMPERATURE = 1e-5
"""Above 0; logits that are divided by less leave the range of float32, or all that matters of it."""


def check_params(params: SamplingParams) -> None:
    """Raise RecipeError when a sampling parameter is out of its range."""
    heat, least = params.temperature, f"{LEAST_TEMPERATURE:g}"
    checks = (
        ("max_completion_length", params.max_completion_length, params.max_completion_length >= 1, "at least 1"),
        ("temperature", heat, heat == 0 or LEAST_TEMPERATURE <= heat < math.inf, f"0 (greedy), or {least} and above"),
        ("top_p", params.top_p, 0 < params.top_p <= 1, "above 0 and at most 1"),
        ("top_k", params.top_k, params.top_k >= 0, "0 (all tokens) or above"),
    )
    for name, value, good, expected in checks:
        if not good:
            raise RecipeError(
                f"{name} is out of range", got=value, expected=expected, remedy=f"Correct `{name}` in the recipe."
            )


def draw(logits: Tensor, uniform: Tensor, params: SamplingParams) -> Drawn:
    """One token a row by the inverse CDF of ``uniform``, in the order of token ids.

    Order of operations: divide by the temperature, keep ``top_k`` tokens, keep the nucleus ``top_p`` of what is left,
    renormalise. At temperature 0 the most likely token is taken and its log-probability is the one at temperature 1
    over the whole vocabulary: "log 1 = 0" would hide how sure the model was.

    Args:
        logits: [B, V] float32, cut to the true vocabulary. uniform: [B] float64 in [0, 1).
        params: temperature and truncation.
    """
    if params.temperature == 0:
        ids = logits.argmax(-1)
        return Drawn(ids, _at(logits, ids) - logits.logsumexp(-1))
    top = logits.amax(-1)
    blocks, weights = _room_for(logits)
    # The largest logit first, as scorers do: quotients far from zero would round away, or be infinite.
    torch.sub(logits, top[:, None], out=weights)
    if params.temperature != 1:
        weights.div_(params.temperature)
    weights.exp_()
    if params.top_p < 1 or 0 < params.top_k < logits.shape[-1]:
        weights.mul_(kept_tokens(weights, top_k=params.top_k, top_p=params.top_p))
    ids, total = _in_blocks(blocks, uniform)
    return Drawn(ids, ((_at(logits, ids) - top).double() / params.temperature - total.log()).float())


def kept_tokens(weights: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """[B, V] bool: the ``top_k`` heaviest tokens (0: all), of these the least set with ``top_p`` of their mass.

    Args:
        weights: [B, V] non-negative, unnormalised.
    """
    vocabulary = weights.shape[-1]
    top_k = min(top_k, vocabulary) or vocabulary
    for width in (min(top_k, _NUCLEUS), top_k):
        heaviest, order = weights.topk(width, dim=-1)
        cumulative = heaviest.cumsum(-1, dtype=torch.float64)
        total = cumulative[:, -1:] if width == top_k else weights.sum(-1, keepdim=True, dtype=torch.float64)
        nucleus = cumulative - heaviest < top_p * total
        # A top-k cut's total is known only once the cut is complete, hence no short cut under it.
        if width == top_k or (top_k == vocabulary and bool((cumulative[:, -1:] >= top_p * total).all())):
            break
    return torch.zeros_like(weights, dtype=torch.bool).scatter_(-1, order, nucleus)


def inverse_cdf(weights: Tensor, uniform: Tensor) -> Tensor:
    """[B] int64: the first token whose cumulative weight exceeds ``uniform`` times the total.

    A token of weight 0 is never returned. Two levels, blocks then tokens, so that wide vocabularies are cheap.

    Args:
        weights: [B, V] non-negative, unnormalised, with a positive sum. uniform: [B] float64 in [0, 1).
    """
    blocks, own = _room_for(weights)
    own.copy_(weights)
    return _in_blocks(blocks, uniform)[0]


def _room_for(like: Tensor) -> tuple[Tensor, Tensor]:
    """Storage for a weight of each of [B, V]: as whole blocks [B, n, block], zeros past the end, and as [B, V]."""
    rows, vocabulary = like.shape
    block = min(vocabulary, _BLOCK)
    room = like.new_empty(rows, vocabulary + -vocabulary % block)
    room[:, vocabulary:] = 0
    return room.view(rows, -1, block), room[:, :vocabulary]


def _in_blocks(blocks: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """[B] int64 tokens, as ``inverse_cdf`` says, and the [B] float64 sums of all weights.

    A block is summed in float32, pairwise: within 1e-6 of it. The blocks are added in float64: over 150k addends
    float32 alone would cost a log-prob its 1e-5.
    """
    rows, _, block = blocks.shape
    masses = blocks.sum(-1).double().cumsum(-1)
    total = masses[:, -1]
    target = _below(uniform * total, total)
    which = (masses <= target[:, None]).sum(-1)
    before = torch.where(which > 0, _at(masses, (which - 1).clamp(min=0)), 0.0)
    inner = blocks[torch.arange(rows, device=which.device), which].cumsum(-1, dtype=torch.float64)
    rest = _below(target - before, inner[:, -1])
    return which * block + (inner <= rest[:, None]).sum(-1), total


def _below(value: Tensor, bound: Tensor) -> Tensor:
    """``value``, at most the next float under ``bound``: rounding must not step past the last token with weight."""
    return torch.minimum(value, torch.nextafter(bound, torch.zeros_like(bound)))


def _at(table: Tensor, column: Tensor) -> Tensor:
    return table.gather(-1, column[:, None]).squeeze(-1)
