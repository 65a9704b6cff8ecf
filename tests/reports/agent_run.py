"""A run of an agent made by hand: two saved steps, three episodes each, every figure known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from tests.reports.hand_made import HOSTILE, byte_tokenizer, estimate
from understudy.rollouts import Origin

STEPS = 16


def deed(observation: str, action: str, **wrong: bool) -> dict[str, object]:
    flags = dict.fromkeys(("malformed", "inadmissible", "repeated"), False)
    return {"observation": observation, "action": action, **flags, **wrong}


def turn(
    said: str, *, done: dict[str, object] | None, gap: float, weight: float | None, tokenizer: Tokenizer
) -> dict[str, Any]:
    """Token log-probs: the student's -2, the teacher's ``gap`` above; every token weighs ``weight``."""
    ids = tokenizer.encode(said).ids
    count = len(ids)
    return {
        "turn_reward": -0.1 if done and done["inadmissible"] else 0.0,
        "turn_finish_reason": "stop",
        "prompt": "prompt",
        "completion": said,
        "prompt_ids": [1],
        "completion_ids": ids,
        "origin": [int(Origin.STUDENT)] * count,
        "behaviour_logprob": [-2.0] * count,
        "weight_version": [0] * count,
        "shown": json.dumps([{"role": "user", "content": f"prompt with {said}"}]),
        "deed": None if done is None else json.dumps(done),
        "student_logprob": [-2.0] * count,
        "teacher_logprob": [-2.0 + gap] * count,
        **({} if weight is None else {"policy/turn_weight": [weight] * count}),
    }


def episodes(tokenizer: Tokenizer, *, weight: float | None = 0.5, deeds: bool = True) -> list[dict[str, Any]]:
    """Lengths 3 (won after a slip), 1 (won) and 4 (lost); the gap is 1, 2, 3, ... by turn."""
    acts = (
        (True, [deed("a shelf", "fly", inadmissible=True), deed("a shelf", "look"), deed("a mug", HOSTILE)]),
        (True, [deed("a mug", "take mug")]),
        (False, [deed("a wall", "look"), *[deed("a wall", "look", repeated=True)] * 3]),
    )
    rows = []
    for index, (won, done) in enumerate(acts):
        for place, act in enumerate(done):
            columns = turn(
                str(act["action"]),
                done=act if deeds else None,
                gap=float(place + 1),
                weight=weight,
                tokenizer=tokenizer,
            )
            rows.append(
                {
                    "rollout": index, "key": index, "group": 0, "problem": f"game-{index}", "domain": "house/heat",
                    "reward": 10.0 * won, "correct": won, "finish_reason": "environment", "extra": "{}",
                    "turn": place, **columns,
                }
            )  # fmt: skip
    return rows


def write_step(run: Path, step: int, rows: list[dict[str, Any]]) -> Path:
    file = run / "rollouts" / f"step-{step:06d}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([{**row, "step": step} for row in rows]), file)
    return file


def figures(step: int) -> dict[str, float | None]:
    """A healthy course; one step without any contrast of rewards."""
    part, noise = step / (STEPS - 1), 0.01 * math.sin(7 * step)
    return {
        "hybrid/kl_coef": 1 - 0.9 * part,
        "hybrid/rl_coef": 0.1 + 0.9 * part,
        "hybrid/opd_rl_ratio": None if step == 3 else 4.0 - 3.6 * part,
        "tdur/mean_weight": 0.6 + noise,
        "tdur/active_ratio": 0.7,
        "kl/reverse_k1": 2.0 - part + noise,
        "entropy/sampled": 1.2 - 0.4 * part,
        "reward": 2.0 + 6 * part + noise,
        "accuracy": 0.2 + 0.6 * part + noise,
        "accuracy/house/heat": 0.5,
        "rollouts/mean_turns": 9.0 - 3 * part,
        "actions/malformed_rate": 0.0,
        "actions/inadmissible_rate": 0.1,
        "actions/repeated_rate": 0.05,
        "gap/teacher_student": 1.0,
        "time/sample": 1.0,
        "time/sampler_idle_share": 0.1,
    }


def make_agent_run(run: Path, **changes: float) -> Path:
    """The whole folder; ``changes`` are added to a figure of the last half of the steps, dots for slashes in names."""
    run.mkdir(parents=True)
    tokenizer = byte_tokenizer()
    recipe = f"name: agent\nsteps: {STEPS}\nobjective: {{method: atod}}\ncheckpoint: {{keep_best: seen}}\n"
    (run / "recipe.yaml").write_text(recipe)
    (run / "environment.json").write_text("{}")
    lines = []
    for step in range(STEPS):
        line = figures(step)
        for name, more in changes.items():
            name = name.replace("__", "/")
            if step >= STEPS // 2:
                line[name] = (line[name] or 0.0) + more
        lines.append(json.dumps({"step": step, **line}))
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (run / "evaluation").mkdir()
    points = [
        {"step": s, "eval/seen/mean": m, "eval/seen/low": m - 0.1, "eval/seen/high": m + 0.1}
        for s, m in ((0, 0.2), (8, 0.7), (16, 0.6))
    ]
    (run / "evaluation" / "figures.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    suite = {
        "better": "higher", "before": estimate(0.2, 0.1, 0.3), "after": estimate(0.6, 0.5, 0.7),
        "lengths": {
            "before": {"mean_turns": 9.0, "mean_tokens": 40.0}, "after": {"mean_turns": 6.0, "mean_tokens": 30.0},
        },
    }  # fmt: skip
    at_best = {"better": "higher", **estimate(0.7, 0.6, 0.8), "mean_turns": 5.5, "mean_tokens": 28.0}
    summary = {
        "name": "agent", "method": "atod", "seed": 0, "steps": STEPS, "seconds": 10.0,
        "suites": {"seen": suite, "unseen": suite},
        "best": {"step": 8, "chosen_on": "seen", "suites": {"seen": at_best, "unseen": at_best}},
    }  # fmt: skip
    (run / "summary.json").write_text(json.dumps(summary))
    for step in (0, STEPS - 1):
        write_step(run, step, episodes(tokenizer, weight=0.5 if step else 0.25))
    folder = run / "checkpoints" / f"step-{STEPS:06d}" / "model"
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return run
