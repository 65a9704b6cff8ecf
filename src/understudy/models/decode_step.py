"""One decoding step of a Llama-shaped model with few and large products, for a CPU.

A small model's step in transformers is mostly calls: 1,300 of Python and 330 of torch at four layers. Here query, key
and value are one product, so are gate and up, heads that share keys stand in one batched product over keys that lie the
way it reads them, and the rotary tables are looked up. Under autocast the large weights are cast once, not in every
step, and all else stays float32. Where there is a C compiler, small layers are one call (``decode_native.py``). The
model's own step is made once beside it: a shortcut that differs is not taken.
"""

from __future__ import annotations

import logging
import weakref
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.models.decode_native import native_step
from understudy.models.decode_weights import LayerWeights, reason_against, step_weights
from understudy.models.sampling_cache import in_float32
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
    step = DecodeStep(model, length=length, wide=wide)
    return Verified(native_step(step.weights) or step, own, tolerance=tolerance)


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
    """A layer's keys once more, a column a position: products with them take a third of the time.

    They are held for as long as the keys are.
    """

    def __init__(self) -> None:
        self._of: weakref.ref[Tensor] | None = None
        self._columns = torch.zeros(0)

    def after(self, stored: Any, new: Tensor) -> Tensor:
        """[rows x heads, width, length]: of all keys that ``stored`` holds, now that it has taken ``new``.

        Args:
            new: [rows, heads, 1, width], the last of them.
        """
        if self._of is None or self._of() is not stored.keys:  # the first step, rows that came or left, or more room
            self._of = weakref.ref(stored.keys, self._let_go)
            self._columns = stored.keys.flatten(0, 1).transpose(1, 2).contiguous()
        else:
            self._columns[:, :, stored.length - 1] = new.flatten(0, 2)
        return self._columns[:, :, : stored.length]

    def _let_go(self, of: weakref.ref[Tensor]) -> None:
        if self._of is of:
            self._columns = torch.zeros(0)


class DecodeStep:
    """What ``sampling_prefill.next_logits`` gives for one token a row, of a model that ``reason_against`` accepts.

    Args:
        model: in evaluation mode; its weights are copied now. length: longest text in tokens.
        wide: dtype of the large weights.
    """

    def __init__(self, model: nn.Module, *, length: int, wide: torch.dtype = torch.float32) -> None:
        self.weights = step_weights(model, length=length, wide=wide)
        self._columns = [KeyColumns() for _ in self.weights.layers]

    def __call__(self, ids: Tensor, *, mask: Tensor, position: Tensor, cache: Any) -> Tensor:
        """[b, V] logits after the tokens ``ids`` [b, 1], whose keys and values are added to the cache.

        Args:
            mask: [b, length so far + 1] bool. position: [b, 1] in the text. cache: of ``ReservedLayer``.
        """
        with torch.autocast("cpu", enabled=False):  # what is cast here has been cast already
            return self._step(ids.squeeze(1), mask=mask, place=position.squeeze(1), cache=cache)

    def _step(self, ids: Tensor, *, mask: Tensor, place: Tensor, cache: Any) -> Tensor:
        weights = self.weights
        turn = weights.cosine[place][:, None], weights.sine[place][:, None]
        bias = torch.where(mask, 0.0, float("-inf"))[:, None, None]
        x = functional.embedding(ids, weights.embedding)
        for layer, stored, columns in zip(weights.layers, cache.layers, self._columns, strict=True):
            query, keys, values = self._read(layer, self._normed(x, layer.before), stored, columns, turn=turn)
            x = layer.out.added_to(x, self._attended(query, keys, values, bias=bias))
            gate, up = layer.gate_up(self._normed(x, layer.between)).chunk(2, dim=-1)
            x = layer.down.added_to(x, functional.silu(gate) * up)
        return weights.head(self._normed(x, weights.norm))

    def _read(
        self, layer: LayerWeights, x: Tensor, stored: Any, columns: KeyColumns, *, turn: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Query [g, heads of one, width], all keys [g, width, L] and values [g, L, width]; g = b x key heads."""
        weights = self.weights
        rows, heads, groups = x.shape[0], weights.heads, weights.groups
        states = layer.qkv(x).view(rows, heads + 2 * groups, weights.head_width)
        turned = states[:, : heads + groups]
        if layer.head_norm is not None:
            turned = self._normed(turned, layer.head_norm)
        low, high = turned.chunk(2, dim=-1)
        turned = torch.addcmul(turned * turn[0], torch.cat([high, low], dim=-1), turn[1])
        new = turned[:, heads:, None]
        _, values = in_float32(stored).update(new, states[:, heads + groups :, None])
        query = turned[:, :heads].reshape(rows * groups, heads // groups, weights.head_width)
        return query, columns.after(stored, new), values.flatten(0, 1)

    def _attended(self, query: Tensor, keys: Tensor, values: Tensor, *, bias: Tensor) -> Tensor:
        """[b, heads x width]: heads that share keys stand under each other in one product, nothing is repeated."""
        scores = torch.bmm(query, keys)
        scores.view(bias.shape[0], self.weights.groups, -1, scores.shape[-1]).add_(bias)
        return torch.bmm(scores.softmax(-1), values).view(bias.shape[0], -1)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        """The norm over the last axis, times ``weight`` of the last axis or axes."""
        return functional.rms_norm(x, x.shape[-1:], None, self.weights.epsilon) * weight
