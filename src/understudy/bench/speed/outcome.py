"""A whole benchmark of speed: measured, and told as text, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from understudy.bench.speed import tables
from understudy.bench.speed.apart import Place, measure_apart
from understudy.bench.speed.comparing import Comparison, Order, compare
from understudy.bench.speed.following import Following
from understudy.bench.speed.limits import Limits
from understudy.bench.speed.machine import Machine, this_machine
from understudy.bench.speed.workload import MEANINGS
from understudy.bench.tables import Table, aligned, markdown
from understudy.training.progress import Display

RATES = (
    "A share is the time that the models' FLOPs (attention included) take at the measured rate of products, over the "
    "time they took; the optimizer's is against the rate of copies. The student's head is float32 throughout."
)


@dataclass(frozen=True)
class Outcome:
    """What was measured, and where.

    Args:
        machine: it. limits: its measured rates. found: one a size.
    """

    machine: Machine
    limits: Limits
    found: Sequence[Comparison]

    @property
    def has_failed(self) -> bool:
        """Whether one of our own settings failed."""
        return any(name.startswith("Understudy") for one in self.found for name in one.failures)

    def to_json(self) -> dict[str, Any]:
        """Every process's figures."""
        return asdict(self)


def measure_speed(sizes: Sequence[str], order: Order, display: Display | None = None) -> Outcome:
    """The machine's limits, then each size.

    Raises:
        UserMistakeError: the other Python is none, or has no trl.
        MeasurementError: the limits could not be measured.
    """
    machine = this_machine(threads=order.threads, clock=order.clock, peer_python=order.peer_python)
    following = Following(display, total=1 + len(sizes) * order.processes)
    following.begin("limits of the machine")
    place = Place(threads=order.threads, limit_seconds=order.limit_seconds)
    limits = Limits(**measure_apart("limits", {"threads": order.threads, "clock": order.clock}, place))
    following.end(f"{limits.float32_gflops:.0f} and {limits.bfloat16_gflops:.0f} GFLOP/s")
    found = [compare(size, order, following) for size in sizes]
    following.close()
    return Outcome(machine, limits, found)


def text_of(outcome: Outcome) -> str:
    """For a terminal."""
    return _told(outcome, aligned, heading="{}")


def section_of(outcome: Outcome, *, command: str) -> str:
    """For docs/performance.md."""
    return f"`{command}`\n\n" + _told(outcome, markdown, heading="### {}")


def _told(outcome: Outcome, render: Callable[[Table], str], *, heading: str) -> str:
    parts = [outcome.machine.line() + ".", tables.limits_line(outcome.limits), RATES]
    for one in outcome.found:
        parts.append(heading.format(f"{one.size}: {MEANINGS[one.size]}"))
        parts += [render(table) for table in _tables_of(one, outcome.limits)]
        parts += [tables.explored_line(one.explored)] if one.explored else []
        parts += tables.failure_lines(one.failures)
    return "\n\n".join(parts)


def _tables_of(one: Comparison, limits: Limits) -> list[Table]:
    found = [tables.seconds_table(one), tables.share_table(one, limits)] if one.ours or one.peers else []
    return [*found, tables.ratio_table(one), tables.memory_ratio_table(one)] if one.ours and one.peers else found
