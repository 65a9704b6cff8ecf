"""The examinations of a run: who is examined when, and which files hold the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from understudy.build import Assembly
from understudy.evaluation.examination import Exam, Examinee, examine, figures_of
from understudy.evaluation.suites import SuiteResult, read_suite_result, write_suite_result
from understudy.evaluation.summary import BestCheckpoint, suite_summary, summary
from understudy.recipe import Recipe
from understudy.training import metric_lines
from understudy.training.best import Best
from understudy.training.progress import Display


def examine_student(
    assembly: Assembly, recipe: Recipe, path: Path, step: int, progress: Callable[[int], None]
) -> dict[str, float]:
    """Put every suite to the present weights, keep the answers in the run's folder, and return the figures."""
    figures: dict[str, float] = {}
    for exam in assembly.exams:
        result = examine(exam, assembly.student, seed=recipe.seed, progress=progress)
        write_suite_result(result, result_file(path, _label(step), exam.suite.name))
        figures |= figures_of(result)
    return figures


def examine_teacher(assembly: Assembly, recipe: Recipe, path: Path, display: Display) -> None:
    """Put every suite to the teacher, once a run, where the recipe says so and the teacher is a model here."""
    examinee: Examinee | None = assembly.teacher
    if examinee is None or not recipe.evaluation.teacher:
        return
    for exam in assembly.exams:
        if _result(path, "teacher", exam.suite.name) is None:
            display.phase(f"teacher on {exam.suite.name}", size=exam.num_attempts)
            result = examine(exam, examinee, seed=recipe.seed, progress=display.advance)
            write_suite_result(result, result_file(path, "teacher", exam.suite.name))


def best_of(recipe: Recipe, exams: Sequence[Exam]) -> Best | None:
    """What the best checkpoint is chosen by; None where the recipe keeps none."""
    name = _chosen_by(recipe)
    if name is None:
        return None
    better = next((exam.suite.better for exam in exams if exam.suite.name == name), "higher")
    return Best(f"eval/{name}/mean", higher_is_better=better == "higher", stop_after=recipe.evaluation.stop_after)


def summarise(recipe: Recipe, exams: Sequence[Exam], path: Path, *, steps: int, seconds: float) -> dict[str, object]:
    """The content of ``summary.json`` from the evaluation files of a run that ended after ``steps``."""
    suites = {}
    for exam in exams:
        name = exam.suite.name
        before, after, teacher = (_result(path, label, name) for label in (_label(0), _label(steps), "teacher"))
        if after is not None:
            suites[name] = suite_summary(after=after, before=before, teacher=teacher)
    return summary(
        name=recipe.name or "",
        method=recipe.objective.method,
        seed=recipe.seed,
        steps=steps,
        planned_steps=recipe.steps,
        seconds=round(seconds, 3),
        suites=suites,
        best=_best(recipe, exams, path),
    )


def _best(recipe: Recipe, exams: Sequence[Exam], path: Path) -> BestCheckpoint | None:
    """Every suite at the step that was best on the one that chooses."""
    best, name = best_of(recipe, exams), _chosen_by(recipe)
    step = None if best is None else best.step(metric_lines.read(path / "evaluation" / "figures.jsonl"))
    if step is None or name is None:
        return None
    found = {exam.suite.name: _result(path, _label(step), exam.suite.name) for exam in exams}
    return BestCheckpoint(step, name, {suite: result for suite, result in found.items() if result is not None})


def _chosen_by(recipe: Recipe) -> str | None:
    name = recipe.checkpoint.keep_best
    return None if name is None else name.removeprefix("testbed/")


def result_file(path: Path, label: str, suite: str) -> Path:
    """Where a run keeps a suite's result: ``label`` is ``step-NNNNNN`` or ``teacher``."""
    return path / "evaluation" / f"{label}-{suite}.json"


def _label(step: int) -> str:
    return f"step-{step:06d}"


def _result(path: Path, label: str, suite: str) -> SuiteResult | None:
    file = result_file(path, label, suite)
    return read_suite_result(file) if file.is_file() else None
