"""The entry for Python callers and the command line: train from a recipe, evaluate a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from understudy.build import Assembly, EnvironmentFactory, Keeping, Own, assemble
from understudy.build.cluster import Gathering, gathering_of
from understudy.build.models import device_of, make_testbed
from understudy.build.opening import opened
from understudy.build.tinker import sessions_ended
from understudy.doctor import quick_findings
from understudy.engines.tinker.checkpoint import kept_state
from understudy.errors import RecipeError
from understudy.evaluating import building_shown
from understudy.evaluation.examination import Exam
from understudy.evaluation.summary import write_summary
from understudy.examinations import best_of, examine_student, examine_teacher, summarise
from understudy.models.bars import hide_bars_of_weights
from understudy.models.chat import decode
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer
from understudy.publishing import Published, push
from understudy.recipe import Recipe, load_recipe
from understudy.reports import write_report
from understudy.reports.model_card import write_card
from understudy.reports.secrets import values_without_secrets
from understudy.reports.trackers import check_installed, tracking
from understudy.training import data_record, metric_lines
from understudy.training.ending import ending_told, tell_ending
from understudy.training.loop import LoopSettings, Outcome, Report
from understudy.training.loop import run as run_loop
from understudy.training.magnifying import Magnifier
from understudy.training.progress import Display, Silent, display_on, shown
from understudy.training.ranks import agreed, by_first
from understudy.training.run_directory import RunDirectory
from understudy.training.tokenizer_record import keep_tokenizer


@dataclass(frozen=True)
class Run:
    """A run as it ended.

    Args:
        path: its folder. recipe: resolved. outcome: how it ended. summary: content of ``summary.json``; None when
            the run was stopped before its end. is_first: this is the process, of all ranks, that wrote the folder.
    """

    path: Path
    recipe: Recipe
    outcome: Outcome
    summary: Mapping[str, object] | None
    is_first: bool = True

    @property
    def model(self) -> Path | None:
        """Folder of the newest weights, for ``AutoModelForCausalLM`` (or ``PeftModel``); None before any checkpoint."""
        folder = self.outcome.checkpoint
        if folder is None:
            return None
        return next((folder / name for name in ("model", "adapter") if (folder / name).is_dir()), None)

    @property
    def weights(self) -> str:
        """Where the newest weights are, in words: that folder, and the state that a service keeps."""
        elsewhere = None if self.outcome.checkpoint is None else kept_state(self.outcome.checkpoint)
        return ", and ".join(str(one) for one in (self.model, elsewhere) if one is not None) or "nowhere"

    def push_to_hub(self, repo: str, *, private: bool = False, step: int | None = None) -> Published:
        """Push the newest weights, or those of ``step``, to OWNER/NAME of the model hub; see ``publishing.push``."""
        return push(self.path, repo, private=private, step=step)


def train(
    recipe: Recipe | str | Path,
    overrides: str | Sequence[str] = (),
    *,
    objective: Objective | None = None,
    environment: EnvironmentFactory | None = None,
    teacher: Scorer | None = None,
    resume: bool = False,
    display: Display | None = None,
) -> Run:
    """Train as a recipe says, from its last checkpoint with ``resume``, which may go on to another number of steps.

    Args:
        recipe: or the path of its YAML file, changed by ``key.sub=value`` overrides.
        objective, environment, teacher: in place of what the recipe names; ``environment`` makes one world an attempt.
        display: shown the progress; None shows it on standard error.
    Raises:
        UserMistakeError: the recipe, its data or its models cannot be used.
        UnderstudyError: the run could not go on; everything up to the last finished step is kept.
    """
    hide_bars_of_weights()
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    check_installed(recipe.report_to)
    own = Own(objective=objective, environment=environment, teacher=teacher)
    with (
        gathering_of(recipe.engine, device_of(recipe.engine)) as gathering,
        shown((display or display_on(sys.stderr)) if gathering.is_first else Silent()) as display,
        sessions_ended(),
    ):
        return _trained(recipe, own, gathering, resume=resume, display=display)


def _trained(recipe: Recipe, own: Own, gathering: Gathering, *, resume: bool, display: Display) -> Run:
    """The run on this rank; the first one writes its folder, the others have a part in the work alone."""
    ranks, is_first = gathering.ranks, gathering.is_first
    with opened(recipe, ranks, resume=resume, is_own=own.objective is not None) as directory:
        assembly = _assembled(recipe, own, directory, display, gathering)
        by_first(ranks, lambda: data_record.keep(directory.path, assembly.lessons.record))
        by_first(ranks, lambda: keep_tokenizer(directory.path, assembly.student.tokenizer))
        for notice in assembly.notices:
            display.notice(notice)
        by_first(ranks, lambda: examine_teacher(assembly, recipe, directory.path, display))
        by_first(ranks, directory.adopt)
        with _accounted(recipe, directory, display, gathering) as reports:
            outcome = run_loop(
                assembly.parts,
                loop_settings(recipe, assembly.exams),
                directory,
                evaluate=partial(examine_student, assembly, recipe, directory.path) if assembly.exams else None,
                decode=partial(decode, assembly.student.tokenizer),
                reports=reports,
                describe=partial(_describe, own, directory, display),
                display=display,
            )
        content = by_first(ranks, lambda: _ended(recipe, assembly, directory, outcome, display))
    return Run(directory.path, recipe, outcome, content, is_first)


@contextmanager
def _accounted(
    recipe: Recipe, directory: RunDirectory, display: Display, gathering: Gathering
) -> Iterator[Sequence[Report]]:
    """Trackers, and what is told of an error, by the first rank; the others tell nobody."""
    if not gathering.is_first:
        yield []
        return
    shown, told = _page_on_failure(directory, display), ending_told(directory.path)  # the page tells the ending
    with shown, told, _trackers(recipe, directory, display) as reports:
        yield reports


def _ended(
    recipe: Recipe, assembly: Assembly, directory: RunDirectory, outcome: Outcome, display: Display
) -> dict[str, object] | None:
    """Write summary and report; the content of the first, None where the run was stopped."""
    content = None
    if outcome.signal is None:
        seconds = _seconds(directory, outcome)
        content = summarise(recipe, assembly.exams, directory.path, steps=outcome.step, seconds=seconds)
        write_summary(content, directory.path / "summary.json")
    else:
        tell_ending(directory.path, state="stopped", why=f"asked to at step {outcome.step}")
    report_or_tell(directory.path, display)
    return content


def report(run: str | Path, *, out: str | Path | None = None) -> Path:
    """Write the HTML page of a run, finished or not, and return its path: ``report.html`` in its folder, or ``out``.

    Raises:
        RunDirectoryError: ``run`` is no run. UnderstudyError: the page cannot be written.
    """
    return write_report(Path(run), out=None if out is None else Path(out))


def report_or_tell(run: Path, display: Display) -> None:
    """Write the page of a run; a page that cannot be written is told and costs nothing else."""
    try:
        write_report(run)
    except Exception as error:
        why = error or type(error).__name__
        display.notice(f"The run's folder has all it did, but its report was not written: {why}")


def loop_settings(recipe: Recipe, exams: Sequence[Exam] = ()) -> LoopSettings:
    """What happens between the steps of this recipe."""
    num_generations = recipe.rollout.num_generations
    return LoopSettings(
        evaluate_every=recipe.evaluation.every,
        evaluate_before=recipe.evaluation.before,
        evaluate_after=recipe.evaluation.after,
        checkpoint_every=recipe.checkpoint.every,
        keep_last=recipe.checkpoint.keep_last,
        best=best_of(recipe, exams),
        # What is counted is completions: how many turns an episode takes, nobody knows beforehand.
        rollouts_per_step=0 if recipe.rollout.max_turns > 1 else recipe.rollout.prompts_per_step * num_generations,
        attempts_per_evaluation=0 if any(exam.max_turns > 1 for exam in exams) else sum(e.num_attempts for e in exams),
        show_every=recipe.rollout.show_every,
        magnifier=Magnifier(recipe.rollout.magnified),
    )


@contextmanager
def _page_on_failure(directory: RunDirectory, display: Display) -> Iterator[None]:
    """An error after some steps is where the curves are needed most."""
    before = _written(directory.metrics)
    try:
        yield
    except Exception:
        if _written(directory.metrics) != before:
            report_or_tell(directory.path, display)
        raise


def _written(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.is_file() else None


def _trackers(recipe: Recipe, directory: RunDirectory, display: Display) -> AbstractContextManager[Sequence[Report]]:
    config = values_without_secrets(recipe.model_dump(mode="json"))
    assert isinstance(config, dict)
    name = recipe.name or directory.path.name
    return tracking(recipe.report_to, path=directory.path, name=name, config=config, notice=display.notice)


def _describe(own: Own, directory: RunDirectory, display: Display, checkpoint: Path, step: int) -> None:
    """Write the card of a checkpoint's weights; one that cannot be written is told and costs nothing else."""
    given = [field.name for field in fields(own) if getattr(own, field.name) is not None]
    try:
        write_card(directory.path, checkpoint, step=step, own=given)
    except Exception as error:
        display.notice(f"The weights of step {step} have no card: {error or type(error).__name__}")


