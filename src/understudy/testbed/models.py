"""The testbed's models: tiny Qwen3 architectures, fresh from their configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from understudy.testbed.multiplication import FOREIGN_SHARE


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Qwen3 model with tied embeddings.

    Args:
        layers: number of blocks. width: of the residual stream. heads, kv_heads: of attention,
            each ``head_width`` wide. mlp_width: inner width of the feed-forward part.
        initial_std: of all matrices; the usual 0.02 suits a width of thousands and makes a width of 128 learn slower.
    """

    layers: int
    width: int = 128
    heads: int = 4
    kv_heads: int = 2
    head_width: int = 32
    mlp_width: int = 384
    initial_std: float = 0.06


@dataclass(frozen=True)
class Schooling:
    """How a model came to know what it knows: supervised fine-tuning on worked solutions.

    Args:
        architecture: of the model. foreign_share: of solutions written in the subject's foreign manner, from step
            ``foreign_from`` on; before it all are in its own. The habit comes second: learned from the mixture alone,
            the carrying of products takes off early with one seed and hardly at all with another.
        steps, batch_size: optimiser steps and problems in each. learning_rate: AdamW's peak; linear decay.
        warmup_steps: of linear rise. seed: of the weights, the problems and the manners.
        subject: what is taught, a key of ``SUBJECTS``.
    """

    architecture: Architecture
    foreign_share: float
    steps: int
    foreign_from: int = 0
    batch_size: int = 48
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    seed: int = 0
    subject: str = "multiplication"

    @property
    def num_layer_steps(self) -> int:
        """Layers times steps: what the training costs, roughly."""
        return self.architecture.layers * self.steps


TEACHER = Schooling(Architecture(layers=4), foreign_share=0.0, steps=280, seed=1)
STUDENT = Schooling(Architecture(layers=2), foreign_share=FOREIGN_SHARE, steps=450, foreign_from=330, seed=2)

GSM8K_TEACHER = Schooling(
    Architecture(layers=4),
    foreign_share=0.0,
    steps=900,
    batch_size=8,
    learning_rate=4e-3,
    warmup_steps=40,
    seed=1,
    subject="gsm8k",
)
GSM8K_STUDENT = replace(
    GSM8K_TEACHER, architecture=Architecture(layers=2), foreign_share=1.0, foreign_from=450, steps=600, seed=2
)

REMEMBER_DIGIT_TEACHER = Schooling(
    Architecture(layers=2, width=32, heads=2, kv_heads=1, head_width=16, mlp_width=64),
    foreign_share=0.0,
    steps=140,
    batch_size=32,
    learning_rate=1e-2,
    seed=1,
    subject="remember-digit",
)
REMEMBER_DIGIT_STUDENT = replace(
    REMEMBER_DIGIT_TEACHER,
    architecture=replace(REMEMBER_DIGIT_TEACHER.architecture, layers=1),
    foreign_share=0.5,
    foreign_from=70,
    seed=2,
)


def config_of(
    architecture: Architecture,
    *,
    vocab_size: int,
    context_tokens: int,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Qwen3Config:
    """The configuration of a model; its special ids are the tokenizer's."""
    return Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.kv_heads,
        head_dim=architecture.head_width,
        intermediate_size=architecture.mlp_width,
        max_position_embeddings=context_tokens,
        initializer_range=architecture.initial_std,
        tie_word_embeddings=True,
        bos_token_id=getattr(tokenizer, "bos_token_id", None),
        eos_token_id=getattr(tokenizer, "eos_token_id", None),
        pad_token_id=getattr(tokenizer, "pad_token_id", None),
    )


def random_model(config: Qwen3Config, *, seed: int) -> Qwen3ForCausalLM:
    """A model with random weights that depend on ``seed`` alone; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config)
