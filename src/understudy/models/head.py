"""The output head: hidden states to float32 logits of the true vocabulary, for any Hugging Face causal LM."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from understudy.errors import ModelError
from understudy.models.forward import causal_lm, hidden_rows, plan_forward
from understudy.models.products import rounded_factors

# Values of one [rows, vocabulary] buffer: 256 MiB in float32, 441 rows at 152k tokens.
_BUFFER_VALUES = 1 << 26
_MAX_CHUNK_ROWS = 8192
# Rows of a weight of lower precision that are widened at one time: 32 MiB at width 1,024.
_TILE_TOKENS = 8192


def default_chunk_rows(vocab_size: int) -> int:
    """Rows whose logits fit one buffer of 256 MiB."""
    return max(16, min(_MAX_CHUNK_ROWS, _BUFFER_VALUES // vocab_size))


class Head:
    """Callable: hidden [M, H] -> logits [M, V], float32 (float64 for float64 states), cut to the true vocabulary.

    Reads the model's output embeddings at each call, so tied, sharded and LoRA-wrapped heads, biases, and the
    logit scale or soft cap of the architecture's configuration all hold.

    Args:
        model: the causal language model, PEFT-wrapped or not. vocab_size: true vocabulary, V.
        rounded: its products take their factors in bfloat16, as autocast does in the layers below; the logits, their
            gradient and all sums stay float32.
    Attributes:
        scale, cap: logits = cap * tanh(scale * product / cap); no cap: scale * product.
    """

    def __init__(self, model: nn.Module, *, vocab_size: int, rounded: bool = False) -> None:
        inner = causal_lm(model)
        self.module: nn.Module = inner.get_output_embeddings()
        if not isinstance(self.module, nn.Module):
            raise ModelError("the model has no output embeddings", got=type(inner).__name__)
        self.vocab_size, self.rounded = vocab_size, rounded
        self.scale, self.cap = _scale_and_cap(inner)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters that take a gradient, in a fixed order."""
        return [p for p in self.module.parameters() if p.requires_grad]

    @property
    def weight(self) -> Tensor:
        """[V or more, H] of a plain linear head."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def bias(self) -> Tensor | None:
        """[V or more] of a plain linear head, if it has one."""
        bias = self.module.bias
        assert bias is None or isinstance(bias, Tensor)
        return bias

    @property
    def is_linear(self) -> bool:
        """Whether its module is one matrix product (plus bias): then ``into`` holds. Scale and cap may follow."""
        return type(self.module) is nn.Linear

    def __call__(self, hidden: Float[Tensor, "m h"]) -> Float[Tensor, "m v"]:
        """Logits before temperature, computed and returned in float32 whatever the weights' precision."""
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        with torch.autocast(hidden.device.type, enabled=False), self.products(hidden):
            logits = self._product(hidden.to(dtype), dtype)
            if self.scale != 1.0:
                logits = logits * self.scale
            return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap

    @property
    def constant(self) -> ConstantHead:
        """[m, H] -> [m, V] logits without a graph, under the weights at the time of the call."""
        return ConstantHead(self)

    def products(self, factor: Tensor) -> AbstractContextManager[None]:
        """What stands around its products with this factor: they round where that is wanted, or loses nothing."""
        exact = self.scale == 1.0 and self.is_linear and factor.dtype == self.weight.dtype == torch.bfloat16
        return rounded_factors(factor.device.type, wanted=self.rounded or exact)

    def into(self, hidden: Float[Tensor, "m h"], out: Float[Tensor, "m v"]) -> Float[Tensor, "m v"]:
        """The logits of a linear head, without a graph, in a buffer that stands ready: a fresh one costs page faults.

        Weights of lower precision are widened a tile at a time, so no second copy of them exists.
        """
        wide = hidden.detach().to(out.dtype) * self.scale if self.scale != 1.0 else hidden.detach().to(out.dtype)
        bias = None if self.bias is None else self.bias.detach()[: self.vocab_size].to(out.dtype) * self.scale
        with self.products(hidden):
            for start, stop, weight in self.weight_tiles(out.dtype):
                if bias is None:
                    torch.mm(wide, weight.T, out=out[:, start:stop])
                else:
                    torch.addmm(bias[start:stop], wide, weight.T, out=out[:, start:stop])
        return out if self.cap is None else out.div_(self.cap).tanh_().mul_(self.cap)

    def times_weight(self, gradient: Float[Tensor, "m v"]) -> Float[Tensor, "m h"]:
        """The hidden states' gradient from that of the logits, before any cap; linear heads."""
        with self.products(gradient):
            parts = [gradient[:, start:stop] @ weight for start, stop, weight in self.weight_tiles(gradient.dtype)]
        total = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
        return total * self.scale if self.scale != 1.0 else total

    def weight_tiles(self, dtype: torch.dtype) -> Iterator[tuple[int, int, Float[Tensor, "t h"]]]:
        """(first token, last + 1, their weights in ``dtype``) over the true vocabulary; one tile if nothing is cast."""
        weight = self.weight.detach()
        size = self.vocab_size if weight.dtype == dtype else _TILE_TOKENS
        for start in range(0, self.vocab_size, size):
            stop = min(start + size, self.vocab_size)
            yield start, stop, weight[start:stop].to(dtype)

    def frozen(self) -> Callable[[Tensor], Tensor]:
        """A copy with the weights of this moment, for targets that must not move with the model."""
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module).requires_grad_(False)
        return twin

    def _product(self, hidden: Tensor, dtype: torch.dtype) -> Tensor:
        if type(self.module) is nn.Linear:
            weight: Tensor = self.module.weight
            bias: Tensor | None = self.module.bias
            if weight.shape[0] != self.vocab_size:
                weight, bias = weight[: self.vocab_size], None if bias is None else bias[: self.vocab_size]
            return nn.functional.linear(hidden, weight.to(dtype), None if bias is None else bias.to(dtype))
        own = dict(self.module.named_parameters())
        if all(p.dtype == dtype for p in own.values()):
            return self.module(hidden)[:, : self.vocab_size]
        wide = {name: p.to(dtype) for name, p in own.items()}
        return functional_call(self.module, wide, (hidden,))[:, : self.vocab_size]


