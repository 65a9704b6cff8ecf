"""Peak memory: of the loss by tokens, of one long sequence, and of a whole step, ours against TRL."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from understudy.bench.speed import loss_memory, tables
from understudy.bench.speed.apart import MeasurementError, Place, measure_apart
from understudy.bench.speed.comparing import Comparison, Order, compare
from understudy.bench.speed.following import Following
from understudy.bench.speed.machine import Machine, this_machine
from understudy.bench.speed.step_job import Measured, StepJob
from understudy.bench.speed.workload import MEANINGS, Size
from understudy.bench.speed.writing import write_apart
from understudy.bench.tables import ABSENT, Table, aligned, markdown
from understudy.training.progress import Display

LONG_TOKENS = (4096, 8192, 16384, 32768)
_LONG_PROMPT = 16
_LONG_SETTING = "golden-float32"


@dataclass(frozen=True)
class Extent:
    """What is measured beside whole steps.

    Args:
        loss_rows: tokens of the loss alone. long_tokens: lengths of one sequence that is trained on whole.
    """

    loss_rows: Sequence[int] = loss_memory.ROWS
    long_tokens: Sequence[int] = LONG_TOKENS


@dataclass(frozen=True)
class LossPeaks:
    """MiB of the loss, one a number of rows."""

    loss: str
    side: str
    mib: Sequence[float]


@dataclass(frozen=True)
class MemoryOutcome:
    """What was measured, and where.

    Args:
        machine: it. extent: what was asked for. losses: peaks of the loss. long: length of a sequence -> its step.
        steps: one a size. failures: of long sequences, by length.
    """

    machine: Machine
    extent: Extent
    losses: Sequence[LossPeaks]
    long: Mapping[int, Measured]
    steps: Sequence[Comparison]
    failures: Mapping[str, str]

    @property
    def has_failed(self) -> bool:
        """Whether something of ours did."""
        ours = any(name.startswith("Understudy") for one in self.steps for name in one.failures)
        return bool(self.failures) or ours

    def to_json(self) -> dict[str, Any]:
        """Every process's figures."""
        return asdict(self)


def measure_memory(
    sizes: Sequence[str], order: Order, display: Display | None = None, *, extent: Extent | None = None
) -> MemoryOutcome:
    """The loss, long sequences, then a step of each size.

    Raises:
        UserMistakeError: the other Python is none, or has no trl.
        MeasurementError: a process that measured the loss failed.
    """
    extent = extent or Extent()
    machine = this_machine(threads=order.threads, clock=order.clock, peer_python=order.peer_python)
    pairs = [(loss, side) for loss in loss_memory.LOSSES for side in loss_memory.SIDES]
    count = len(pairs) * len(extent.loss_rows) + len(extent.long_tokens) + len(sizes) * order.processes
    following = Following(display, total=count)
    losses = [
        LossPeaks(loss, side, [_loss_peak(loss, side, rows, order, following) for rows in extent.loss_rows])
        for loss, side in (pairs if extent.loss_rows else ())
    ]
    long, failures = _long_steps(extent.long_tokens, order, following)
    steps = [compare(size, order, following) for size in sizes]
    following.close()
    return MemoryOutcome(machine, extent, losses, long, steps, failures)


def long_size(tokens: int) -> Size:
    """One sequence of so many tokens, all but a short prompt trained on, for tiny models."""
    prompts = (_LONG_PROMPT, _LONG_PROMPT)
    golden = tokens - _LONG_PROMPT - 1  # the end token
    return Size(
        (128, 2), (128, 2), vocab_size=512, batch=1, completion_length=1, prompt_lengths=prompts, golden_length=golden
    )


def text_of(outcome: MemoryOutcome) -> str:
    """For a terminal."""
    return _told(outcome, aligned, heading="{}")


def section_of(outcome: MemoryOutcome, *, command: str) -> str:
    """For docs/performance.md."""
    return f"`{command}`\n\n" + _told(outcome, markdown, heading="### {}")


