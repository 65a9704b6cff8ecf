"""What both sides work on: two random models, a word tokenizer and prompts, written once into a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM


@dataclass(frozen=True)
class Size:
    """One workload; lengths in tokens.

    Args:
        student, teacher: (width, layers) of Qwen3-architecture models with heads of 32 and tied embeddings.
        vocab_size: of both. batch: prompts a step, one completion each. prompt_lengths: shortest and longest.
        completion_length: most new tokens. num_stops: ids that end a completion; 0 gives every one its full length.
    """

    student: tuple[int, int]
    teacher: tuple[int, int]
    vocab_size: int
    batch: int
    completion_length: int
    num_stops: int = 0
    prompt_lengths: tuple[int, int] = (40, 54)


SIZES = {
    "S": Size((128, 4), (256, 8), vocab_size=512, batch=32, completion_length=128),
    "SV": Size((128, 4), (256, 8), vocab_size=512, batch=32, completion_length=128, num_stops=8),
    "B32": Size((256, 4), (384, 4), vocab_size=32768, batch=16, completion_length=64),
    "mini": Size((64, 1), (64, 1), vocab_size=64, batch=4, completion_length=6, prompt_lengths=(3, 5)),
}
NUM_PROMPTS = 512
LEARNING_RATE = 1e-6
"""TRL's default; so small that the lengths of completions stay what they are from step to step."""


def write_workload(folder: Path, size: Size) -> None:
    """Write ``student/``, ``teacher/`` and ``prompts.jsonl``; the same size gives the same files."""
    tokenizer = word_tokenizer(size.vocab_size)
    for seed, (name, shape) in enumerate({"student": size.student, "teacher": size.teacher}.items()):
        random_model(size, shape, seed=seed).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    generator = torch.Generator().manual_seed(0)
    low, high = size.prompt_lengths
    lengths = torch.randint(low, high + 1, (NUM_PROMPTS,), generator=generator).tolist()
    texts = [_words(torch.randint(1, size.vocab_size, (length,), generator=generator)) for length in lengths]
    lines = [json.dumps({"prompt": text, "completion": "w1"}) for text in texts]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")


def word_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """``w1 w2 ...``, one token a word; its end token lies outside the models' vocabulary, so nothing draws it."""
    words = {"<pad>": 0, **{f"w{number}": number for number in range(1, vocab_size)}, "<eos>": vocab_size}
    backend = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
        chat_template=template,
    )


def random_model(size: Size, shape: tuple[int, int], *, seed: int) -> Qwen3ForCausalLM:
    """A Qwen3-architecture model with random weights."""
    torch.manual_seed(seed)
    width, layers = shape
    config = Qwen3Config(
        vocab_size=size.vocab_size,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=size.vocab_size,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config)
    stops = [size.vocab_size, *range(1, size.num_stops + 1)]
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=0)
    return model


def _words(ids: torch.Tensor) -> str:
    return " ".join(f"w{number}" for number in ids.tolist())