@dataclass(frozen=True, eq=False)
class ConstantHead:
    """A head whose logits carry no graph."""

    head: Head

    def __call__(self, hidden: Float[Tensor, "m h"]) -> Float[Tensor, "m v"]:
        """Logits under the weights at the time of the call."""
        with torch.no_grad():
            return self.head(hidden)


def in_one_buffer(project: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same projection, each call overwriting the answer of the last, where it is a linear head; no graph then."""
    head = project.head if isinstance(project, ConstantHead) else project
    return _OneBuffer(head) if isinstance(head, Head) and head.is_linear else project


class _OneBuffer:
    """A linear head that writes every chunk of rows to the same place."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._buffer: Tensor | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        rows, dtype = hidden.shape[0], torch.promote_types(hidden.dtype, torch.float32)
        held = self._buffer
        if held is None or held.shape[0] < rows or held.dtype != dtype or held.device != hidden.device:
            held = self._buffer = torch.empty(rows, self._head.vocab_size, dtype=dtype, device=hidden.device)
        with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
            return self._head.into(hidden, held[:rows])


def check_head(model: nn.Module, *, vocab_size: int) -> None:
    """Run two tokens through the model and through backbone + head; they must agree.

    Raises:
        ModelError: the model answers with NaN, or does something between its head and its logits that ``Head`` does
            not know.
    """
    device = next(model.parameters()).device
    ids = torch.arange(2, device=device).clamp(max=vocab_size - 1)
    where = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        (batch,) = plan_forward([torch.cat([ids, ids[:1]]).cpu()], where, where + 2, token_budget=2)
        ours = Head(model, vocab_size=vocab_size)(hidden_rows(model, batch.to(device)))
        theirs = causal_lm(model)(input_ids=ids[None], use_cache=False).logits[0, -1:, :vocab_size].to(ours.dtype)
    if not bool(theirs.isfinite().all()):
        raise ModelError(
            f"{causal_lm(model).name_or_path or type(causal_lm(model)).__name__} answers with NaN or infinity",
            remedy="Its weights are broken: copy or download it again.",
        )
    # bfloat16 models round their own logits to 8 bits, Head does not.
    tolerance = 1e-3 if next(model.parameters()).dtype in (torch.float32, torch.float64) else 5e-2
    worst = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1.0))
    if not worst <= tolerance:
        raise ModelError(
            "the logits of this architecture are not a function of its last hidden states that is known here",
            got=f"{type(causal_lm(model)).__name__}, relative difference {worst:.1e}",
            remedy="Use a model whose logits are its output embeddings times the last hidden states.",
        )


def _scale_and_cap(inner: Any) -> tuple[float, float | None]:
    """What stands between head and logits: Cohere and Falcon-H1 multiply, Granite divides, Gemma caps."""
    config = inner.config.get_text_config()
    scale = 1.0
    for field in ("logit_scale", "lm_head_multiplier"):
        scale *= float(getattr(config, field, None) or 1.0)
    scale /= float(getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return scale, None if not cap else float(cap)


def token_ids_fit(ids: Int[Tensor, "..."], vocab_size: int) -> bool:
    """Whether every id is in the true vocabulary."""
    return ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < vocab_size)