def _told(outcome: MemoryOutcome, render: Callable[[Table], str], *, heading: str) -> str:
    parts = [outcome.machine.line() + "."]
    if outcome.losses:
        title = f"The loss and its gradient, vocabulary {loss_memory.VOCABULARY:,}: MiB above what was there"
        parts += [heading.format(title), render(_loss_table(outcome))]
    if outcome.long:
        title = "One sequence, tiny models, reverse KL on every token after a short prompt"
        parts += [heading.format(title), render(_long_table(outcome))]
    parts += tables.failure_lines(outcome.failures)
    for one in outcome.steps:
        title = f"A whole step, {one.size}: {MEANINGS[one.size]}; most MiB of the process"
        parts += [heading.format(title), render(_step_table(one))]
        parts += [render(tables.memory_ratio_table(one))] if one.peers else []
        parts += tables.failure_lines(one.failures)
    return "\n\n".join(parts)


def _loss_table(outcome: MemoryOutcome) -> Table:
    heading = ["MiB", *(f"{rows:,} tokens" for rows in outcome.extent.loss_rows)]
    return [heading, *([f"{one.loss}, {one.side}", *(f"{mib:,.0f}" for mib in one.mib)] for one in outcome.losses)]


def _long_table(outcome: MemoryOutcome) -> Table:
    heading = ["tokens of the sequence", "seconds a step", "MiB above the start", "most MiB", "bytes a token"]
    return [
        heading,
        *(
            [
                f"{tokens:,}",
                f"{one.total:.2f}",
                f"{one.memory_mib:,.0f}",
                f"{one.peak_mib:,.0f}",
                f"{one.memory_mib * 2**20 / tokens:,.0f}",
            ]
            for tokens, one in outcome.long.items()
        ),
    ]


def _step_table(one: Comparison) -> Table:
    sides = {"Understudy": one.ours, "TRL": one.peers}
    return [
        ["", "above the models", "in all", "seconds a step"],
        *(
            [f"{side} {setting}", *_peaks(runs)]
            for side, settings in sides.items()
            for setting, runs in settings.items()
        ),
    ]


def _peaks(runs: Sequence[Measured]) -> list[str]:
    if not runs:
        return [ABSENT, ABSENT, ABSENT]
    above, whole = (statistics.median(getattr(one, name) for one in runs) for name in ("memory_mib", "peak_mib"))
    return [f"{above:,.0f}", f"{whole:,.0f}", f"{statistics.median(one.total for one in runs):.2f}"]


def _loss_peak(loss: str, side: str, rows: int, order: Order, following: Following) -> float:
    following.begin(f"{loss} loss, {side}, {rows:,} tokens")
    place = Place(limit_seconds=order.limit_seconds)
    mib = float(measure_apart("loss_memory", {"loss": loss, "side": side, "rows": rows}, place)["mib"])
    following.end(f"{mib:,.0f} MiB")
    return mib


def _long_steps(
    lengths: Sequence[int], order: Order, following: Following
) -> tuple[dict[int, Measured], dict[str, str]]:
    found, failures = {}, {}
    for tokens in lengths:
        what = f"one sequence of {tokens:,} tokens"
        following.begin(what)
        try:
            found[tokens] = _long_step(tokens, order)
        except MeasurementError as error:
            failures[what] = str(error)
            following.end(f"failed: {error}")
        else:
            following.end(f"{found[tokens].memory_mib:,.0f} MiB")
    return found, failures


def _long_step(tokens: int, order: Order) -> Measured:
    size = long_size(tokens)
    place = Place(threads=order.threads, limit_seconds=order.limit_seconds)
    with TemporaryDirectory(prefix="understudy-speed-") as folder:
        write_apart(Path(folder), size)
        job = StepJob(folder, size, "ours", _LONG_SETTING, steps=1, threads=order.threads, clock=order.clock)
        return Measured(**measure_apart("step_job", job.to_json(), place))
