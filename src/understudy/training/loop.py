"""A run: steps, evaluations, checkpoints; it can be cut at any instant and goes on to the very same numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.training import checkpoint
from understudy.training.best import Best
from understudy.training.columns import check_needs
from understudy.training.interruption import Stop, listening
from understudy.training.progress import Display, Silent
from understudy.training.rollout_files import Decode
from understudy.training.run_directory import RunDirectory
from understudy.training.session import Describe, Evaluate, LoopSettings, Report, Session
from understudy.training.step import Parts

__all__ = ["Best", "Describe", "Evaluate", "LoopSettings", "Outcome", "Report", "run"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        step: number of steps done, fewer than planned where ``Best.stop_after`` ended it.
        checkpoint: the newest, of ``step`` unless the run was stopped by force.
        seconds: wall clock of this session. signal: number of the signal that ended it early; None when it is complete.
    """

    step: int
    checkpoint: Path | None
    seconds: float
    signal: int | None = None

    @property
    def exit_status(self) -> int:
        """0, or 128 and the signal's number, as shells have it."""
        return 0 if self.signal is None else 128 + self.signal


def run(
    parts: Parts,
    settings: LoopSettings,
    directory: RunDirectory,
    *,
    evaluate: Evaluate | None = None,
    decode: Decode | None = None,
    reports: Sequence[Report] = (),
    describe: Describe | None = None,
    display: Display | None = None,
) -> Outcome:
    """Train to ``parts.settings.total_steps``, from the last whole checkpoint of ``directory`` if there is one.

    The first SIGINT or SIGTERM gives up sampling or evaluation, or finishes the update, writes a checkpoint and
    returns; the second returns at once. An error leaves a checkpoint of the steps done wherever the weights are whole.

    Args:
        evaluate: examines the student before, during and after. decode: completion ids to text, for rollout files.
        reports: told every line of figures. describe: writes pages beside a checkpoint's weights.
        display: shown the progress.
    Raises:
        CapabilityError: before step 0, a scorer cannot give what the objective needs.
        CheckpointError: none can be read, or one cannot be written.
        NonFiniteError: a loss or gradient is NaN or infinite; names step, term and the file of the step's rollouts.
    """
    check_needs(parts.objective, policy=parts.policy, scorers=parts.scorers)
    display = display or Silent()
    stop = Stop(lambda name: display.notice(f"{name}: ending after this piece of work; once more ends at once."))
    session = Session(
        parts=parts,
        settings=settings,
        directory=directory,
        evaluate=evaluate,
        decode=decode,
        reports=reports,
        display=display,
        stop=stop,
        describe=describe,
    )
    started = time.perf_counter()
    with listening(stop):
        try:
            session.go()
        except KeyboardInterrupt:
            if stop.signal is None:
                raise
        finally:
            parts.close()
            display.end()
    saved = checkpoint.steps_of(directory.checkpoints)
    if session.is_cut:
        begun = f"from step {saved[-1]}" if saved else "from the start"
        display.notice(f"Stopped after {session.done} of {session.total} steps; --resume goes on {begun}.")
    return Outcome(
        step=session.done,
        checkpoint=checkpoint.folder_of(directory.checkpoints, saved[-1]) if saved else None,
        seconds=time.perf_counter() - started,
        signal=stop.signal if session.is_cut else None,
    )
