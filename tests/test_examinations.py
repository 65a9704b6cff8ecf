"""What a run's examinations come to: the last one, and the best by the suite that chooses."""

from __future__ import annotations

import json
from pathlib import Path

from tests.evaluation.test_suites import played
from understudy.evaluation.examination import Exam
from understudy.evaluation.suites import write_suite_result
from understudy.examinations import best_of, result_file, summarise
from understudy.recipe import Recipe, Suite, recipe_from

RIGHT = {0: (0, 0), 5: (3, 1), 10: (2, 4)}
"""Of four problems of the suite that chooses, and of the other, by step."""


def made(*, kind: str = "accuracy") -> tuple[Recipe, list[Exam]]:
    content = {
        "student": {"model": "a"},
        "data": {"dataset": "x.jsonl"},
        "objective": {"method": "sft"},
        "steps": 20,
        "evaluation": {
            "every": 5,
            "stop_after": 2,
            "suites": [{"name": "seen", "dataset": "x", "kind": kind}, {"name": "unseen", "dataset": "x"}],
        },
        "checkpoint": {"keep_best": "seen"},
    }
    recipe = recipe_from(content, source="test")
    suites = [suite for suite in recipe.evaluation.suites if isinstance(suite, Suite)]
    return recipe, [Exam(suite, [], None) for suite in suites]


def test_the_best_is_chosen_on_one_suite_and_told_of_all(tmp_path: Path) -> None:
    recipe, exams = made()
    lines = []
    for step, counts in RIGHT.items():
        for name, right in zip(("seen", "unseen"), counts, strict=True):
            result = played([[number < right] for number in range(4)], name=name)
            write_suite_result(result, result_file(tmp_path, f"step-{step:06d}", name))
        lines.append(json.dumps({"step": step, "eval/seen/mean": counts[0] / 4, "eval/unseen/mean": counts[1] / 4}))
    (tmp_path / "evaluation" / "figures.jsonl").write_text("\n".join(lines) + "\n")
    content = summarise(recipe, exams, tmp_path, steps=10, seconds=1.0)
    assert (content["steps"], content["planned_steps"]) == (10, 20)
    best, suites = content["best"], content["suites"]
    assert isinstance(best, dict) and isinstance(suites, dict)
    assert (best["step"], best["chosen_on"]) == (5, "seen")
    assert {name: one["mean"] for name, one in best["suites"].items()} == {"seen": 0.75, "unseen": 0.25}
    assert {name: one["after"]["mean"] for name, one in suites.items()} == {"seen": 0.5, "unseen": 1.0}


def test_a_suite_of_which_lower_is_better_keeps_the_lowest() -> None:
    for kind, higher in (("accuracy", True), ("nll", False), ("reverse_kl", False)):
        recipe, exams = made(kind=kind)
        best = best_of(recipe, exams)
        assert best is not None and best.higher_is_better is higher and best.stop_after == 2
        lines = [{"step": 5, "eval/seen/mean": 2.0}, {"step": 10, "eval/seen/mean": 1.0}]
        assert best.step(lines) == (5 if higher else 10)


def test_without_a_suite_that_chooses_there_is_no_best(tmp_path: Path) -> None:
    recipe, exams = made()
    free = recipe.model_copy(update={"checkpoint": recipe.checkpoint.model_copy(update={"keep_best": None})})
    assert best_of(free, exams) is None
    assert "best" not in summarise(free, exams, tmp_path, steps=20, seconds=1.0)
