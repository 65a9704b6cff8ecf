"""`make bench`: a training step of Understudy against TRL, and the memory of the loss.

python -m benchmarks --ours-only --sizes S --rounds 1      # no trl needed
python -m benchmarks --threads 2 --json figures.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks import loss_memory, tables
from benchmarks.compare import Comparison, Plan, compare
from benchmarks.workload import SIZES


def main() -> None:
    """Measure and print the tables."""
    given = _arguments()
    print(f"{tables.machine(given.threads)}; {given.clock} seconds", flush=True)
    plan = Plan(given.rounds, given.steps, given.threads, given.clock, with_peer=not given.ours_only, say=_say)
    with tempfile.TemporaryDirectory() as folder:
        found = [compare(size, Path(folder) / size, plan) for size in given.sizes]
    for one in found:
        _show(one)
    if given.memory_rows:
        pairs = [(loss, side) for loss in loss_memory.LOSSES for side in ("ours", "naive")]
        peaks = {pair: [loss_memory.peak_apart(*pair, rows) for rows in given.memory_rows] for pair in pairs}
        print(f"\n## Memory of the loss, vocabulary {loss_memory.VOCABULARY:,}\n")
        print(tables.memory_table(peaks, given.memory_rows))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in found]))


def _show(found: Comparison) -> None:
    print(f"\n## {found.size}\n\n{tables.seconds_table(found)}")
    if found.peers:
        print(f"\nTRL's seconds over ours, median of the rounds (smallest to largest):\n\n{tables.ratio_table(found)}")
        print(f"\n{tables.explored_line(found)}", flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time a training step against TRL's.")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=["S", "SV", "B32"])
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each setting, taking turns")
    parser.add_argument("--steps", type=int, default=4, help="steps of a process, after one that is thrown away")
    parser.add_argument("--threads", type=int, default=1, help="of both sides")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine with other work")
    parser.add_argument("--ours-only", action="store_true", help="leave TRL out")
    parser.add_argument("--memory-rows", nargs="*", type=int, default=list(loss_memory.ROWS), help="none: skip it")
    parser.add_argument("--json", type=Path, help="also write every process's figures here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
