"""What a model's work follows from: the sizes of its matrices, and the FLOPs of a token in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.errors import UserMistakeError


@dataclass(frozen=True)
class Architecture:
    """A transformer with gated feed-forward layers. A product of two matrices counts two FLOPs a multiplication.

    Args:
        name: of the model. num_layers, width, vocab_size: as they are named.
        inner: of the feed-forward layer that one token passes, all its experts together.
        inner_stored: the same with every expert there is. heads: of queries. query, key: width of all heads' queries,
            and of all keys.
        tied: the output head is the embedding. source: where these figures come from, in words.
    """

    name: str
    num_layers: int
    width: int
    inner: int
    inner_stored: int
    heads: int
    query: int
    key: int
    vocab_size: int
    tied: bool
    source: str

    @property
    def _attention(self) -> int:
        return 2 * self.width * (self.query + self.key)

    @property
    def layer_parameters(self) -> int:
        """Weights of the matrices that one token meets in all layers; norms, biases and routers are left out."""
        return self.num_layers * (self._attention + 3 * self.width * self.inner)

    @property
    def stored_layer_parameters(self) -> int:
        """Weights of all layers."""
        return self.num_layers * (self._attention + 3 * self.width * self.inner_stored)

    @property
    def head_parameters(self) -> int:
        """Weights of the output head."""
        return self.width * self.vocab_size

    @property
    def num_parameters(self) -> int:
        """All weights, tied ones once."""
        return self.stored_layer_parameters + self.head_parameters * (1 if self.tied else 2)

    def lora_parameters(self, rank: int) -> int:
        """Weights of adapters on every linear layer but the head."""
        attention = 2 * (self.width + self.query) + 2 * (self.width + self.key)
        return self.num_layers * rank * (attention + 3 * (self.width + self.inner_stored))

    def layer_flops(self, tokens: float) -> float:
        """Of the matrices of all layers, forward."""
        return 2 * self.layer_parameters * tokens

    def attention_flops(self, tokens: float, context: float) -> float:
        """Of scores and weighted sums for ``tokens`` that see ``context`` tokens each, on average, forward."""
        return 4 * self.num_layers * self.query * context * tokens

    def attention_values(self, tokens: float, context: float) -> float:
        """Weights that ``tokens`` give to ``context`` tokens each, in all heads and layers."""
        return self.num_layers * self.heads * context * tokens

    def head_flops(self, rows: float) -> float:
        """Of the output head, forward."""
        return 2 * self.head_parameters * rows

    def key_value_bytes(self, tokens: float, *, value_bytes: int) -> float:
        """What attention keeps of ``tokens``."""
        return 2 * self.num_layers * self.key * tokens * value_bytes

    def met_parameters(self, tokens: float) -> float:
        """Weights of the layers that ``tokens`` together read, if each chooses its experts evenly."""
        share = self.inner / self.inner_stored
        inner = self.inner_stored * (1 - (1 - share) ** max(1.0, tokens)) if share < 1 else self.inner_stored
        return self.num_layers * (self._attention + 3 * self.width * inner)


def architecture_from(config: Mapping[str, Any], *, name: str, source: str) -> Architecture:
    """The architecture in a ``config.json`` of Hugging Face's form.

    Raises:
        UserMistakeError: a size is missing, or is no whole number above 0.
    """
    text = {**config, **config.get("text_config", {})} if isinstance(config.get("text_config", {}), Mapping) else config

    def size(*names: str, default: int | None = None) -> int:
        value = next((text[one] for one in names if text.get(one) is not None), default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserMistakeError(
                f"the configuration of {name} has no usable {names[0]}", got=value, expected="a whole number above 0"
            )
        return value

    width, heads = size("hidden_size", "n_embd"), size("num_attention_heads", "n_head")
    head = size("head_dim", default=width // heads)
    plain = size("intermediate_size", "ffn_dim", "n_inner", default=4 * width)
    has_experts = text.get("num_experts_per_tok") and (text.get("num_experts") or text.get("num_local_experts"))
    chosen = size("num_experts_per_tok") if has_experts else 1
    experts = size("num_experts", "num_local_experts") if has_experts else 1
    expert = size("moe_intermediate_size", default=plain) if has_experts else plain
    return Architecture(
        name=name,
        num_layers=size("num_hidden_layers", "n_layer"),
        width=width,
        inner=chosen * expert,
        inner_stored=experts * expert,
        heads=heads,
        query=heads * head,
        key=size("num_key_value_heads", default=heads) * head,
        vocab_size=size("vocab_size"),
        tied=bool(text.get("tie_word_embeddings", False)),
        source=source,
    )
