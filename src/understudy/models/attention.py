"""Causal attention over whole sequences: the kernel is chosen here, by device, precision and what the model asks.

Measured (docs/performance.md): on a CPU, forward and backward of the fused bfloat16 kernel take two to four times as
long as those of the float32 kernel on the same values, whatever the length; so what learns in bfloat16 attends in
float32 there, and gets the more exact gradient. Without a gradient the fused bfloat16 kernel is the fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_KEPT_VALUES = 1 << 20
_LEAST_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Rule:
    """Which keys a token of a sequence sees.

    Args:
        allowed: transformers' mask function of (batch, head, query, key) indices within one sequence; None: every
            key up to its own. span: no query sees further back than this many keys, itself included; None: no limit.
    """

    allowed: MaskFunction | None = None
    span: int | None = None
    _kept: dict[tuple[int, int, int], Tensor] = field(default_factory=dict)

    def binds(self, length: int) -> bool:
        """Whether a sequence of this length sees less than plain causal attention."""
        return self.allowed is not None and (self.span is None or length > self.span)

    def mask(self, start: int, stop: int, first: int, device: torch.device) -> Tensor:
        """[1, 1, stop - start, stop - first] bool: which of keys first..stop the queries start..stop see."""
        kept = self._kept.get((start, stop, first))
        if kept is not None:
            return kept
        assert self.allowed is not None
        zero = torch.zeros(1, 1, 1, 1, dtype=torch.int64, device=device)
        queries = torch.arange(start, stop, device=device)[None, None, :, None]
        keys = torch.arange(first, stop, device=device)[None, None, None, :]
        mask = self.allowed(zero, zero, queries, keys).expand(1, 1, stop - start, stop - first)
        if mask.numel() <= _KEPT_VALUES:  # the layers of one pass share the small ones, which are many
            self._kept[start, stop, first] = mask
        return mask


@dataclass(frozen=True, eq=False)
class Kind:
    """How scores become weights.

    Args:
        scaling: of the scores. dropout: of the weights. softcap: scores are held within it by a tanh.
        sinks: [heads] one more score a head, which takes weight and gives nothing.
    """

    scaling: float
    dropout: float = 0.0
    softcap: float | None = None
    sinks: Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the fused kernels know it."""
        return self.softcap is None and self.sinks is None


def attend_sequences(query: Tensor, key: Tensor, value: Tensor, rule: Rule, kind: Kind) -> Tensor:
    """Sequences of one length: query [b, heads, n, d], key and value [b, groups, n, d] to [b, n, heads, d].

    With a limited span no [n, n] mask is made: queries go in blocks, each with the keys it can see.
    """
    length = query.shape[2]
    if not rule.binds(length):
        return _attend(query, key, value, None, kind).transpose(1, 2)
    block = length if rule.span is None else max(rule.span, _LEAST_BLOCK)
    parts = []
    for start in range(0, length, block):
        stop = min(start + block, length)
        first = 0 if rule.span is None else max(0, start - rule.span + 1)
        mask = rule.mask(start, stop, first, query.device)
        parts.append(_attend(query[:, :, start:stop], key[:, :, first:stop], value[:, :, first:stop], mask, kind))
    return torch.cat(parts, dim=2).transpose(1, 2)


def attention_dtype(query: Tensor, value: Tensor) -> torch.dtype:
    """In which precision attention runs: autocast's, or the values'; float32 where bfloat16 learns on a CPU."""
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    learns = torch.is_grad_enabled() and (query.requires_grad or value.requires_grad)
    return torch.float32 if device == "cpu" and learns and dtype == torch.bfloat16 else dtype


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kind: Kind) -> Tensor:
    """[b, heads, q, d]; without a mask the last query stands at the last key."""
    if not kind.is_plain:
        return weighted_products(query, key, value, mask, kind)
    shares_keys = key.shape[1] != query.shape[1]
    if shares_keys and mask is not None and query.is_cuda:  # there, no fused kernel takes a mask and shared keys
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
        shares_keys = False
    return functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=kind.dropout,
        is_causal=mask is None,
        scale=kind.scaling,
        enable_gqa=shares_keys,
    )


def weighted_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kind: Kind) -> Tensor:
    """Attention as two matrix products, for soft caps and sinks; heads that share keys are stacked, not repeated."""
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    stacked = query.reshape(batch, groups, heads // groups * length, width)
    scores = torch.matmul(stacked, key.transpose(2, 3)).view(batch, heads, length, -1) * kind.scaling
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if kind.softcap is not None:
        scores = torch.tanh(scores / kind.softcap) * kind.softcap
    if mask is None and length > 1:
        mask = torch.ones(length, scores.shape[-1], dtype=torch.bool, device=query.device).tril()
    if mask is not None:  # a padding token may see nothing at all: its answer is of no use, but must be finite
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    if kind.sinks is not None:
        sinks = kind.sinks.to(scores.dtype).view(1, heads, 1, 1).expand(batch, heads, length, 1)
        weights = torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1]
    else:
        weights = scores.softmax(-1)
    weights = functional.dropout(weights, kind.dropout) if kind.dropout else weights
    mixed = torch.matmul(weights.to(value.dtype).reshape(batch, groups, heads // groups * length, -1), value)
    return mixed.view(batch, heads, length, -1)
