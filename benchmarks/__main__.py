"""`python -m benchmarks [--steps N] [--width W] ... [--json]`: seconds of each part of a training step."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time

import torch

from benchmarks.step import PARTS, Sizes, time_steps


def main() -> None:
    """Time a few steps and print the median of each part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time the parts of a training step.")
    parser.add_argument("--steps", type=int, default=5, help="measured steps, after one that is thrown away")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    for size in dataclasses.fields(Sizes):
        parser.add_argument(f"--{size.name.replace('_', '-')}", type=type(size.default), default=size.default)
    given = vars(parser.parse_args())
    sizes = Sizes(**{size.name: given[size.name] for size in dataclasses.fields(Sizes)})
    torch.set_num_threads(given["threads"])
    started = time.perf_counter()
    timing = time_steps(sizes, steps=max(1, given["steps"]))
    medians = {part: statistics.median(timing.seconds[part]) for part in PARTS}
    report = {
        **{f"{part}_seconds": round(medians[part], 4) for part in PARTS},
        "tokens_per_step": int(statistics.median(timing.tokens)),
        "tokens_per_second": round(statistics.median(timing.tokens) / sum(medians.values())),
        "threads": given["threads"],
        "total_seconds": round(time.perf_counter() - started, 2),
        **dataclasses.asdict(sizes),
    }
    print(json.dumps(report) if given["json"] else _table(report))


def _table(report: dict[str, float]) -> str:
    width = max(map(len, report))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in report.items())


if __name__ == "__main__":
    main()
