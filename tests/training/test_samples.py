"""Completions shown now and then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tests.training.test_loop import Heard
from tests.training.tiny_run import SETTINGS, parts_of
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.training import loop
from understudy.training.run_directory import open_run
from understudy.training.samples import told


def letters(ids: Tensor) -> str:
    return "".join(chr(97 + int(one)) for one in ids)


def turn(prompt: list[int], completion: list[int]) -> Turn:
    ids = torch.tensor(completion, dtype=torch.int64)
    return Turn(
        prompt_ids=torch.tensor(prompt),
        completion_ids=ids,
        origin=torch.full_like(ids, Origin.STUDENT),
        behaviour_logprob=torch.zeros(ids.shape),
        weight_version=torch.zeros_like(ids),
        finish_reason=FinishReason.STOP,
    )


def test_a_rollout_is_told_with_prompt_completion_and_reward() -> None:
    rollout = Rollout(0, 0, "p7", (turn([0, 1], [2, 3]),), FinishReason.STOP, reward=0.5, correct=False, domain="sums")
    assert told(rollout, letters, step=3).split("\n") == [
        "Step 3, problem p7 of sums: reward 0.5, wrong, 2 tokens, ended by stop",
        "  prompt:",
        "    | ab",
        "  completion:",
        "    | cd",
    ]


def test_long_rollouts_are_cut_and_empty_ones_told() -> None:
    many = Rollout(
        0, 0, "p", tuple(turn([0], [1] * 5000) for _ in range(9)), FinishReason.LENGTH, reward=1.0, correct=True
    )
    text = told(many, letters, step=0)
    assert len(text) < 6000 and "and 5 more turns" in text and "3,800 characters" in text and ", right," in text
    empty = Rollout(0, 0, "p", (), FinishReason.FAILED)
    assert told(empty, letters, step=0) == "Step 0, problem p: not graded, 0 tokens, ended by failed"


def shown(path: Path, every: int, *, decode: bool = True) -> list[str]:
    display = Heard()
    parts = parts_of(5)
    settings = replace(SETTINGS, show_every=every, evaluate_every=0)
    with open_run(path, recipe="", environment={}, differences=lambda old, new: []) as directory:
        loop.run(parts, settings, directory, display=display, decode=letters if decode else None)
    return [text.partition(",")[0] for text in display.notices]


def test_samples_come_as_often_as_asked_and_at_both_ends(tmp_path: Path) -> None:
    assert shown(tmp_path / "a", 3) == ["Step 0", "Step 3", "Step 4"]
    assert shown(tmp_path / "b", 100) == ["Step 0", "Step 4"]
    assert shown(tmp_path / "c", 0) == []
    assert shown(tmp_path / "d", 1, decode=False) == []
