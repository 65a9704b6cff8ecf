"""What older weights cost, and what a correction brings: the testbed's student drawn some steps behind.

python -m benchmarks.staleness out.jsonl                      # goes on where the file ends; about 6 CPU seconds a run
python -m benchmarks.staleness out.jsonl --staleness 0 1 4 --corrections none ratio --seeds 0 1 2 3 4
python -m benchmarks.staleness out.jsonl --table              # no runs: the table of what the file has

OPD of recipes/testbed-opd.yaml in small: 20 steps of 16 rollouts at a constant learning rate that is high enough for a
few steps to matter. Measured after the last step on 50 held-out problems: KL(S||T) a token over the student's own
answers, and the share of greedy answers that are right. A mean is over seeds, its interval 95 % by Student's t over
them; a difference is of the same seeds, paired.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student_t

from understudy import api
from understudy.recipe import load_recipe
from understudy.training import metric_lines
from understudy.training.progress import Silent

RECIPE = Path(__file__).parents[1] / "recipes" / "testbed-opd.yaml"
HELD_OUT = "dataset: testbed/multiplication, split: eval, limit: 50, max_completion_length: 72"
NUMERIC = r"verifier: {kind: numeric, extract: '#(\d+)\s*$'}"
SUITES = f"[{{name: kl, kind: reverse_kl, {HELD_OUT}}}, {{name: greedy, temperature: 0, {NUMERIC}, {HELD_OUT}}}]"
KEYS = ("staleness", "correction", "seed", "learning_rate", "cap")


def overrides_of(arm: dict[str, Any], folder: Path) -> list[str]:
    overlap = f"{{max_staleness: {arm['staleness']}, correction: {arm['correction']}, cap: {arm['cap']}}}"
    return [
        f"output={folder}",
        f"seed={arm['seed']}",
        "reference=null",
        "steps=20",
        f"rollout={{prompts_per_step: 8, num_generations: 2, max_completion_length: 72, overlap: {overlap}}}",
        f"optimizer={{learning_rate: {arm['learning_rate']}, schedule: constant}}",
        f"evaluation={{before: false, teacher: false, suites: {SUITES}}}",
        "checkpoint.every=1000",
    ]


def run(arm: dict[str, Any]) -> dict[str, Any]:
    """One run's figures."""
    with tempfile.TemporaryDirectory() as folder:
        done = api.train(load_recipe(RECIPE, overrides_of(arm, Path(folder))), display=Silent())
        assert done.summary is not None, "nobody stopped it"
        suites: Any = done.summary["suites"]
        lines = metric_lines.read(done.path / "metrics.jsonl")[-10:]
    drift = [value for line in lines if (value := line.get("staleness/log_ratio")) is not None]
    capped = [value for line in lines if (value := line.get("staleness/capped")) is not None]
    return {
        **arm,
        "kl": suites["kl"]["after"]["mean"],
        "greedy": suites["greedy"]["after"]["mean"],
        "log_ratio": fmean(drift) if drift else 0.0,
        "capped": fmean(capped) if capped else 0.0,
    }


def arms(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for staleness in chosen.staleness:
        for correction in chosen.corrections if staleness else ["ratio"]:
            for seed in chosen.seeds:
                values = (staleness, correction, seed, chosen.learning_rate, chosen.cap)
                found.append(dict(zip(KEYS, values, strict=True)))
    return found


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{fmean(values):.3f}"
    half = float(student_t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):.3f} [{fmean(values) - half:.3f}, {fmean(values) + half:.3f}]"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """An arm a line, with its difference to ``none`` of the same staleness and seeds."""
    by_arm: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_arm.setdefault((row["learning_rate"], row["staleness"], row["correction"]), {})[row["seed"]] = row
    lines = [
        "| rate | staleness | correction | seeds | KL(S‖T) | KL less that of none | greedy right | log ratio | capped |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for (rate, staleness, correction), seeds in sorted(by_arm.items(), key=lambda pair: str(pair[0])):
        none = by_arm.get((rate, staleness, "none"), {})
        both = [seed for seed in seeds if seed in none and correction != "none"]
        less = interval([seeds[seed]["kl"] - none[seed]["kl"] for seed in both]) if both else ""
        kl, right = (interval([row[key] for row in seeds.values()]) for key in ("kl", "greedy"))
        drift, capped = (fmean(row[key] for row in seeds.values()) for key in ("log_ratio", "capped"))
        name = correction if staleness else ""
        lines.append(
            f"| {rate:g} | {staleness} | {name} | {len(seeds)} | {kl} | {less} | {right} | {drift:.3f} | {capped:.3f} |"
        )
    return "\n".join(lines)


def known(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--staleness", type=int, nargs="+", default=[0, 1, 4])
    parser.add_argument("--corrections", nargs="+", default=["none", "ratio"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--cap", type=float, default=2.0)
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args(arguments)
    found = known(chosen.file)
    have = {tuple(row[key] for key in KEYS) for row in found}
    for arm in [] if chosen.table else arms(chosen):
        if tuple(arm[key] for key in KEYS) not in have:
            row = run(arm)
            with chosen.file.open("a") as file:
                print(json.dumps(row), file=file, flush=True)
            print(json.dumps(row), flush=True)
    print(table(known(chosen.file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
