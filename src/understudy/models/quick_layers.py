"""Decoder layers of Llama's shape whose norms, rotary embeddings and gates run fused on a CPU.

A module keeps its weights, its name and its place; it becomes of a class of its own that differs in ``forward`` alone,
and takes transformers' wherever the fused form is not meant (another device, a cache, other kinds of attention).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama import modeling_llama as llama
from transformers.models.mistral import modeling_mistral as mistral
from transformers.models.qwen2 import modeling_qwen2 as qwen2
from transformers.models.qwen3 import modeling_qwen3 as qwen3

from understudy.models.attention import attention_dtype
from understudy.models.forward import backbone
from understudy.models.fused import WIDEST, can_take, gated, kernel, rms_norm, turned
from understudy.models.packed_attention import NAME, SequenceMask, attend

_LAYERS = (llama.LlamaDecoderLayer, mistral.MistralDecoderLayer, qwen2.Qwen2DecoderLayer, qwen3.Qwen3DecoderLayer)
_NORMS = (llama.LlamaRMSNorm, mistral.MistralRMSNorm, qwen2.Qwen2RMSNorm, qwen3.Qwen3RMSNorm)
_GATES = (llama.LlamaMLP, mistral.MistralMLP, qwen2.Qwen2MLP, qwen3.Qwen3MLP)
_ATTENTIONS = (llama.LlamaAttention, qwen2.Qwen2Attention, qwen3.Qwen3Attention)


@dataclass(frozen=True, eq=False)
class Change:
    """A module that became quick, and the class it had."""

    module: nn.Module
    before: Any

    def undo(self) -> None:
        """Give the module its class back."""
        self.module.__class__ = self.before


def quicken(model: nn.Module) -> list[Change]:
    """Let the model's known layers run fused from now on, where there is a compiler; the rest stays as it is.

    The weights, the names of parameters and what is saved do not change. Returns what was changed.
    """
    if kernel() is None:
        return []
    layers = [layer for layer in backbone(model).modules() if type(layer) in _LAYERS]
    pairs = [(module, quick) for layer in layers for module, quick in _quick_parts(layer)]
    changes = [Change(module, type(module)) for module, _ in pairs]
    for (module, quick), change in zip(pairs, changes, strict=True):
        module.__class__ = _quick(change.before, quick)
    return changes


def _quick_parts(layer: Any) -> Iterator[tuple[Any, Any]]:
    """The modules of a decoder layer that have a quick form, and that form."""
    for norm in (layer.input_layernorm, layer.post_attention_layernorm):
        if type(norm) in _NORMS:
            yield norm, QuickNorm
    if type(layer.mlp) in _GATES and layer.mlp.config.hidden_act == "silu":
        yield layer.mlp, QuickGate
    if type(layer.self_attn) in _ATTENTIONS:
        yield layer.self_attn, QuickAttention


@cache
def _quick(known: Any, quick: Any) -> Any:
    """The class ``known`` with the forward of ``quick``; its name stays, so that reports and errors name the same."""
    return type(known.__name__, (quick, known), {"__module__": __name__})


class QuickNorm(nn.Module):
    """A norm that feeds linear layers: under autocast its result is already of the kind that they would make of it."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[..., H] to [..., H]."""
        module: Any = self
        if not can_take(hidden_states, module.weight):
            own: Tensor = super().forward(hidden_states)
            return own
        plain = torch.promote_types(hidden_states.dtype, module.weight.dtype)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else plain
        return rms_norm(hidden_states, module.weight, epsilon=module.variance_epsilon, dtype=dtype)


class QuickGate(nn.Module):
    """A gated layer: down(silu(gate(x)) * up(x))."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., H] to [..., H]."""
        module: Any = self
        gate, up = module.gate_proj(x), module.up_proj(x)
        fits = can_take(gate, up) and gate.dtype == up.dtype
        made: Tensor = module.down_proj(gated(gate, up) if fits else module.act_fn(gate) * up)
        return made


class QuickAttention(nn.Module):
    """Attention over whole sequences through our kernels; with a cache, or through others, it is transformers' own."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        attention_mask: Any = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """[b, n, H] to [b, n, H], and no weights."""
        module: Any = self
        config = module.config
        ours = isinstance(attention_mask, SequenceMask) and config._attn_implementation == NAME
        fits = can_take(hidden_states) and config.num_attention_heads * module.head_dim <= WIDEST
        if not ours or not fits or past_key_values is not None or position_embeddings is None:
            return super().forward(
                hidden_states=hidden_states,
                position_embeddings=position_embeddings,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                **kwargs,
            )
        heads = (*hidden_states.shape[:-1], -1, module.head_dim)
        query, key, value = (p(hidden_states).view(heads) for p in (module.q_proj, module.k_proj, module.v_proj))
        query, key = (
            _turned(module, name, x, position_embeddings, attention_dtype(query, value))
            for name, x in (("q_norm", query), ("k_norm", key))
        )
        mixed, _ = attend(
            module,
            *(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attention_mask),
            dropout=module.attention_dropout if module.training else 0.0,
            scaling=module.scaling,
            sliding_window=getattr(module, "sliding_window", None),
            **kwargs,
        )
        return module.o_proj(mixed.reshape(*hidden_states.shape[:-1], -1)), None


def _turned(module: Any, norm: str, x: Tensor, angles: tuple[Tensor, Tensor], dtype: torch.dtype) -> Tensor:
    """[b, n, heads, width] of the module's norm of that name, where it has one, turned by the tokens' angles."""
    rule = getattr(module, norm, None)
    weight, epsilon = (None, 0.0) if rule is None else (rule.weight, rule.variance_epsilon)
    return turned(x, weight, *angles, epsilon=epsilon, dtype=dtype)
