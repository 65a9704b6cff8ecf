"""One decoding step of a Llama-shaped model with few and large products, for a CPU.

A small model's step in transformers is mostly calls: 1,300 of Python and 330 of torch at four layers. Here query, key
and value are one product, so are gate and up, heads that share keys stand in one batched product, and the rotary
tables are looked up. The model's own step is made once beside it: a shortcut that differs is not taken.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.models.decode_weights import LayerWeights, layer_weights, product, reason_against
from understudy.models.forward import causal_lm
from understudy.models.sampling_prefill import next_logits
from understudy.models.sampling_slots import Forward

_log = logging.getLogger(__name__)
# Copying the weights and the one step that is made twice cost about as much as so many steps save.
_FEWEST_STEPS = 16
# Of the largest logit: a hundred times what another order of summation gives, far below any other mistake.
_TOLERANCE = 1e-4


def step_of(model: nn.Module, *, num_steps: int, length: int) -> Forward:
    """What reads one token a row and predicts the next: the shortcut where it is for this model and pays.

    Args:
        model: in evaluation mode. num_steps: tokens of the longest completion. length: longest text in tokens.
    """
    own = partial(next_logits, model)
    if num_steps < _FEWEST_STEPS or reason_against(model) is not None:
        return own
    return Verified(DecodeStep(model, length=length), own)


class Verified:
    """A shortcut that is taken once it has given what the model's own step gives.

    Args:
        shortcut, own: read the same token from the same cache.
    """

    def __init__(self, shortcut: Forward, own: Forward) -> None:
        self._shortcut, self._own = shortcut, own
        self._chosen: Forward | None = None

    def __call__(self, ids: Tensor, *, mask: Tensor, position: Tensor, cache: Any) -> Tensor:
        """[b, V] logits after the tokens ``ids`` [b, 1]."""
        if self._chosen is not None:
            return self._chosen(ids, mask=mask, position=position, cache=cache)
        quick = self._shortcut(ids, mask=mask, position=position, cache=cache)
        for layer in cache.layers:
            layer.forget_last()
        exact = self._own(ids, mask=mask, position=position, cache=cache)
        gap = (quick - exact).abs().max()
        same = bool(gap <= _TOLERANCE * exact.abs().max().clamp(min=1))
        self._chosen = self._shortcut if same else self._own
        if not same and bool(exact.isfinite().all()):
            _log.warning("the sampler's fast step is off by %.1e for this model; it takes the model's own.", float(gap))
        return exact


class DecodeStep:
    """What ``sampling_prefill.next_logits`` gives for one token a row, of a model that ``reason_against`` accepts.

    Args:
        model: in evaluation mode; its weights are copied now. length: longest text in tokens.
    """

    def __init__(self, model: nn.Module, *, length: int) -> None:
        inner: Any = causal_lm(model)
        config = inner.config
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._width, self._eps = inner.model.layers[0].self_attn.head_dim, config.rms_norm_eps
        self._embedding = inner.model.embed_tokens.weight
        self._layers = [layer_weights(layer) for layer in inner.model.layers]
        self._norm, self._head = inner.model.norm.weight, product(inner.lm_head)
        positions = torch.arange(length, device=self._embedding.device)[None]
        cos, sin = inner.model.rotary_emb(self._embedding[:1, None], positions)
        half = self._width // 2
        # The rotation's sign stands in the sine, so that a step only swaps the halves.
        self._cos, self._sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)

    def __call__(self, ids: Tensor, *, mask: Tensor, position: Tensor, cache: Any) -> Tensor:
        """[b, V] logits after the tokens ``ids`` [b, 1], whose keys and values are added to the cache.

        Args:
            mask: [b, length so far + 1] bool. position: [b, 1] in the text. cache: of ``ReservedLayer``.
        """
        place = position.squeeze(1)
        turn = self._cos[place][:, None], self._sin[place][:, None]
        bias = torch.where(mask, 0.0, float("-inf"))[:, None, None]
        x = functional.embedding(ids.squeeze(1), self._embedding)
        for layer, stored in zip(self._layers, cache.layers, strict=True):
            mixed = self._attend(layer, self._normed(x, layer.before), stored, bias=bias, turn=turn)
            x = layer.out.added_to(x, mixed)
            gate, up = layer.gate_up(self._normed(x, layer.between)).chunk(2, dim=-1)
            x = layer.down.added_to(x, functional.silu(gate) * up)
        return self._head(self._normed(x, self._norm))

    def _attend(
        self, layer: LayerWeights, x: Tensor, stored: Any, *, bias: Tensor, turn: tuple[Tensor, Tensor]
    ) -> Tensor:
        """[b, heads x width]: heads that share keys stand under each other in one product, nothing is repeated."""
        rows, heads, groups = x.shape[0], self._heads, self._groups
        states = layer.qkv(x).view(rows, heads + 2 * groups, self._width)
        turned = states[:, : heads + groups]
        if layer.head_norm is not None:
            turned = self._normed(turned, layer.head_norm)
        low, high = turned.chunk(2, dim=-1)
        turned = torch.addcmul(turned * turn[0], torch.cat([high, low], dim=-1), turn[1])
        keys, values = stored.update(turned[:, heads:, None], states[:, heads + groups :, None])
        query = turned[:, :heads].reshape(rows * groups, heads // groups, self._width)
        scores = torch.bmm(query, keys.flatten(0, 1).transpose(1, 2))
        scores.view(rows, groups, heads // groups, -1).add_(bias)
        return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(rows, -1)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        """The norm over the last axis, times ``weight`` of the last axis or axes."""
        return functional.rms_norm(x, x.shape[-1:], None, self._eps) * weight
