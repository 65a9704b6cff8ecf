"""One decoding step of a Llama-shaped model with few and large products, for a CPU.

A small model's step in transformers is mostly calls: 1,300 of Python and 330 of torch at four layers. Here query, key
and value are one product, so are gate and up, heads that share keys stand in one batched product over keys that lie the
way it reads them, and the rotary tables are looked up. Under autocast the large weights are cast once, not in every
step, and all else stays float32. The model's own step is made once beside it: a shortcut that differs is not taken.
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
# Of the largest logit: a hundred times what another order of summation gives, far below any other mistake; under
# autocast the model's own step is rounded to bfloat16 at every product.
_TOLERANCE, _ROUNDED_TOLERANCE = 1e-4, 5e-2


def step_of(model: nn.Module, *, num_steps: int, length: int) -> Forward:
    """What reads one token a row and predicts the next: the shortcut where it is for this model and pays.

    Args:
        model: in evaluation mode. num_steps: tokens of the longest completion. length: longest text in tokens.
    """
    own = partial(next_logits, model)
    if num_steps < _FEWEST_STEPS or reason_against(model) is not None:
        return own
    rounded = torch.is_autocast_enabled("cpu")
    wide = torch.get_autocast_dtype("cpu") if rounded else torch.float32
    tolerance = _ROUNDED_TOLERANCE if rounded else _TOLERANCE
    return Verified(DecodeStep(model, length=length, wide=wide), own, tolerance=tolerance)


class Verified:
    """A shortcut that is taken once it has given what the model's own step gives.

    Args:
        shortcut, own: read the same token from the same cache. tolerance: of the largest logit.
    """

    def __init__(self, shortcut: Forward, own: Forward, *, tolerance: float = _TOLERANCE) -> None:
        self._shortcut, self._own, self._tolerance = shortcut, own, tolerance
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
        same = bool(gap <= self._tolerance * exact.abs().max().clamp(min=1))
        self._chosen = self._shortcut if same else self._own
        if not same and bool(exact.isfinite().all()):
            _log.warning("the sampler's fast step is off by %.1e for this model; it takes the model's own.", float(gap))
        return exact


class KeyColumns:
    """A layer's keys once more, a column a position: products with them take a third of the time."""

    def __init__(self) -> None:
        self._of: Tensor | None = None
        self._columns = torch.zeros(0)

    def after(self, stored: Any, new: Tensor) -> Tensor:
        """[rows x heads, width, length]: of all keys that ``stored`` holds, now that it has taken ``new``.

        Args:
            new: [rows, heads, 1, width], the last of them.
        """
        if self._of is not stored.keys:  # the first step, rows that came or left, or more room
            self._of, self._columns = stored.keys, stored.keys.flatten(0, 1).transpose(1, 2).contiguous()
        else:
            self._columns[:, :, stored.length - 1] = new.flatten(0, 2)
        return self._columns[:, :, : stored.length]


def in_float32(stored: Any) -> Any:
    """The layer, what it holds made float32 where prompts were read in bfloat16: small products are faster in it."""
    if stored.values.dtype != torch.float32 or stored.keys.dtype != torch.float32:
        stored.keys, stored.values = stored.keys.float(), stored.values.float()
    return stored


class DecodeStep:
    """What ``sampling_prefill.next_logits`` gives for one token a row, of a model that ``reason_against`` accepts.

    Args:
        model: in evaluation mode; its weights are copied now. length: longest text in tokens.
        wide: dtype of the large weights.
    """

    def __init__(self, model: nn.Module, *, length: int, wide: torch.dtype = torch.float32) -> None:
        inner: Any = causal_lm(model)
        config = inner.config
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._width, self._eps = inner.model.layers[0].self_attn.head_dim, config.rms_norm_eps
        self._embedding = inner.model.embed_tokens.weight
        self._layers = [layer_weights(layer, wide=wide) for layer in inner.model.layers]
        self._columns = [KeyColumns() for _ in self._layers]
        self._norm, self._head = inner.model.norm.weight, product(inner.lm_head, wide=wide)
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
        with torch.autocast("cpu", enabled=False):  # what is cast here has been cast already
            return self._step(ids.squeeze(1), mask=mask, place=position.squeeze(1), cache=cache)

    def _step(self, ids: Tensor, *, mask: Tensor, place: Tensor, cache: Any) -> Tensor:
        turn = self._cos[place][:, None], self._sin[place][:, None]
        bias = torch.where(mask, 0.0, float("-inf"))[:, None, None]
        x = functional.embedding(ids, self._embedding)
        for layer, stored, columns in zip(self._layers, cache.layers, self._columns, strict=True):
            query, keys, values = self._read(layer, self._normed(x, layer.before), stored, columns, turn=turn)
            x = layer.out.added_to(x, self._attended(query, keys, values, bias=bias))
            gate, up = layer.gate_up(self._normed(x, layer.between)).chunk(2, dim=-1)
            x = layer.down.added_to(x, functional.silu(gate) * up)
        return self._head(self._normed(x, self._norm))

    def _read(
        self, layer: LayerWeights, x: Tensor, stored: Any, columns: KeyColumns, *, turn: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Query [g, heads of one, width], all keys [g, width, L] and values [g, L, width]; g = b x key heads."""
        rows, heads, groups = x.shape[0], self._heads, self._groups
        states = layer.qkv(x).view(rows, heads + 2 * groups, self._width)
        turned = states[:, : heads + groups]
        if layer.head_norm is not None:
            turned = self._normed(turned, layer.head_norm)
        low, high = turned.chunk(2, dim=-1)
        turned = torch.addcmul(turned * turn[0], torch.cat([high, low], dim=-1), turn[1])
        new = turned[:, heads:, None]
        _, values = in_float32(stored).update(new, states[:, heads + groups :, None])
        query = turned[:, :heads].reshape(rows * groups, heads // groups, self._width)
        return query, columns.after(stored, new), values.flatten(0, 1)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, *, bias: Tensor) -> Tensor:
        """[b, heads x width]: heads that share keys stand under each other in one product, nothing is repeated."""
        scores = torch.bmm(query, keys)
        scores.view(bias.shape[0], self._groups, -1, scores.shape[-1]).add_(bias)
        return torch.bmm(scores.softmax(-1), values).view(bias.shape[0], -1)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        """The norm over the last axis, times ``weight`` of the last axis or axes."""
        return functional.rms_norm(x, x.shape[-1:], None, self._eps) * weight
