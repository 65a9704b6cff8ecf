"""A real model that says what it is told: the next token depends on the last alone, and prompts end in a number.

The template closes a prompt with a mark for the number of messages in it, and each reply of the script is one token, so
the model answers the first prompt with the first reply, and so on. It loads, serves and samples like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

PAD, EOS = 0, 1
_APART = "\x1f"
# It mentions the tags, so that the harness knows how calls are written; what the model reads before the mark is noise.
TEMPLATE = (
    "{% if tools %}<tool_call>{% endif %}{% for m in messages %}{{ m['role'] }} {{ m['content'] }}\x1f{% endfor %}"
    "{% if add_generation_prompt %}\x1f[{{ messages | rejectattr('role', 'eq', 'system') | list | length }}]{% endif %}"
)


def scripted(replies: Sequence[str], *, max_length: int = 4096, growing: bool = False) -> tuple[Any, Any]:
    """Model and tokenizer; reply i answers a prompt of 2 i + 1 messages.

    Args:
        growing: for prompts that are added to instead of rendered anew; their marks all say 3 messages, so every reply
            after the first is the second.
    """
    marks = [f"[{3 if growing and number else 2 * number + 1}]" for number in range(len(replies))]
    words = ["<pad>", "</s>", *dict.fromkeys(marks), *dict.fromkeys(replies)]
    ids = {word: place for place, word in enumerate(words)}
    size = len(words)
    table = torch.zeros(size, size)
    table[EOS, :] = 1.0
    for mark, reply in zip(marks, replies, strict=True):
        table[:, ids[mark]] = 0.0
        table[ids[reply], ids[mark]] = 1.0
    return _model(table, max_length=max_length), _tokenizer(ids)


def save_scripted(folder: Path, replies: Sequence[str], **options: Any) -> Path:
    """The same, as a folder."""
    model, tokenizer = scripted(replies, **options)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _model(table: torch.Tensor, *, max_length: int) -> Any:
    size = table.shape[0]
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=2,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=2,
        max_position_embeddings=max_length,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    model = Qwen3ForCausalLM(config).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(40 * table)
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
    return model


def _tokenizer(ids: dict[str, int]) -> Any:
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_APART, "removed")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>")
    fast.chat_template = TEMPLATE
    return fast
