"""On-policy distillation between two tokenizer families: aligned by bytes, against leaving unaligned rows in as zeros.

    python -m benchmarks.alignment                        # three seeds of three arms; a run is half a minute, alone
    python -m benchmarks.alignment --seeds 5 --steps 40 --json figures.json

The student reads characters, its teacher byte-level pieces of up to four (``testbed/multiplication-pieces-teacher``).
Arms: ``aligned``, every token by the bytes that it stands for; ``dropped``, only tokens that are one token of both, the
others without a row; ``zeros``, the same with the others left in, a log-prob of 0.0 in place of the teacher's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

import understudy as us
from understudy.build.models import model_named
from understudy.engines.local import LocalScorer
from understudy.evaluation.statistics import Estimate, wilson_interval
from understudy.objectives.methods.opd import OPD
from understudy.objectives.needs import Needs, requires
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.protocols import Scorer, ScoreRequest, Scores
from understudy.recipe import LocalEngine, Recipe, recipe_from
from understudy.teachers.aligned import AlignedScorer
from understudy.teachers.alignment_pair import Pair, Reader
from understudy.testbed.multiplication import ANSWER_PATTERN
from understudy.training.progress import Silent

STUDENT, TEACHER = "testbed/multiplication-student", "testbed/multiplication-pieces-teacher"
ARMS = ("aligned", "dropped", "zeros")
SUITES = {"greedy": 0.0, "sampled": 1.0}
VERIFIER = {"kind": "numeric", "extract": ANSWER_PATTERN}


class ZerosElsewhere(AlignedScorer):
    """What several frameworks do: tokens without a single counterpart get a log-prob of 0.0."""

    def score(self, request: ScoreRequest) -> Scores:
        """Marks of the tokens of both; zeros for the others."""
        places = [
            self.pair.read(request.contexts[context]).places[position]
            for context, position in zip(request.context.tolist(), request.position.tolist(), strict=True)
        ]
        single = torch.tensor([place is not None and place.is_one_token for place in places], dtype=torch.bool)
        scores = super().score(request.rows(single.nonzero().squeeze(1)))
        return replace(scores, sampled=torch.zeros(len(places)).masked_scatter(single, scores.sampled))


@dataclass(frozen=True)
class Row:
    """An arm under one seed: shares of right answers by suite, and the share of tokens without a row."""

    arm: str
    seed: int
    before: dict[str, float]
    after: dict[str, float]
    unaligned: float


def main() -> None:
    """Train every arm with every seed and print the table."""
    given = _arguments()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            for arm in given.arms:
                rows.append(trained(arm, seed, Path(folder), steps=given.steps, limit=given.limit))
                print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows, given.limit))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in rows]))


def trained(arm: str, seed: int, folder: Path, *, steps: int, limit: int) -> Row:
    """One run of an arm."""
    recipe = recipe_of(arm, seed, folder, steps=steps, limit=limit)
    objective = one_to_one() if arm == "dropped" else None
    teacher = zeros_teacher() if arm == "zeros" else None
    run = us.train(recipe, objective=objective, teacher=teacher, display=Silent())
    assert run.summary is not None
    suites = run.summary["suites"]
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return Row(
        arm,
        seed,
        before={name: suites[name]["before"]["mean"] for name in SUITES},
        after={name: suites[name]["after"]["mean"] for name in SUITES},
        unaligned=statistics.fmean(line.get("rollouts/unaligned_share") or 0.0 for line in lines if "loss" in line),
    )


def recipe_of(arm: str, seed: int, folder: Path, *, steps: int, limit: int) -> Recipe:
    """The quickstart's recipe with the other teacher."""
    suite = {"dataset": "testbed/multiplication", "split": "eval", "verifier": VERIFIER, "limit": limit}
    return recipe_from(
        {
            "name": f"{arm}-{seed}",
            "output": str(folder),
            "seed": seed,
            "student": {"model": STUDENT},
            "teacher": {"model": TEACHER, "align": True},
            "data": {"dataset": "testbed/multiplication", "verifier": VERIFIER},
            "rollout": {"prompts_per_step": 32, "num_generations": 4, "max_completion_length": 72, "show_every": 0},
            "objective": {"method": "opd"},
            "optimizer": {"learning_rate": 3e-4, "schedule": "linear"},
            "steps": steps,
            "evaluation": {
                "suites": [
                    {**suite, "name": name, "temperature": temperature, "max_completion_length": 72}
                    for name, temperature in SUITES.items()
                ]
            },
            "checkpoint": {"every": steps},
            "engine": {"threads": 1, "micro_batch_tokens": 1024},
        }
    )


def one_to_one() -> Objective:
    """OPD that asks the teacher for a top-k as well, which only tokens of both vocabularies have."""
    asks = requires(needs=Needs(top_k={"teacher": 1}))(lambda table, _: torch.ones(table.num_tokens))
    return OPD().objective({"policy": policy_gradient(signal=teacher_log_ratio(), weight=asks)})


def zeros_teacher() -> Scorer:
    """The teacher whose other rows are zeros; it reads the student's contexts, whose prompts are plain text."""
    student, teacher = (model_named(name, LocalEngine()) for name in (STUDENT, TEACHER))
    pair = Pair(*(Reader(one.known_tokenizer, one.stop_ids) for one in (student, teacher)))
    return ZerosElsewhere(LocalScorer(teacher), pair, student_size=student.vocab_size, teacher_size=teacher.vocab_size)


def table(rows: Sequence[Row], problems: int) -> str:
    """Arms against suites: the mean over the seeds with Wilson's interval for that many problems, then each seed's."""
    lines = ["| | without a row | " + " | ".join(SUITES) + " |", "|---|---|" + "---|" * len(SUITES)]
    first = [row for row in rows if row.arm == rows[0].arm]
    lines.append(_line("start", "", [[row.before[name] for row in first] for name in SUITES], problems))
    for arm in dict.fromkeys(row.arm for row in rows):
        own = [row for row in rows if row.arm == arm]
        share = f"{100 * statistics.fmean(row.unaligned for row in own):.1f} %"
        lines.append(_line(arm, share, [[row.after[name] for row in own] for name in SUITES], problems))
    return "\n".join(lines)


def _line(name: str, share: str, by_suite: Sequence[Sequence[float]], problems: int) -> str:
    cells = [f"{_cell(wilson_interval(statistics.fmean(one) * problems, problems))} {_seeds(one)}" for one in by_suite]
    return f"| {name} | {share} | {' | '.join(cells)} |"


def _cell(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _seeds(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.3f}' for value in values)})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alignment")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--limit", type=int, default=300, help="problems of each suite")
    parser.add_argument("--json", type=Path, help="also write every run's figures here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
