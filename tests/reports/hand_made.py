"""A run's folder made by hand: every figure known, every text hostile."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel as Bytes

from understudy.rollouts import Origin

SCRIPT = "<script>window.pwned = 1</script>"
HOSTILE = (
    f'{SCRIPT}<img src=x onerror=\'window.pwned=2\'>" onload="x" </i></article></style>{{{{ 7 * 7 }}}}'
    f"\x1b[31mred\x00\u202eright to left\nnaïve 🙂 {'w' * 300}"
)
STEPS = 30


def byte_tokenizer() -> Tokenizer:
    """One token a byte, so that a character may be several."""
    alphabet = sorted(Bytes.alphabet())
    tokenizer = Tokenizer(BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = Bytes(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return tokenizer


def figures(step: int) -> dict[str, float | None]:
    """All kinds of figures; one value of the loss is missing."""
    falling = math.exp(-step / 8)
    return {
        "loss": None if step == 3 else falling,
        "loss/trusted": 0.7 * falling,
        f"loss/{SCRIPT}": 0.3 * falling,
        "grad_norm": 2 * falling + 0.1,
        "learning_rate": 3e-4 * (1 - step / STEPS),
        "completions/mean_length": 20.0 + step,
        "completions/min_length": 3.0,
        "completions/max_length": 60.0,
        "completions/clipped_ratio": 0.01 * (step % 3),
        "kl/reverse_k1": 2 * falling,
        "kl/k3": 1.8 * falling,
        "kl/reverse_k1/algebra": 2.5 * falling,
        "kl/reverse_k1/geometry": 1.5 * falling,
        "entropy": 1.5 - 0.02 * step,
        "teacher/entropy": 0.4,
        "reward": 1 - falling,
        "accuracy": 1 - falling,
        "gate/trusted": 0.8,
        "gate/outliers": 0.2,
        "time/sample": 0.5,
        "time/update": 0.7,
        "time/plan": 0.0001,
        "step_time": 1.2,
    }


def estimate(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high, "n": 200}


SUMMARY = {
    "name": "hand-made",
    "method": "tropd",
    "seed": 7,
    "steps": STEPS,
    "seconds": 75.5,
    "suites": {
        "greedy": {
            "better": "higher",
            "teacher": estimate(0.9, 0.85, 0.94),
            "before": estimate(0.1, 0.07, 0.15),
            "after": estimate(0.5, 0.43, 0.57),
            "paired": {
                "wins": 90,
                "ties": 100,
                "losses": 10,
                "win_rate": 0.45,
                "margin": 0.4,
                "margin_low": 0.33,
                "margin_high": 0.47,
                "p_value": 1.2e-16,
            },
        },
        "heldout_nll": {
            "better": "lower",
            "before": estimate(3.21, 3.1, 3.3),
            "after": estimate(3.2, 3.1, 3.3),
            "paired": {
                "wins": 51,
                "ties": 100,
                "losses": 49,
                "win_rate": 0.255,
                "margin": 0.01,
                "margin_low": -0.09,
                "margin_high": 0.11,
                "p_value": 0.92,
            },
        },
    },
    "baselines": {"sft": {"greedy": {"better": "higher", "after": estimate(0.3, 0.24, 0.37)}}},
}


def turn(prompt: str, completion: str, *, tokenizer: Tokenizer, advantages: Sequence[float] = ()) -> dict[str, Any]:
    """A turn's columns: token i has advantage ``advantages[i]``, then NaN; student -1, teacher -2 nats."""
    ids = tokenizer.encode(completion).ids
    count = len(ids)
    return {
        "turn_reward": 0.0,
        "turn_finish_reason": "stop",
        "prompt": prompt,
        "completion": completion,
        "prompt_ids": tokenizer.encode(prompt).ids,
        "completion_ids": ids,
        "origin": [int(Origin.STUDENT)] * count,
        "behaviour_logprob": [-1.25] * count,
        "weight_version": [0] * count,
        "student_logprob": [-1.0] * count,
        "teacher_logprob": [-2.0] * count,
        "trusted/weight": [0.5] * count,
        "trusted/advantage": [*advantages, *[math.nan] * count][:count],
    }