def _assembled(recipe: Recipe, own: Own, directory: RunDirectory, display: Display, gathering: Gathering) -> Assembly:
    """The run's objects; a folder made for a recipe that cannot run is taken away again."""
    ranks, building = gathering.ranks, building_shown(display)

    def here() -> Assembly:
        folder = directory.path if gathering.is_first else None
        assembly = assemble(recipe, own, building=building, keeping=Keeping(folder, display), gathering=gathering)
        if own == Own():
            _heed_the_doctor(recipe, assembly, display)
        return assembly

    try:
        by_first(ranks, lambda: make_testbed(recipe, building) if ranks.size > 1 else None)
        return agreed(ranks, here)
    except BaseException:
        if not directory.resumed and gathering.is_first:
            directory.discard()
        raise


def _heed_the_doctor(recipe: Recipe, assembly: Assembly, display: Display) -> None:
    """Tell what the doctor can read of a recipe and warns of; raises RecipeError for what no run should begin with."""
    for finding in quick_findings(recipe, assembly.lessons):
        if finding.verdict == "stop":
            raise RecipeError(f"{finding.check}: {finding.what}", remedy=finding.remedy)
        if finding.verdict == "warn":
            display.notice(f"{finding.check}: {finding.what}. {finding.remedy}")


def _seconds(directory: RunDirectory, outcome: Outcome) -> float:
    """Wall clock of this session; steps of earlier sessions count by their own time."""
    if not directory.resumed:
        return outcome.seconds
    return max(outcome.seconds, sum(line.get("step_time") or 0.0 for line in metric_lines.read(directory.metrics)))
