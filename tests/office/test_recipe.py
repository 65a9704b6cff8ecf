"""Office work in a run: the loop that plays tasks for results plays them for training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from tests.environments.tools.scripted_model import save_scripted
from tests.environments.tools.speaking import call
from understudy.office import new_folder
from understudy.recipe.environment import EnvironmentConfig

WORK = {"cmd": "printf 'category,amount\\n' > note.md; cp note.md total.txt"}


def test_a_student_is_trained_on_what_it_handed_in(tmp_path: Path, understudy: Understudy) -> None:
    tasks = new_folder(tmp_path / "tasks")
    script = [call("code_exec", **WORK), call("finish", reason="done", paths=["note.md", "total.txt"])]
    model = save_scripted(tmp_path / "model", script, growing=True)
    assert understudy("office", "rows", tasks, "--out", tmp_path / "office.jsonl").code == 0
    recipe = {
        "student": {"model": str(model)},
        "data": {"dataset": str(tmp_path / "office.jsonl"), "prompt": "{prompt}"},
        "environment": {"kind": "office", "tasks": str(tasks), "max_turns": 4, "command_seconds": 20},
        "rollout": {"prompts_per_step": 1, "num_generations": 2, "max_completion_length": 4, "max_turns": 7},
        "objective": {"method": "grpo"},
        "steps": 1,
        "output": str(tmp_path / "runs"),
        "name": "office",
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    ended = understudy("train", tmp_path / "recipe.yaml")
    assert ended.code == 0, ended.err
    (step,) = map(json.loads, (tmp_path / "runs/office/metrics.jsonl").read_text().splitlines())
    assert step["reward"] == 0.0, "handed in, and not what was asked"
    assert step["office/any_deliverable_rate"] == 1.0
    assert step["office/efficiency_rate"] == 1.0
    assert step["rollouts/mean_turns"] == 2.0


def test_a_world_of_office_tasks_needs_its_folder() -> None:
    with pytest.raises(ValueError, match="needs tasks"):
        EnvironmentConfig(kind="office")
    with pytest.raises(ValueError, match="has no tasks"):
        EnvironmentConfig(kind="household", tasks="x")
    assert EnvironmentConfig(kind="office", tasks="x", max_turns=10).num_turns == 13
