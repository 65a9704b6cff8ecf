"""A run over office tasks: whoever plays, each task's result is kept as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.environments.office import OfficeBoxes, OfficeSettings
from understudy.environments.tools import Rules
from understudy.errors import RunDirectoryError, ServerDownError
from understudy.evaluation.programs import Verdict, score_of
from understudy.evaluation.suites import write_json
from understudy.office.collecting import Collected, Collecting
from understudy.office.players import Played, Player
from understudy.office.prices import Price
from understudy.office.results import FILE, Results, TaskResult, keep, kept, rubric_lines, write_results
from understudy.office.summary import with_figures
from understudy.sandbox import isolation
from understudy.tasks.office import OfficeTask
from understudy.training.progress import Display

_RUN = "run.json"


@dataclass(frozen=True)
class RunSettings:
    """How tasks are put.

    Args:
        rules: of an episode. office: what agents may use. seed: of the draws. price: of tokens; None counts no cost.
        told: what else decides the results, such as the temperature; kept with them.
    """

    rules: Rules
    office: OfficeSettings = field(default_factory=OfficeSettings)
    seed: int = 0
    price: Price | None = None
    told: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Everything that decides the results."""
        rules, limits = self.rules, self.office.limits
        return {
            "max_turns": rules.max_turns,
            "summarise_at": rules.summarise_at,
            "command_seconds": limits.wall_seconds,
            "web": self.office.web is not None,
            "seed": self.seed,
            **self.told,
        }


def run_office(
    tasks: Sequence[OfficeTask],
    player: Player,
    out: Path,
    *,
    settings: RunSettings,
    display: Display,
    name: str = "",
    broken: Sequence[str] = (),
) -> Results:
    """Play every task that has no result in ``out`` yet, and write ``results.json`` over all.

    Args:
        broken: tasks that could not be loaded, which are named among the missing.
    Raises:
        RunDirectoryError: ``out`` holds the results of other settings, or of another model.
        SandboxUnavailableError: model-written code cannot run here. ServerDownError: nobody answers; what is done is
            kept.
    """
    isolation()
    settings_told = settings.to_json()
    _claim(out, {"model": player.name, "settings": settings_told})
    known = {task.task_id: kept(task.task_id, out) for task in tasks}
    done = {task_id: result for task_id, result in known.items() if result is not None}
    _check_the_same([task for task in tasks if task.task_id in done], done, out)
    work = _Work(tasks, out, settings, display, done)
    display.begin(done=len(done), total=len(tasks))
    try:
        work.play(player)
    finally:
        missing = {task.task_id: "not attempted" for task in tasks if task.task_id not in done}
        missing |= {f"broken-{number}": why for number, why in enumerate(broken, 1)}
        attempts = tuple(done[task.task_id] for task in tasks if task.task_id in done)
        found = Results(name or out.name, player.name, tasks[0].suite, attempts, missing, settings_told)
        results = with_figures(found)
        write_results(results, out)
        display.end()
    return results


class _Work:
    """Tasks that are being played, and their results so far."""

    def __init__(
        self,
        tasks: Sequence[OfficeTask],
        out: Path,
        settings: RunSettings,
        display: Display,
        done: dict[str, TaskResult],
    ) -> None:
        self._tasks = {task.task_id: task for task in tasks}
        self._out, self._settings, self._display = out, settings, display
        self._collecting = Collecting(out)
        self.done = done

    def play(self, player: Player) -> None:
        """All tasks without a result; draws are keyed by a task's place among all, whatever was done before."""
        left = {n: task for n, task in enumerate(self._tasks.values()) if task.task_id not in self.done}
        boxes = OfficeBoxes(self._tasks, self._collecting.grade, self._settings.office)
        try:
            player.play(left, boxes, ended=self._ended, seed=self._settings.seed)
        except ServerDownError as error:
            error.remedy = "Start it, or correct its address; the same command goes on where this one stopped."
            raise

    def _ended(self, played: Played) -> None:
        task = self._tasks[played.task_id]
        result = _result(task, played, self._collecting.collected.pop(played.task_id, None), self._settings)
        write_json({"messages": list(played.messages)}, self._out / task.task_id / "transcript.json")
        keep(result, self._out)
        self.done[task.task_id] = result
        scores = [one.score for one in self.done.values() if one.score is not None]
        figures = {"reward": sum(scores) / len(scores)} if scores else {}
        if result.error is not None:
            self._display.notice(f"{task.task_id}: {result.error}")
        self._display.step(len(self.done), figures)


def _result(task: OfficeTask, played: Played, left: Collected | None, settings: RunSettings) -> TaskResult:
    """What is kept of an attempt."""
    verdicts, score = _worth(task, played, left)
    error = played.error or (None if left is None else left.error)
    return TaskResult(
        task_id=task.task_id,
        prompt=task.prompt,
        finished=left is not None and left.attempt.has_finished,
        why="error" if played.error else "context" if left is None else left.attempt.ending.why,
        deliverables=() if left is None else left.deliverables,
        num_turns=played.num_turns,
        num_tokens=played.num_tokens,
        num_prompt_tokens=played.num_prompt_tokens,
        max_turns=settings.rules.max_turns,
        seconds=round(played.seconds, 3),
        cost=None if settings.price is None else settings.price.of(played),
        error=error,
        score=score,
        rubric=rubric_lines(task, verdicts),
        scoring=task.scoring,
        figures={**_counts(played), **({} if left is None else {"not_taken": dict(left.attempt.not_taken)})},
    )


def _worth(task: OfficeTask, played: Played, left: Collected | None) -> tuple[Sequence[Verdict] | None, float | None]:
    """Verdicts and score; an attempt that met an error has neither, one that came to no end has met nothing."""
    if left is not None:
        return left.verdicts, left.score
    if played.error is not None:
        return None, None
    verdicts = [Verdict(line.id, False, "the agent did not finish") for line in task.rubric]
    return verdicts, score_of(task.rubric, verdicts, task.scoring)


def _counts(played: Played) -> dict[str, object]:
    world = played.figures.get("world")
    kept_of_tally = {key: played.figures[key] for key in ("malformed", "inadmissible", "cut") if key in played.figures}
    counts = ("calls", "failed", "idle", "summaries", "refused_paths")
    return kept_of_tally | ({key: world[key] for key in counts if key in world} if isinstance(world, Mapping) else {})


def _check_the_same(tasks: Sequence[OfficeTask], done: Mapping[str, TaskResult], out: Path) -> None:
    """A result is of the task as it was asked and judged then."""
    for task in tasks:
        asked = [task.prompt, *((line.id, line.criterion, line.points) for line in task.rubric)]
        kept_lines = done[task.task_id].rubric
        before = [
            done[task.task_id].prompt,
            *((one.get("id"), one.get("criterion"), one.get("points")) for one in kept_lines),
        ]
        if asked != before:
            raise RunDirectoryError(
                f"{out} holds a result of task {task.task_id} as it was before its words or its rubric changed",
                remedy=f"Give another --out, or delete {out / task.task_id} to have the task attempted again.",
            )


def _claim(out: Path, about: Mapping[str, object]) -> None:
    """Results of one folder are of one model under one set of settings."""
    path = out / _RUN
    if not path.is_file():
        if (out / FILE).exists():
            raise RunDirectoryError(f"{out} holds results that this command has not made", remedy="Give another --out.")
        write_json(about, path)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path} cannot be read", got=error, remedy="Give another --out.") from error
    if before != about:
        raise RunDirectoryError(
            f"{out} holds results of another model or other settings",
            got=before,
            expected=about,
            remedy="Give another --out, or the same model and settings to go on.",
        )
