"""The weights of a Llama-shaped model as few large products, copied for as long as sampling lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM

from understudy.models.forward import causal_lm
from understudy.models.packed_attention import NAME

_KNOWN = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)
# Rotary embeddings that depend on a position alone; others change with the length of the text.
_FIXED_ROPES = ("default", "linear", "llama3", "yarn")
# Above this the copies cost more memory than they save time: large products are near the machine's rate anyway.
_MOST_BYTES = 512 * 2**20
# Weights from which on a product of some rows waits for memory: half the bytes are then nearly half the time. Below,
# all layers are one call of C in float32, quicker and exact: 7 layers of 320, up to 320 x 1,920, 0.70 of the time.
_WIDE = 1 << 20


@dataclass(frozen=True, eq=False)
class Product:
    """A linear layer, or several of the same input side by side.

    Args:
        weight: [in, out]; float32 lies in the layout that small batches multiply fastest with (1.3 to 2 times),
            bfloat16 in that of [out, in], for the same reason. bias: [out] float32 or None.
    """

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """[b, in] to [b, out], float32."""
        if self.weight.dtype != x.dtype:
            y = torch.mm(x.to(self.weight.dtype), self.weight).float()
            return y if self.bias is None else y.add_(self.bias)
        return torch.mm(x, self.weight) if self.bias is None else torch.addmm(self.bias, x, self.weight)

    def added_to(self, y: Tensor, x: Tensor) -> Tensor:
        """[b, out]: ``y`` plus the product."""
        if self.weight.dtype != x.dtype:
            return self(x).add_(y)
        y = torch.addmm(y, x, self.weight)
        return y if self.bias is None else y.add_(self.bias)


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One decoder layer; the attention's scale is in its queries.

    Args:
        before, between: norm weights [H]. head_norm: [heads + kv heads, width], or None without one.
    """

    before: Tensor
    between: Tensor
    qkv: Product
    head_norm: Tensor | None
    out: Product
    gate_up: Product
    down: Product


@dataclass(frozen=True, eq=False)
class StepWeights:
    """All that a decoding step reads of a model.

    Args:
        heads, groups, head_width: query heads, key heads, and the width of each. epsilon: of every norm.
        embedding: [V, H]. norm: [H], before the head. cosine, sine: [length, head_width]; the rotation's sign stands
            in the sine, so that a step only swaps the halves.
    """

    heads: int
    groups: int
    head_width: int
    epsilon: float
    embedding: Tensor
    layers: Sequence[LayerWeights]
    norm: Tensor
    head: Product
    cosine: Tensor
    sine: Tensor


def step_weights(model: nn.Module, *, length: int, wide: torch.dtype = torch.float32) -> StepWeights:
    """Copies of the weights of a model that ``reason_against`` accepts.

    Args:
        length: longest text in tokens. wide: dtype of the large products.
    """
    inner: Any = causal_lm(model)
    config, embedding = inner.config, inner.model.embed_tokens.weight
    width = inner.model.layers[0].self_attn.head_dim
    cos, sin = inner.model.rotary_emb(embedding[:1, None], torch.arange(length, device=embedding.device)[None])
    half = width // 2
    return StepWeights(
        heads=config.num_attention_heads,
        groups=config.num_key_value_heads,
        head_width=width,
        epsilon=config.rms_norm_eps,
        embedding=embedding,
        layers=[layer_weights(layer, wide=wide) for layer in inner.model.layers],
        norm=inner.model.norm.weight,
        head=product(inner.lm_head, wide=wide),
        cosine=cos[0],
        sine=torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1),
    )


