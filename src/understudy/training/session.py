"""One process's share of a run.

Everything is numbered by the steps that were done before it, from 0: step 10 is made by the weights of checkpoint 10,
which evaluation 10 examines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import NonFiniteError, UnderstudyError
from understudy.models.allocation import FreedMemory
from understudy.training import checkpoint, metric_lines, rollout_files
from understudy.training.best import Best
from understudy.training.clock import Clock
from understudy.training.durable import write_json
from understudy.training.interruption import AbandonedError, Stop
from understudy.training.magnifying import Magnifier
from understudy.training.memory import memory_figures
from understudy.training.metrics import figures_of
from understudy.training.pooling import pooled
from understudy.training.progress import Display
from understudy.training.ranks import Ranks, agreed, by_first, is_agreed, led
from understudy.training.resume import restore
from understudy.training.run_directory import RunDirectory
from understudy.training.samples import sample_of
from understudy.training.step import NonFiniteStepError, Parts, Progress, StepResult, run_step

Evaluate = Callable[[int, Progress], Mapping[str, float]]
"""(step, progress) -> figures of the present weights; files it keeps in ``evaluation/`` begin with ``step-NNNNNN``."""

Report = Callable[[int, Mapping[str, float]], None]
"""Told the figures of each step and evaluation of this session, in order, those of an evaluation that it found too."""

Describe = Callable[[Path, int], None]
"""(checkpoint, steps done): writes pages for people beside the weights, again when they have been examined."""


@dataclass(frozen=True)
class LoopSettings:
    """What happens between steps.

    Args:
        evaluate_every: steps between evaluations, 0 for none on the way. evaluate_before, evaluate_after: the run.
        checkpoint_every: steps between checkpoints; the last step always has one. keep_last: how many are kept.
        best: what else is kept. rollouts_every: steps between files of rollouts, 0 for none.
        rollouts_per_step, attempts_per_evaluation: how many to expect, for the display; 0 if nobody knows.
        show_every: steps between completions shown, the first and the last step's among them; 0 for none.
        magnifier: whose likeliest tokens are kept in the files of rollouts.
    """

    evaluate_every: int = 0
    evaluate_before: bool = True
    evaluate_after: bool = True
    checkpoint_every: int = 10
    keep_last: int = 2
    best: Best | None = None
    rollouts_every: int = 1
    rollouts_per_step: int = 0
    attempts_per_evaluation: int = 0
    show_every: int = 0
    magnifier: Magnifier = field(default_factory=Magnifier)


@dataclass(eq=False)
class Session:
    """One process's share of a run.

    Args:
        parts, settings, directory, evaluate, decode, reports, display, describe: see ``loop.run``.
        stop: asked between pieces.
    Attributes:
        start, done: steps done before this session, and now. is_cut: it ended before its time.
        freed: memory that is given back after a checkpoint, where it is time.
    """

    parts: Parts
    settings: LoopSettings
    directory: RunDirectory
    evaluate: Evaluate | None
    decode: rollout_files.Decode | None
    reports: Sequence[Report]
    display: Display
    stop: Stop
    describe: Describe | None = None
    start: int = 0
    done: int = 0
    is_cut: bool = True
    freed: FreedMemory = field(default_factory=FreedMemory)

    @property
    def ranks(self) -> Ranks:
        """The processes that make the run; the first one writes its folder."""
        return self.parts.settings.ranks

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.parts.settings.total_steps

    def go(self) -> None:
        """The whole run, or as much of it as a signal allows."""
        for note in self.directory.notes:
            self.display.notice(note)
        self.start = self.done = restore(self.directory, self._load, notice=self.display.notice, ranks=self.ranks)
        self.parts.announce(self.parts.policy.version)
        self.display.begin(done=self.done, total=self.total)
        try:
            while self.done < self.total:
                self.examine()
                if self._has_stalled():
                    break
                self.train()
                if self.done % self.settings.checkpoint_every == 0:
                    self.save()
                agreed(self.ranks, self.stop.check)
            else:
                self.save()
                self.examine()
            self.is_cut = False
        except AbandonedError:
            self.save()

    def examine(self) -> None:
        """Evaluate the present weights if it is time and nobody did before; keep them if they are the best so far."""
        if self.evaluate is None or not self._examination_is_due():
            return
        with self._rescuing():
            figures = by_first(self.ranks, lambda: self._examined(self.evaluate))
        self._report(figures)
        if self.settings.best is not None and self._best_step() == self.done:
            self.save()
            content = {"step": self.done, "metric": self.settings.best.metric}
            by_first(self.ranks, lambda: write_json(self.directory.checkpoints / "best.json", content))

    def train(self) -> None:
        """One step, with its rollouts and its line of metrics."""
        started = time.perf_counter()
        clock = Clock(self._show_phase)
        is_written = bool(self.settings.rollouts_every) and self.done % self.settings.rollouts_every == 0
        magnifier = self.settings.magnifier if is_written else None
        try:
            with self._rescuing(clock):
                result = run_step(self.parts, self.done, clock=clock, progress=self._progress, magnifier=magnifier)
        except NonFiniteStepError as error:
            raise self._explained(error) from error
        if is_written:
            self._write_rollouts(result)
        shared = self.parts.settings
        figures = pooled(self.ranks, figures_of(result, world=shared.world, domains=shared.domains))
        figures |= memory_figures()
        figures["step_time"] = time.perf_counter() - started
        by_first(self.ranks, lambda: metric_lines.append(self.directory.metrics, self.done, figures))
        self._report(figures)
        self._show_sample(result)
        self.done += 1
        self.display.step(self.done, figures)

    def save(self) -> None:
        """A checkpoint of the present weights, unless there is one; then those that are no longer kept go."""
        led(self.ranks, lambda each: checkpoint.write(self.directory.checkpoints, self.done, each), self._fill)
        best = self._best_step()
        keep, protect = self.settings.keep_last, () if best is None else (best,)
        by_first(self.ranks, lambda: checkpoint.prune(self.directory.checkpoints, keep_last=keep, protect=protect))
        self.freed.give_back()

    def _fill(self, folder: Path) -> None:
        self.parts.policy.save(folder)
        if self.parts.kept is not None:
            self.parts.kept.save(folder, self.done)
        if self.ranks.rank == 0:
            self._describe(folder)

    def _examined(self, evaluate: Evaluate | None) -> Mapping[str, float]:
        """The figures of the present weights, from an earlier session or found now."""
        assert evaluate is not None
        figures, folder = self._known_examination(), checkpoint.folder_of(self.directory.checkpoints, self.done)
        if figures is None:
            self.display.phase("evaluation", size=self.settings.attempts_per_evaluation)
            figures = evaluate(self.done, self._progress)
            metric_lines.append(self.directory.evaluation_figures, self.done, figures)
            self._describe(folder)
        elif not self._is_told_in(folder):  # an earlier session was killed between the two
            self._describe(folder)
        return figures

    def _load(self, folder: Path) -> None:
        self.parts.policy.load(folder)
        if self.parts.kept is not None:
            self.parts.kept.load(folder)

    def _describe(self, folder: Path) -> None:
        """Say in words what the weights are, where there are any."""
        if self.describe is not None and folder.is_dir():
            self.describe(folder, self.done)

    def _is_told_in(self, folder: Path) -> bool:
        """Whether a checkpoint's pages are younger than the last figures: then their owner may have worked on them."""
        pages = [file.stat().st_mtime_ns for file in folder.rglob("*") if file.name in checkpoint.FOR_PEOPLE]
        return bool(pages) and min(pages) >= self.directory.evaluation_figures.stat().st_mtime_ns

    def _report(self, figures: Mapping[str, float]) -> None:
        for report in self.reports:
            report(self.done, figures)

    def _known_examination(self) -> Mapping[str, float] | None:
        """Figures of the present weights from an earlier session."""
        lines = metric_lines.read(self.directory.evaluation_figures)
        line = next((line for line in lines if metric_lines.step_of(line) == self.done), None)
        if line is None:
            return None
        return {name: value for name, value in line.items() if name != "step" and value is not None}

    def _examination_is_due(self) -> bool:
        settings = self.settings
        if self.done in (0, self.total):
            return settings.evaluate_before if self.done == 0 else settings.evaluate_after
        return settings.evaluate_every > 0 and self.done % settings.evaluate_every == 0

    def _best_step(self) -> int | None:
        best = self.settings.best
        if best is None:
            return None
        return by_first(self.ranks, lambda: best.step(metric_lines.read(self.directory.evaluation_figures)))

    def _has_stalled(self) -> bool:
        """Whether the run ends here for want of a better evaluation; its weights are saved then."""
        best = self.settings.best
        if best is None or not best.stop_after:
            return False
        at = self.done
        if not by_first(
            self.ranks, lambda: best.is_stalled(metric_lines.read(self.directory.evaluation_figures), at=at)
        ):
            return False
        self.save()
        count = f"{best.stop_after} evaluation{'' if best.stop_after == 1 else 's'}"
        self.display.notice(f"Ended at step {self.done}: {count} brought no better {best.metric}.")
        return True

    def _progress(self, count: int) -> None:
        self.stop.check()
        self.display.advance(count)

    def _show_phase(self, phase: str) -> None:
        self.display.phase(phase, size=self.settings.rollouts_per_step if phase == "sample" else 0)

    def _show_sample(self, result: StepResult) -> None:
        every, last = self.settings.show_every, self.total - 1
        if every and self.decode is not None and (result.step % every == 0 or result.step == last):
            self.display.notice(sample_of(result, self.decode, seed=self.parts.settings.seed))

    def _write_rollouts(self, result: StepResult) -> Path:
        file = rollout_files.file_of(self.directory.rollouts, result.step)
        rollout_files.write(file, result, decode=self.decode, ranks=self.ranks)
        return file

    def _explained(self, error: NonFiniteStepError) -> NonFiniteError:
        file = self._write_rollouts(error.result)
        remedy = f"The rollouts of that step are in {file}; a lower learning rate or float32 often helps."
        return NonFiniteError(error.what, got=error.got, expected=error.expected, remedy=remedy)

    @contextmanager
    def _rescuing(self, clock: Clock | None = None) -> Iterator[None]:
        """Leave a checkpoint of the steps done in this session when an error strikes while the weights are whole."""
        try:
            yield
        except Exception as error:
            updating = clock is not None and clock.phase in ("update", "publish")
            untouched = isinstance(error, NonFiniteStepError) and not error.result.updates
            together = self.ranks.size == 1 or is_agreed(error)
            if self.done > self.start and together and (untouched or not updating):
                with suppress(UnderstudyError):
                    self.save()
            raise