def rollout_row(index: int, turn_number: int | None, columns: dict[str, Any], **changes: Any) -> dict[str, Any]:
    row = {
        "rollout": index,
        "key": index,
        "group": 0,
        "problem": HOSTILE,
        "domain": SCRIPT,
        "reward": float(index % 2),
        "correct": index % 2 == 1,
        "finish_reason": "stop",
        "extra": "{}",
        "turn": turn_number,
    }
    return {**row, **columns, **changes}


def write_rollouts(run: Path, step: int, rows: Sequence[dict[str, Any]]) -> Path:
    whole, figures = pa.list_(pa.int64()), pa.list_(pa.float32())
    kinds: dict[str, pa.DataType] = {
        **dict.fromkeys(("step", "rollout", "key", "group", "turn"), pa.int64()),
        **dict.fromkeys(("problem", "domain", "finish_reason", "extra", "turn_finish_reason"), pa.string()),
        **dict.fromkeys(("prompt", "completion"), pa.string()),
        **dict.fromkeys(("reward", "turn_reward"), pa.float64()),
        "correct": pa.bool_(),
        **dict.fromkeys(("prompt_ids", "completion_ids", "weight_version"), whole),
        "origin": pa.list_(pa.int8()),
        **dict.fromkeys(("behaviour_logprob", "student_logprob", "teacher_logprob"), figures),
        **dict.fromkeys(("trusted/weight", "trusted/advantage"), figures),
    }
    file = run / "rollouts" / f"step-{step:06d}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([{**row, "step": step} for row in rows], schema=pa.schema(kinds)), file)
    return file


def make_run(run: Path, *, tokenizer: Tokenizer | None = None) -> Path:
    """The whole folder: 30 steps, two suites, three rollout files of eight rollouts, a tokenizer beside the weights."""
    tokenizer = tokenizer or byte_tokenizer()
    run.mkdir(parents=True)
    recipe = "name: hand-made\nseed: 7\nsteps: 30\nstudent: {model: some/student, lora: {rank: 8}}\n"
    recipe += "teacher: {model: some/teacher}\nobjective: {method: tropd}\noptimizer: {max_grad_norm: 1.0}\n"
    (run / "recipe.yaml").write_text(recipe)
    (run / "environment.json").write_text(json.dumps({"seed": 7, "commit": "0123456789abcdef", "versions": {}}))
    lines = [json.dumps({"step": step, **figures(step)}) for step in range(STEPS)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (run / "evaluation").mkdir()
    points = [
        {"step": s, "eval/greedy/mean": m, "eval/greedy/low": m - 0.05, "eval/greedy/high": m + 0.05}
        for s, m in ((0, 0.1), (15, 0.4), (30, 0.5))
    ]
    (run / "evaluation" / "figures.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    (run / "summary.json").write_text(json.dumps(SUMMARY))
    columns = turn("Write: ", HOSTILE, tokenizer=tokenizer, advantages=(-4.0, 2.0, 0.0, 1.0))
    again = turn("Write: " + HOSTILE + " Again: ", "done", tokenizer=tokenizer, advantages=(1.0,))
    for step in (0, 10, 20, 29):
        rows = [rollout_row(index, 0, columns) for index in range(7)]
        rows += [rollout_row(7, 0, columns), rollout_row(7, 1, again)]
        write_rollouts(run, step, rows)
    folder = run / "checkpoints" / "step-000030" / "model"
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return run


class Page(HTMLParser):
    """A page as a browser's parser would see it: its tags in order, the text inside each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._texts: dict[str, list[str]] = {}
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br"):
            self._open.append(tag)
            self._texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self._texts[tag][-1] += data

    def texts(self, tag: str) -> list[str]:
        """The text of each element of a kind, in order."""
        return self._texts.get(tag, [])

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        """Elements that have a class."""
        return [(tag, attrs) for tag, attrs in self.tags if name in (attrs.get("class") or "").split()]