def reason_against(model: nn.Module) -> str | None:
    """Why ``DecodeStep`` is not for this model; None where it is."""
    inner: Any = causal_lm(model)
    if type(inner) not in _KNOWN:
        return f"{type(inner).__name__} is not one of the architectures known here"
    weights, config = list(inner.parameters()), inner.config
    kinds = getattr(config, "layer_types", None) or ()
    window = type(inner) is MistralForCausalLM and config.sliding_window is not None
    reasons = {
        "not on a CPU": any(weight.device.type != "cpu" for weight in weights),
        "not float32": any(weight.dtype != torch.float32 for weight in weights),
        "too large to copy": sum(weight.numel() * weight.element_size() for weight in weights) > _MOST_BYTES,
        "another attention than plain softmax": config._attn_implementation not in ("sdpa", "eager", NAME),
        "sliding windows": window or any(kind != "full_attention" for kind in kinds),
        "rotary embeddings that change with the length": config.rope_parameters["rope_type"] not in _FIXED_ROPES,
        "another activation than silu": config.hidden_act != "silu",
        "a module that is watched or replaced": any(_is_watched(module) for module in inner.modules()),
        "a layer that is neither linear nor a plain adapter on one": not all(map(_is_linear, _linears(inner))),
        "an embedding of another kind": type(inner.model.embed_tokens) is not nn.Embedding,
    }
    return next((reason for reason, found in reasons.items() if found), None)


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def _linears(inner: Any) -> Iterator[Any]:
    yield inner.lm_head
    for layer in inner.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        yield from (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        yield from (mlp.gate_proj, mlp.up_proj, mlp.down_proj)


def _is_linear(module: Any) -> bool:
    if type(module) is nn.Linear:
        return True
    base = getattr(module, "base_layer", None)
    special = getattr(module, "lora_variant", None) or any(getattr(module, "lora_bias", {}).values())
    return type(base) is nn.Linear and hasattr(module, "get_delta_weight") and not special


def _weight(linear: Any) -> Tensor:
    """[out, in], with the adapters that are switched on."""
    base = getattr(linear, "base_layer", linear)
    if base is linear or linear.disable_adapters or linear.merged:
        return base.weight
    weight = base.weight
    for name in linear.active_adapters:
        if name in linear.lora_A:
            weight = weight + linear.get_delta_weight(name)
    return weight


def _times(weight: Tensor, scale: float) -> Tensor:
    return weight if scale == 1.0 else weight * scale


def layer_weights(layer: Any, *, wide: torch.dtype = torch.float32) -> LayerWeights:
    """Copies of a decoder layer's weights. Args: wide: of the large products."""
    attention, mlp, norm = layer.self_attn, layer.mlp, None
    q, k, v = attention.q_proj, attention.k_proj, attention.v_proj
    scale = attention.scaling
    if hasattr(attention, "q_norm"):
        kv_heads = _weight(k).shape[0] // attention.head_dim
        query = (attention.q_norm.weight * scale).expand(kv_heads * attention.num_key_value_groups, -1)
        norm = torch.cat([query, attention.k_norm.weight.expand(kv_heads, -1)])
    return LayerWeights(
        before=layer.input_layernorm.weight,
        between=layer.post_attention_layernorm.weight,
        qkv=product(q, k, v, first=scale if norm is None else 1.0, wide=wide),
        head_norm=norm,
        out=product(attention.o_proj, wide=wide),
        gate_up=product(mlp.gate_proj, mlp.up_proj, wide=wide),
        down=product(mlp.down_proj, wide=wide),
    )


def product(*linears: Any, first: float = 1.0, wide: torch.dtype = torch.float32) -> Product:
    """The linear layers side by side; the first one's result is multiplied by ``first``.

    Args:
        wide: dtype of the weights where there are many.
    """
    scales = [first] + [1.0] * (len(linears) - 1)
    weights = [_times(_weight(linear), scale) for linear, scale in zip(linears, scales, strict=True)]
    biases = [linear.bias * scale for linear, scale in zip(linears, scales, strict=True) if linear.bias is not None]
    # A head alone may hold hundreds of megabytes: no copy but the one that is kept.
    weight, bias = weights[0] if len(weights) == 1 else torch.cat(weights), torch.cat(biases) if biases else None
    if wide != weight.dtype and weight.numel() >= _WIDE:
        return Product(weight.to(wide).t(), bias)
    return Product(weight.t().contiguous(), bias)
