"""What a user has on disk, in the smallest size: two models with one tokenizer, problems, a recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.tiny import VOCAB, tiny_model, tiny_tokenizer
from understudy.training import metric_lines
from understudy.training.metrics import is_time

PROBLEMS = [
    {
        "question": f"w{2 + n} w{3 + n % 5} w{4 + n % 3}",
        "answer": f"w{2 + n % 7}",
        "solution": f"w{5 + n % 4} w{2 + n % 7}",
    }
    for n in range(12)
]
VERIFIER = {"kind": "exact", "extract": r"(w\d+)"}
SUITE = {
    "name": "words",
    "dataset": "held-out.jsonl",
    "prompt": "{question}",
    "verifier": VERIFIER,
    "num_samples": 3,
    "max_completion_length": 6,
}


@dataclass(frozen=True)
class Workplace:
    """A folder with ``student/``, ``teacher/``, ``problems.jsonl``, ``held-out.jsonl`` and ``tiny.yaml``."""

    path: Path

    @property
    def run(self) -> Path:
        """Folder of the run of ``tiny.yaml``."""
        return self.path / "runs" / "tiny"

    def recipe(self, **changes: Any) -> dict[str, Any]:
        """The recipe as plain values, paths absolute; ``objective={"method": "sft"}`` replaces a whole section."""
        content: dict[str, Any] = {
            "name": "tiny",
            "seed": 3,
            "student": {"model": str(self.path / "student")},
            "teacher": {"model": str(self.path / "teacher")},
            "data": {
                "dataset": str(self.path / "problems.jsonl"),
                "prompt": "{question}",
                "completion": "{solution}",
                "verifier": dict(VERIFIER),
            },
            "rollout": {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 8},
            "objective": {"method": "opd"},
            "optimizer": {"learning_rate": 0.01},
            "steps": 4,
            "evaluation": {"suites": [{**SUITE, "dataset": str(self.path / "held-out.jsonl")}], "every": 2},
            "checkpoint": {"every": 2},
            "output": str(self.path / "runs"),
        }
        return {**content, **changes}

    def write_recipe(self, file_name: str = "tiny.yaml", /, **changes: Any) -> Path:
        """Write the recipe with other sections; a section that is None is left out."""
        content = {key: value for key, value in self.recipe(**changes).items() if value is not None}
        file = self.path / file_name
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file


def make_workplace(path: Path) -> Workplace:
    """Make the folder's content: models of a few thousand weights, twelve problems for each use."""
    save_model(path / "student", seed=0)
    save_model(path / "teacher", seed=1)
    write_rows(path / "problems.jsonl", PROBLEMS)
    write_rows(path / "held-out.jsonl", PROBLEMS[::-1])
    place = Workplace(path)
    place.write_recipe()
    return place


def save_model(
    folder: Path, *, seed: int, vocab_size: int = VOCAB, swapped: bool = False, broken_word: int | None = None
) -> None:
    """A tiny Qwen3 with its tokenizer, as ``save_pretrained`` leaves it; after its ``broken_word`` it answers NaN."""
    model = tiny_model(seed=seed, vocab_size=vocab_size, layers=1, tied=broken_word is None)
    if broken_word is not None:
        model.model.embed_tokens.weight.data[broken_word] = math.nan
    model.save_pretrained(folder)
    tiny_tokenizer(vocab_size, swapped=swapped).save_pretrained(folder)


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """One JSON object a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def metrics_of(run: Path) -> list[dict[str, float | None]]:
    """The run's ``metrics.jsonl`` without the figures that depend on the clock."""
    lines = metric_lines.read(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if not is_time(name)} for line in lines]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
