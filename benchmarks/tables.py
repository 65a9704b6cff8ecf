"""What was measured, as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.compare import Comparison, ratios
from benchmarks.measure import Measured
from benchmarks.phases import PHASES


def machine(threads: int) -> str:
    """Processor, threads and versions, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = {line.split(":")[0].strip(): line.split(":")[1].strip() for line in lines if ":" in line}
    kind = f"{facts.get('model name', platform.machine())} (family {facts.get('cpu family')}, {facts.get('model')})"
    amx = ", AMX" if "amx_bf16" in facts.get("flags", "") else ""
    packages = ", ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "trl", "understudy"))
    return f"{kind}{amx}, {os.cpu_count()} cores, {threads} thread(s) on both sides; {packages}"


def seconds_table(found: Comparison) -> str:
    """Median seconds of each phase, by setting."""
    head = ["setting", *(phase.replace("_", " ") for phase in PHASES), "step", "memory MiB", "tokens"]
    rows = [
        [f"{side} {setting}", *(f"{_median(runs, phase):.3f}" for phase in (*PHASES, "total")), *_rest(runs)]
        for side, settings in (("Understudy", found.ours), ("TRL", found.peers))
        for setting, runs in settings.items()
    ]
    return _table(head, rows)


def ratio_table(found: Comparison) -> str:
    """Their step over ours: median over rounds, and the smallest and largest."""
    rows = [
        [setting, *("{:.2f} ({:.2f} to {:.2f})".format(*ratios(runs, theirs)) for theirs in found.peers.values())]
        for setting, runs in found.ours.items()
    ]
    return _table(["Understudy", *(f"TRL {setting}" for setting in found.peers)], rows)


def explored_line(found: Comparison) -> str:
    """Seconds of every setting of the peer that was tried."""
    return "TRL, all settings tried: " + ", ".join(f"{name} {s:.2f} s" for name, s in found.explored.items()) + "."


def memory_table(peaks: Mapping[tuple[str, str], Sequence[float]], rows: Sequence[int]) -> str:
    """Peaks in MiB by (loss, side) and rows."""
    body = [[f"{loss}, {side}", *(f"{peak:.0f}" for peak in values)] for (loss, side), values in peaks.items()]
    return _table(["MiB", *(f"{count:,} tokens" for count in rows)], body)


def _median(runs: Sequence[Measured], phase: str) -> float:
    return statistics.median(one.seconds[phase] for one in runs)


def _rest(runs: Sequence[Measured]) -> list[str]:
    memory, tokens = (statistics.median(getattr(one, name) for one in runs) for name in ("memory_mib", "tokens"))
    return [f"{memory:.0f}", f"{tokens:.0f}"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
