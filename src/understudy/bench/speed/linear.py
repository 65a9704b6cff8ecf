"""Cost in tokens: seconds a step for more and more tokens a step, all of them in sequences of one length."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from understudy.bench.speed.apart import Place, measure_apart
from understudy.bench.speed.comparing import Order
from understudy.bench.speed.following import Following
from understudy.bench.speed.machine import Machine, this_machine
from understudy.bench.speed.step_job import Measured, StepJob
from understudy.bench.speed.workload import SIZES, Size
from understudy.bench.speed.writing import write_apart
from understudy.bench.tables import Table, aligned, markdown
from understudy.training.progress import Display

TOKENS = (1024, 2048, 4096, 8192, 16384, 32768)
"""A step's tokens, prompts and completions together."""
LENGTH, PROMPT = 128, 16
REFERENCE = 4096
"""The step that others are compared with, a token."""
_SAMPLING = ("sample",)


@dataclass(frozen=True)
class Growth:
    """One setting by tokens a step.

    Args:
        size: whose models. setting: of ours. machine: it. found: tokens a step -> its processes.
    """

    size: str
    setting: str
    machine: Machine
    found: Mapping[int, Sequence[Measured]]

    @property
    def reference(self) -> int:
        """``REFERENCE``, or what is nearest to it."""
        return min(self.found, key=lambda count: abs(count - REFERENCE))

    def seconds(self, tokens: int, *, without: Sequence[str] = ()) -> float:
        """Median seconds of a step, some phases left out."""
        return statistics.median(one.total - sum(one.seconds[phase] for phase in without) for one in self.found[tokens])

    def relative(self, tokens: int, *, without: Sequence[str] = ()) -> float:
        """Seconds a token over those of the reference step."""
        mine, other = (self.seconds(count, without=without) / count for count in (tokens, self.reference))
        return mine / other

    def to_json(self) -> dict[str, Any]:
        """Every process's figures."""
        return asdict(self)


def measure_growth(
    name: str, order: Order, display: Display | None = None, *, tokens: Sequence[int] = TOKENS
) -> list[Growth]:
    """Each of the order's settings, every number of tokens in turn in each round.

    Raises:
        MeasurementError: a process failed.
    """
    machine = this_machine(threads=order.threads, clock=order.clock, peer_python=None)
    following = Following(display, total=order.rounds * len(order.settings) * len(tokens))
    found: dict[str, dict[int, list[Measured]]] = {s: {count: [] for count in tokens} for s in order.settings}
    with TemporaryDirectory(prefix="understudy-speed-") as folder:
        write_apart(Path(folder), size_with(SIZES[name], max(tokens)))
        for number in range(order.rounds):
            for count in tokens:
                for setting in order.settings:
                    following.begin(f"{name} round {number + 1}, {count:,} tokens, {setting}")
                    done = _measured(Path(folder), size_with(SIZES[name], count), setting, order)
                    found[setting][count].append(done)
                    following.end(f"{done.total:.3f} s a step")
    following.close()
    return [Growth(name, setting, machine, runs) for setting, runs in found.items()]


def size_with(size: Size, tokens: int) -> Size:
    """The same models with so many tokens a step, in sequences of ``LENGTH``.

    >>> size_with(SIZES["S"], 1024).batch
    8
    """
    batch = max(1, tokens // LENGTH)
    return replace(size, batch=batch, prompt_lengths=(PROMPT, PROMPT), completion_length=LENGTH - PROMPT, num_stops=0)


def growth_table(growth: Growth) -> Table:
    """Seconds a step and microseconds a token, relative to the reference, with sampling and without."""
    heading = ["tokens a step", "step, s", "µs a token", "relative", "without sampling, s", "relative", "peak MiB"]
    return [
        heading,
        *(
            [
                f"{count:,}",
                f"{growth.seconds(count):.3f}",
                f"{1e6 * growth.seconds(count) / count:.0f}",
                f"{growth.relative(count):.2f}",
                f"{growth.seconds(count, without=_SAMPLING):.3f}",
                f"{growth.relative(count, without=_SAMPLING):.2f}",
                f"{statistics.median(one.memory_mib for one in growth.found[count]):,.0f}",
            ]
            for count in growth.found
        ),
    ]


def text_of(found: Sequence[Growth]) -> str:
    """For a terminal."""
    return _told(found, aligned, heading="{}")


def section_of(found: Sequence[Growth], *, command: str) -> str:
    """For docs/performance.md."""
    return f"`{command}`\n\n" + _told(found, markdown, heading="### {}")


def _told(found: Sequence[Growth], render: Callable[[Table], str], *, heading: str) -> str:
    parts = [found[0].machine.line() + "."]
    for growth in found:
        what = f"Cost in tokens: {growth.size}, {growth.setting}, sequences of {LENGTH}"
        parts += [heading.format(what), render(growth_table(growth))]
    return "\n\n".join([*parts, f"Relative: seconds a token over those of {found[0].reference:,} tokens a step."])


def _measured(folder: Path, size: Size, setting: str, order: Order) -> Measured:
    job = StepJob(str(folder), size, "ours", setting, steps=order.steps, threads=order.threads, clock=order.clock)
    place = Place(threads=order.threads, limit_seconds=order.limit_seconds)
    return Measured(**measure_apart("step_job", job.to_json(), place))
