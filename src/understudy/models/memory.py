"""Bytes that a model takes, from its configuration alone: weights, keys and values, activations, logits.

Where a layer's activations are counted, the counts are those of autograd's saved tensors in transformers' Qwen3, Llama
and Gemma 2 (docs/design/013-memory.md): exact to 5 % there, a little high for layers with fewer norms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Precision = Literal["float32", "bfloat16"]

BYTES = {"float32": 4, "bfloat16": 2}
# Bytes a weight of AdamW's two averages; int8 has a float32 scale for each 256 values of both.
AVERAGES = {"float32": 8.0, "bfloat16": 4.0, "int8": 2.0 + 8 / 256}


@dataclass(frozen=True)
class ModelSize:
    """What the size of everything else follows from.

    Args:
        num_parameters: tied weights once. num_layers, width, vocab_size: of the text model.
        inner: width inside the feed-forward layer of one token, all its experts together.
        query, key: width of all heads' queries, and of all heads' keys.
    """

    num_parameters: int
    num_layers: int
    width: int
    inner: int
    query: int
    key: int
    vocab_size: int

    @classmethod
    def of(cls, config: Any, num_parameters: int) -> ModelSize:
        """Of a model with this Hugging Face configuration; one without attention counts as if it had one head."""
        text = config.get_text_config()
        heads = getattr(text, "num_attention_heads", None) or 1
        head = getattr(text, "head_dim", None) or text.hidden_size // heads
        return cls(
            num_parameters=num_parameters,
            num_layers=text.num_hidden_layers,
            width=text.hidden_size,
            inner=_inner(text),
            query=heads * head,
            key=(getattr(text, "num_key_value_heads", None) or heads) * head,
            vocab_size=text.vocab_size,
        )

    def lora_parameters(self, rank: int) -> int:
        """Weights of adapters on every linear layer but the head."""
        attention = 2 * (self.width + self.query) + 2 * (self.width + self.key)
        return self.num_layers * rank * (attention + 3 * (self.width + self.inner))


def _inner(text: Any) -> int:
    """Experts count as often as one token meets one."""
    plain = getattr(text, "intermediate_size", None) or getattr(text, "ffn_dim", None) or 4 * text.hidden_size
    chosen, expert = getattr(text, "num_experts_per_tok", None), getattr(text, "moe_intermediate_size", None)
    return int(plain) if not chosen else int(chosen) * int(expert or plain)


def training_activations(size: ModelSize, tokens: int, *, precision: Precision, checkpointing: bool) -> int:
    """What is kept for the backward pass of one micro-batch, and what one layer works on beside it.

    float32: 6 states of the model's width, 4 each of the feed-forward width, the queries and the keys. With bfloat16
    products half of it is bfloat16. With checkpointing a layer keeps its input, and one layer at a time all of it.
    """
    inside = 6 * size.width + 4 * (size.inner + size.query + size.key)
    if precision == "bfloat16":
        inside = 13 * size.width // 2 + 2 * size.inner + 4 * (size.query + size.key)
    ends = 3 * size.width
    kept = inside + size.num_layers * size.width if checkpointing else size.num_layers * inside
    return 4 * tokens * (kept + ends + _at_work(size))


def scoring_activations(size: ModelSize, tokens: int, *, precision: Precision) -> int:
    """What is alive at one time in a pass without gradients."""
    return BYTES[precision] * tokens * (_at_work(size) + size.width)


def _at_work(size: ModelSize) -> int:
    """Values a token, in the feed-forward layer or in attention, whichever is more."""
    return 3 * size.width + max(3 * size.inner, 3 * size.query + 3 * size.key)


def keys_and_values(size: ModelSize, tokens: int, *, precision: Precision) -> int:
    """The cache of a sampler that holds so many tokens in all."""
    return BYTES[precision] * tokens * size.num_layers * 2 * size.key


def logits(size: ModelSize, rows: int, *, buffers: float) -> int:
    """So many float32 buffers of [rows, vocabulary]."""
    return int(4 * rows * size.vocab_size * buffers)
