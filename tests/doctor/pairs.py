"""Tiny pairs of models on disk: a student, and a teacher that is the same except for one thing done to it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PhiConfig, PhiForCausalLM, PreTrainedModel

from tests.conformance.tiny import tiny_tokenizer
from tests.tiny_files import write_rows
from understudy.recipe import Recipe, recipe_from

VOCAB = 512
EOS = 1
NUM_PROBLEMS = 64


def phi() -> PreTrainedModel:
    """A model whose head has a bias, so that one token can be pushed down everywhere; ends after some 50 tokens."""
    torch.manual_seed(0)
    config = PhiConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        eos_token_id=EOS,
        bos_token_id=None,
        pad_token_id=0,
    )
    model = PhiForCausalLM(config).eval()
    model.lm_head.bias.data[EOS] = 2.3
    return model


def gpt2() -> PreTrainedModel:
    """A model with learned places, so that it can be spoiled from some place on."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, n_positions=256, eos_token_id=EOS, bos_token_id=None
    )
    return GPT2LMHeadModel(config).eval()


def write_pair(
    folder: Path, base: Callable[[], PreTrainedModel], spoil: Callable[[PreTrainedModel], None] = lambda _: None
) -> Recipe:
    """Write ``student/`` and ``teacher/`` (the student with a little noise, then spoiled) and give a recipe of both."""
    student = base()
    teacher = copy.deepcopy(student)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.002 * torch.randn(p.shape, generator=generator))
        spoil(teacher)
    for name, model in (("student", student), ("teacher", teacher)):
        model.save_pretrained(folder / name)
        tiny_tokenizer(VOCAB).save_pretrained(folder / name)
    write_problems(folder / "problems.jsonl", first=2)
    write_problems(folder / "held-out.jsonl", first=300)
    return recipe_of(folder)


def write_problems(file: Path, *, first: int, words: int = 4) -> None:
    """Problems of some words each, all different."""
    rows = [
        {"question": " ".join(f"w{2 + (first + 7 * n + i * i) % 500}" for i in range(words)), "answer": f"w{first + n}"}
        for n in range(NUM_PROBLEMS)
    ]
    write_rows(file, rows)


def recipe_of(folder: Path, **changes: object) -> Recipe:
    """The recipe of a pair in this folder; ``changes`` replace whole sections."""
    verifier = {"kind": "exact", "extract": r"(w\d+)"}
    content: dict[str, object] = {
        "student": {"model": str(folder / "student")},
        "teacher": {"model": str(folder / "teacher")},
        "data": {"dataset": str(folder / "problems.jsonl"), "prompt": "{question}", "verifier": verifier},
        "rollout": {"max_completion_length": 120},
        "objective": {"method": "opd"},
        "steps": 1,
        "evaluation": {
            "suites": [
                {
                    "name": "words",
                    "dataset": str(folder / "held-out.jsonl"),
                    "prompt": "{question}",
                    "verifier": verifier,
                }
            ]
        },
        "output": str(folder / "runs"),
    }
    return recipe_from({**content, **changes})
