"""Runs on several data sets: each with its own prompt form, verifier and gold completions, in the shares asked for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.tiny_files import VERIFIER, Workplace, make_workplace, metrics_of, write_rows
from tests.training.test_loop import Heard
from understudy.api import train
from understudy.errors import DataError, RecipeError, RunDirectoryError
from understudy.recipe import recipe_from

FEW = [
    {"word": "w5", "gold": "w5", "solution": "w9", "kind": "a"},
    {"word": "w6", "gold": "w6", "solution": "w9", "kind": "b"},
    {"word": "w7", "gold": None, "solution": "w9", "kind": "a"},
    {"word": "w8", "gold": "w8", "solution": "w9", "kind": "a"},
]
LENIENT = "def lenient(completion, columns):\n    return {'reward': 0.5, 'correct': None, 'parsed': columns['gold']}\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenient_words.py").write_text(LENIENT)
    write_rows(tmp_path / "few.jsonl", FEW)
    return make_workplace(tmp_path)


def mixture(place: Workplace) -> dict[str, Any]:
    return {
        "mixture": [
            {
                "dataset": str(place.path / "problems.jsonl"),
                "prompt": "{question}",
                "completion": "{solution}",
                "verifier": dict(VERIFIER),
            },
            {
                "dataset": str(place.path / "few.jsonl"),
                "name": "extra",
                "prompt": "{word} w2 w2",
                "answer": "gold",
                "completion": "{solution} w9",
                "verifier": {"kind": "python", "function": "lenient_words:lenient"},
                "filter": {"kind": "a"},
                "missing": "drop",
                "weight": 3,
            },
        ]
    }


def rollouts_in(run: Path) -> list[dict[str, Any]]:
    return [
        row for file in sorted((run / "rollouts").iterdir()) for row in pyarrow.parquet.read_table(file).to_pylist()
    ]


def test_a_mixture_trains_with_each_data_sets_own_prompts_and_verifiers(place: Workplace) -> None:
    display = Heard()
    recipe = recipe_from(place.recipe(data=mixture(place), steps=7, evaluation={}))
    assert train(recipe, display=display).summary is not None
    rows = rollouts_in(place.run)
    for row in rows:
        if row["domain"] == "extra":
            assert row["reward"] == 0.5 and row["correct"] is None
            assert row["prompt"].endswith("w2 w2")
        else:
            assert row["domain"] == "problems" and row["reward"] in (0.0, 1.0) and row["correct"] is not None
    assert Counter(row["domain"] for row in rows) == {"problems": 16, "extra": 40}
    assert {"kl/reverse_k1/extra", "kl/reverse_k1/problems"} <= {
        name for line in metrics_of(place.run) for name in line
    }
    assert any(
        "Data extra: 2 of 4 rows kept, 1 left out by filter, 1 left out without 'gold', " in n for n in display.notices
    )
    training = json.loads((place.run / "data.json").read_text())["training"]
    assert [(one["name"], one["rows"], one["kept"], one["weight"]) for one in training] == [
        ("problems", 12, 12, 1.0),
        ("extra", 4, 2, 3.0),
    ]
    assert training[1]["dropped"] == {"by filter": 1, "without 'gold'": 1}
    assert sum(one["rows_per_epoch"] for one in training) == 14


def test_a_mixture_resumes_to_the_same_numbers(place: Workplace) -> None:
    changes: dict[str, Any] = {"data": mixture(place), "steps": 4, "evaluation": {}}
    train(recipe_from(place.recipe(**changes)), display=Heard())
    cut = recipe_from(place.recipe(**changes, name="cut"))
    run = train(cut, display=Heard()).path
    (run / "checkpoints" / "step-000004" / "manifest.json").write_text("spoilt")
    train(cut, resume=True, display=Heard())
    assert metrics_of(run) == metrics_of(place.run)


def test_methods_that_learn_from_data_take_each_sets_own_completions(place: Workplace) -> None:
    changes: dict[str, Any] = {
        "data": mixture(place),
        "objective": {"method": "sft"},
        "teacher": None,
        "evaluation": {},
    }
    content = {key: value for key, value in place.recipe(**changes).items() if value is not None}
    train(recipe_from(content), display=Heard())
    for row in rollouts_in(place.run):
        assert row["completion"].split()[-1].startswith("w")
        assert (row["completion"] == "w9 w9") == (row["domain"] == "extra")


def test_two_parts_of_one_name_are_refused(place: Workplace) -> None:
    data = mixture(place)
    data["mixture"][1]["name"] = "problems"
    with pytest.raises(RecipeError, match=r"two data sets of data.mixture are called 'problems'.*name: \.\.\."):
        train(recipe_from(place.recipe(data=data)), display=Heard())


def test_a_part_with_a_bad_prompt_is_named_by_its_data_set(place: Workplace) -> None:
    data = mixture(place)
    data["mixture"][1]["prompt"] = "{wrod}"
    with pytest.raises(DataError, match=r"few.jsonl, line 1: no column 'wrod'.*Did you mean 'word'"):
        train(
            recipe_from(
                place.recipe(data={**data, "mixture": [data["mixture"][0], {**data["mixture"][1], "missing": "error"}]})
            ),
            display=Heard(),
        )


@pytest.mark.parametrize("name", ["problems.jsonl", "held-out.jsonl"])
def test_a_run_does_not_go_on_with_data_that_changed(place: Workplace, name: str) -> None:
    recipe = recipe_from(place.recipe())
    train(recipe, display=Heard())
    file = place.path / name
    before = file.read_text()
    file.write_text(before + before.splitlines()[0] + "\n")
    with pytest.raises(RunDirectoryError, match=rf"data set .*{name} has changed since .*tiny began; got sha256:"):
        train(recipe, resume=True, display=Heard())
    file.write_text(before)
    assert train(recipe, resume=True, display=Heard()).outcome.step == 4


def test_hostile_problems_train_and_stay_as_they_are(place: Workplace) -> None:
    texts = ["<script>alert(1)</script>", "\x1b[2J\x07 w3", "w" * 20, "nul \x00 w4", "\u202e{braces}"]
    write_rows(place.path / "problems.jsonl", [{"question": f"w2 {t}", "answer": "w3", "solution": t} for t in texts])
    display = Heard()
    recipe = recipe_from(place.recipe(rollout={"prompts_per_step": 5, "max_completion_length": 4, "show_every": 1}))
    train(recipe, display=display)
    extra = {json.loads(row["extra"])["solution"] for row in rollouts_in(place.run)}
    assert extra == set(texts)
    assert sum(notice.startswith("Step ") for notice in display.notices) == 4
