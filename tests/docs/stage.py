"""The folder in which a page's blocks run: tiny models, data, and the files that the page itself shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import ROOT
from tests.tiny_files import PROBLEMS, SUITE, make_workplace, write_rows

MODELS = ("Qwen/Qwen3-1.7B-Base", "Qwen/Qwen3-8B")
"""Names that the pages use; tiny models stand in folders of these names."""

_PARAGRAPH = {
    "context": "The cup is in the hall.",
    "qas": [{"id": "q1", "question": "Where is the cup?", "answers": [{"text": "the hall", "answer_start": 14}]}],
}


def build(path: Path) -> None:
    """Fill the folder: ``student/``, ``teacher/``, ``problems.jsonl``, ``held-out.jsonl``, ``recipe.yaml``."""
    place = make_workplace(path)
    rows = [{**row, "answer": str(index % 7), "solution": f"w3 #{index % 7}"} for index, row in enumerate(PROBLEMS)]
    write_rows(path / "problems.jsonl", rows)
    (path / "Qwen").mkdir()
    for name, target in zip(MODELS, ("student", "teacher"), strict=True):
        (path / name).symlink_to(path / target)
    for name, target in (("base", "student"), ("distilled", "teacher")):
        (path / name).symlink_to(path / target)
    (path / "suite.yaml").write_text(yaml.safe_dump({**SUITE, "dataset": "held-out.jsonl"}))
    (path / "xquad.en.json").write_text(json.dumps({"data": [{"title": "w2", "paragraphs": [_PARAGRAPH]}]}))
    for name in ("recipes", "examples", "Makefile"):
        if (ROOT / name).exists():
            (path / name).symlink_to(ROOT / name)
    place.write_recipe("recipe.yaml")


def write_small(name: str, code: str) -> None:
    """Write the recipe that a page shows as ``name``, small enough to run here."""
    content = yaml.safe_load(code)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(yaml.safe_dump(_small(content), sort_keys=False))


def _small(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fewer and shorter rollouts; the testbed's models, which take a minute to make, and their data are exchanged."""
    if "student" not in content:
        return dict(content)
    small = {"prompts_per_step": 2, "num_generations": 2, "max_completion_length": 8}
    changed: dict[str, Any] = {"rollout": {**content.get("rollout", {}), **small}, "engine": {"threads": 1}, "steps": 2}
    for role in ("student", "teacher"):
        if str(content.get(role, {}).get("model")).startswith("testbed/"):
            changed |= {role: {"model": role}, "data": {"dataset": "problems.jsonl", "prompt": "{question}"}}
    return {**content, **changed}
