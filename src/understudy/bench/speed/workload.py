"""What both sides work on: two random models, a word tokenizer and prompts, written once into a folder.

TRL's Python runs this file too: only torch, transformers and tokenizers are imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from understudy.errors import UserMistakeError


@dataclass(frozen=True)
class Size:
    """One workload; lengths in tokens.

    Args:
        student, teacher: (width, layers) of Qwen3-architecture models with heads of 32 and tied embeddings.
        vocab_size: of both. batch: prompts a step, one completion each. completion_length: most new tokens.
        num_stops: ids that end a completion; 0 gives every one its full length.
        prompt_lengths: shortest and longest. golden_length: of the completions in the data.
    """

    student: tuple[int, int]
    teacher: tuple[int, int]
    vocab_size: int
    batch: int
    completion_length: int
    num_stops: int = 0
    prompt_lengths: tuple[int, int] = (40, 54)
    golden_length: int = 1

    @property
    def longest(self) -> int:
        """Tokens of the longest possible context."""
        return self.prompt_lengths[1] + max(self.completion_length, self.golden_length)

    @property
    def end_id(self) -> int:
        """Ends the data's completions; where the student writes its own, it lies outside the models' vocabulary."""
        return self.vocab_size if self.golden_length == 1 else self.vocab_size - 1

    @property
    def mean_prompt_length(self) -> float:
        """Of the prompts, which are drawn evenly."""
        return sum(self.prompt_lengths) / 2


_SMALL = (128, 4), (256, 8)
_WIDE = (256, 4), (384, 4)
SIZES = {
    "S": Size(*_SMALL, vocab_size=512, batch=32, completion_length=128),
    "SV": Size(*_SMALL, vocab_size=512, batch=32, completion_length=128, num_stops=8),
    "LT": Size(*_SMALL, vocab_size=512, batch=32, completion_length=512, num_stops=8),
    "B32": Size(*_WIDE, vocab_size=32768, batch=16, completion_length=64),
    "B152": Size(*_WIDE, vocab_size=151936, batch=16, completion_length=64),
    "M": Size((320, 7), (640, 12), vocab_size=4096, batch=16, completion_length=64),
    "mini": Size((64, 1), (64, 1), vocab_size=64, batch=4, completion_length=6, prompt_lengths=(3, 5)),
}
"""S: fixed length; SV: lengths vary; LT: long tail; B32, B152: large vocabulary; M: 10 M and 60 M parameters."""
MEANINGS = {
    "S": "0.85 M / 6.4 M parameters, V 512, 32 rollouts of 128 tokens",
    "SV": "the same, lengths vary by EOS",
    "LT": "the same, long tail: EOS or 512 tokens",
    "B32": "hidden 256 / 384, V 32,768, 16 rollouts of 64 tokens",
    "B152": "the same, V 151,936",
    "M": "10 M / 60 M parameters, V 4,096, 16 rollouts of 64 tokens",
    "mini": "tiny models, for a look",
}
LEARNING_RATE = 1e-6
"""TRL's default; so small that the lengths of completions stay what they are from step to step."""
_MOST_PROMPTS = 512


def size_from(record: Mapping[str, Any]) -> Size:
    """A size from plain data, as JSON gives it."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    return Size(**fields)


def sizes_named(text: str) -> list[str]:
    """Names of sizes with commas between them.

    >>> sizes_named("S, B32")
    ['S', 'B32']

    Raises:
        UserMistakeError: one of them is unknown, or there is none.
    """
    names = list(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not names:
        raise UserMistakeError("--sizes names nothing", got=repr(text), expected=f"some of {', '.join(SIZES)}")
    for name in names:
        if name not in SIZES:
            near = get_close_matches(name.upper(), SIZES, n=3, cutoff=0.3) or [*SIZES]
            raise UserMistakeError(
                "there is no such size", got=repr(name), expected=f"one of {', '.join(SIZES)}", remedy=_meant(near)
            )
    return names


def write_workload(folder: Path, size: Size) -> None:
    """Write ``student/``, ``teacher/`` and ``prompts.jsonl``; the same size gives the same files."""
    tokenizer = word_tokenizer(size.end_id)
    for seed, (name, shape) in enumerate({"student": size.student, "teacher": size.teacher}.items()):
        random_model(size, shape, seed=seed).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    generator = torch.Generator().manual_seed(0)
    low, high = size.prompt_lengths
    count = _MOST_PROMPTS if size.golden_length == 1 else size.batch
    lengths = torch.randint(low, high + 1, (count,), generator=generator).tolist()
    texts = [_words(torch.randint(1, size.end_id, (length,), generator=generator)) for length in lengths]
    golden = _words(torch.randint(1, size.end_id, (size.golden_length,), generator=generator))
    lines = [json.dumps({"prompt": text, "completion": golden}) for text in texts]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")


def word_tokenizer(end_id: int) -> PreTrainedTokenizerFast:
    """``w1 w2 ...`` up to the end token, one token a word."""
    words = {"<pad>": 0, **{f"w{number}": number for number in range(1, end_id)}, "<eos>": end_id}
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
        max_position_embeddings=max(512, 2 * size.longest),
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=size.end_id,
        pad_token_id=0,
    )
    model = Qwen3ForCausalLM(config)
    stops = [size.end_id, *range(1, size.num_stops + 1)]
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=0)
    return model


def _words(ids: torch.Tensor) -> str:
    return " ".join(f"w{number}" for number in ids.tolist())


def _meant(near: list[str]) -> str:
    return f"Did you mean {' or '.join(near)}?"
