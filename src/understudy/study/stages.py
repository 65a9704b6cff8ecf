"""An office study from models to page, stage by stage; a study that was stopped goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from understudy.api import Run, train
from understudy.comparing.page import write_comparison_page
from understudy.errors import RunDirectoryError
from understudy.evaluating import building_shown, evaluate
from understudy.evaluation.suites import write_json
from understudy.study.attempts import RESULTS, attempt_office
from understudy.study.figures import Figures, figures_of
from understudy.study.page import SIDE_BY_SIDE, write_page
from understudy.study.settings import StudySettings, study_recipe, study_tasks
from understudy.testbed import is_testbed
from understudy.testbed.office_quiz import QUIZZES
from understudy.testbed.workshop import resolve_models
from understudy.training.progress import Display
from understudy.written_whole import is_untouched

MARK, SUMMARY, PAGE = "study.json", "summary.json", "study.html"


@dataclass(frozen=True)
class Study:
    """A study that is done.

    Args:
        path: its folder. figures: what it found. stopped: the training was stopped by a signal; then there are none.
        exit_status: what shells have for that signal; 0 without one.
    """

    path: Path
    figures: Figures | None
    exit_status: int = 0

    @property
    def stopped(self) -> bool:
        """Whether the training was stopped by a signal."""
        return self.figures is None


def run_study(out: Path, settings: StudySettings, display: Display) -> Study:
    """Make the models, examine, train, examine again, compare, and write the page.

    Args:
        out: the study's folder; one that holds this very study is gone on with.
    Raises:
        RunDirectoryError: ``out`` holds something else.
    """
    _open(out, settings)
    named = [model for model in (settings.student, settings.teacher) if is_testbed(model)]
    resolve_models(named, building_shown(display))  # side by side where they are missing
    for name, model in (("teacher", settings.teacher), ("base", settings.student)):
        _attempt(out, name, model, settings, display)
    _ask(out, "base", settings.student, settings, display)
    run = _trained(out, settings, display)
    if run.outcome.signal is not None:
        return Study(out, None, run.outcome.exit_status)
    _attempt(out, "distilled", str(run.model), settings, display)
    _ask(out, "distilled", str(run.model), settings, display)
    figures = figures_of(out, settings)
    write_json(figures.to_json(), out / SUMMARY)
    write_comparison_page(figures.office, out / SIDE_BY_SIDE)
    write_page(out, settings, figures, out / PAGE)
    display.end()
    return Study(out, figures)


def _open(out: Path, settings: StudySettings) -> None:
    """Begin a study, or make sure that the one that is there is the same."""
    mark = out / MARK
    if mark.is_file():
        before = _written(mark)
        differing = [name for name, value in settings.to_json().items() if before.get(name) != value]
        if differing:
            name = differing[0]
            raise RunDirectoryError(
                f"{out} holds another study",
                got=f"{name} {before.get(name)!r}, now {settings.to_json()[name]!r}",
                remedy="Choose another folder with --out, or the settings it began with.",
            )
        return
    if out.exists() and not out.is_dir():
        raise RunDirectoryError(f"{out} is no folder", remedy="Choose another one with --out.")
    if not is_untouched(out):
        raise RunDirectoryError(
            f"{out} holds other files and no study", remedy="Choose another folder with --out, or empty this one."
        )
    write_json(settings.to_json(), mark)


def _written(mark: Path) -> Mapping[str, object]:
    try:
        found: Mapping[str, object] = dict(json.loads(mark.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunDirectoryError(
            f"{mark} cannot be read", got=error, remedy="Choose another folder with --out."
        ) from error
    return found


def _attempt(out: Path, name: str, model: str, settings: StudySettings, display: Display) -> None:
    if (out / name / RESULTS).is_file():
        return
    tasks = study_tasks(settings)
    display.phase(f"turns of {name}")  # how many turns they will take is not known
    attempt_office(
        model,
        tasks,
        out / name,
        name=name,
        settings=settings,
        building=building_shown(display),
        progress=display.advance,
    )


def _ask(out: Path, name: str, model: str, settings: StudySettings, display: Display) -> None:
    """Put the regression suite to a model."""
    folder = out / "regression" / name
    missing = [quiz for quiz in QUIZZES if not (folder / f"{quiz}.json").is_file()]
    if missing:
        ask = partial(evaluate, limit=settings.num_questions, seed=settings.seed, display=display)
        ask(model, [f"testbed/{quiz}" for quiz in missing], out=folder, keep=out / "regression" / "samples")


def _trained(out: Path, settings: StudySettings, display: Display) -> Run:
    return train(study_recipe(settings, output=str(out)), resume=(out / "run").is_dir(), display=display)
