"""What was measured, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from understudy.bench.speed.comparing import Comparison, ratio_of
from understudy.bench.speed.limits import Limits
from understudy.bench.speed.phases import PHASES
from understudy.bench.speed.shares import PARTS, Share, shares_of
from understudy.bench.speed.step_job import Measured
from understudy.bench.speed.workload import SIZES
from understudy.bench.tables import Table

_SIDES = ("Understudy", "TRL")


def seconds_table(found: Comparison) -> Table:
    """Median seconds of each phase and of a step, completion tokens a second, and peak memory, by setting."""
    heading = ["seconds a step", *(phase.replace("_", " ") for phase in PHASES), "step", "tokens/s", "peak MiB"]
    return [
        heading,
        *(
            [
                f"{side} {setting}",
                *(f"{_median([one.seconds[phase] for one in runs]):.3f}" for phase in (*PHASES, "total")),
                f"{_median([one.tokens_a_second for one in runs]):,.0f}",
                f"{_median([one.memory_mib for one in runs]):,.0f}",
            ]
            for side, settings in zip(_SIDES, (found.ours, found.peers), strict=True)
            for setting, runs in settings.items()
        ),
    ]


def ratio_table(found: Comparison) -> Table:
    """TRL's seconds over ours: median over rounds, and the smallest and largest."""
    return [
        ["TRL's seconds over ours", *(f"TRL {setting}" for setting in found.peers)],
        *(
            [f"Understudy {setting}", *(_ratio(runs, theirs) for theirs in found.peers.values())]
            for setting, runs in found.ours.items()
        ),
    ]


def memory_ratio_table(found: Comparison) -> Table:
    """Our peak over TRL's, medians over rounds."""
    return [
        ["our peak over TRL's", *(f"TRL {setting}" for setting in found.peers)],
        *(
            [f"Understudy {setting}", *(f"{_peak(runs) / _peak(theirs):.2f}" for theirs in found.peers.values())]
            for setting, runs in found.ours.items()
        ),
    ]


def share_table(found: Comparison, limits: Limits) -> Table:
    """The parts of our steps: share of what the machine can do, over rounds."""
    columns = [*PARTS, "step"]
    rows = []
    for setting, runs in found.ours.items():
        shares = [shares_of(one, SIZES[found.size], setting, limits) for one in runs]
        rows.append([f"Understudy {setting}", *(_share([one[part] for one in shares]) for part in columns)])
    return [["share of the machine's limit", *columns], *rows]


def explored_line(explored: Mapping[str, float]) -> str:
    """Seconds of every setting of TRL that was tried."""
    return "TRL, settings tried: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in explored.items()) + "."


def failure_lines(failures: Mapping[str, str]) -> list[str]:
    """What did not work, and why."""
    return [f"{name} is not in the tables: {reason}." for name, reason in failures.items()]


def limits_line(limits: Limits) -> str:
    """The machine's measured limits."""
    return (
        f"Measured limits: float32 products {limits.float32_gflops:,.0f} GFLOP/s, bfloat16 products "
        f"{limits.bfloat16_gflops:,.0f} GFLOP/s, copies {limits.copy_gb_per_second:.1f} GB/s."
    )


def _ratio(runs: Sequence[Measured], theirs: Sequence[Measured]) -> str:
    ratio = ratio_of(runs, theirs)
    return f"{ratio.median:.2f} ({ratio.smallest:.2f} to {ratio.largest:.2f})"


def _share(shares: Sequence[Share]) -> str:
    return f"{100 * _median([one.share for one in shares]):.0f} %"


def _peak(runs: Sequence[Measured]) -> float:
    return _median([one.memory_mib for one in runs])


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
