"""Padding contexts to like length against packing them: the same states and gradients, taking turns in one process.

CPU seconds, which others on the machine disturb less than the clock on the wall.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from understudy.bench.speed.workload import SIZES, random_model
from understudy.models.architectures import why_not_packed
from understudy.models.forward import MicroBatch, hidden_rows, plan_forward
from understudy.models.packing import packed_budget, pays_to_pack

TOKENS, BUDGET = 5600, 8192
SHAPES = {"student": (128, 4), "teacher": (256, 8)}


def length_cases() -> dict[str, list[int]]:
    """Contexts of about ``TOKENS`` tokens together: all alike, as sizes S and SV make them, short ones, a long tail."""
    generator = torch.Generator().manual_seed(0)

    def until_full(draw: Callable[[], float]) -> list[int]:
        lengths: list[int] = []
        while sum(lengths) < TOKENS:
            lengths.append(max(2, int(draw())))
        return lengths

    def uniform(low: int, high: int) -> Callable[[], float]:
        return lambda: float(torch.randint(low, high + 1, (), generator=generator))

    def log_normal(median: float, spread: float) -> Callable[[], float]:
        return lambda: min(2048.0, median * float(torch.randn((), generator=generator).mul(spread).exp()))

    return {
        "fixed 175": [175] * (TOKENS // 175),
        "S: 168..182": until_full(uniform(168, 182)),
        "SV: 42..182": until_full(uniform(42, 182)),
        "short: 8..40": until_full(uniform(8, 40)),
        "tail: median 120": until_full(log_normal(120.0, 1.0)),
        "tail: median 400": until_full(log_normal(400.0, 0.8)),
    }


def seconds(model: torch.nn.Module, batches: list[MicroBatch], *, learns: bool, autocast: bool) -> float:
    """One pass over all micro-batches, backward included where ``learns``."""
    began = time.process_time()
    with nullcontext() if learns else torch.no_grad():
        for batch in batches:
            states = hidden_rows(model, batch, autocast=autocast)
            if learns:
                states.backward(torch.ones_like(states))
    model.zero_grad(set_to_none=True)
    return time.process_time() - began


def plan(lengths: list[int], model: torch.nn.Module, *, packs: bool) -> list[MicroBatch]:
    """Every context with its last 128 positions wanted, always packed or never."""
    generator = torch.Generator().manual_seed(1)
    contexts = [torch.randint(1, 512, (length + 1,), generator=generator) for length in lengths]
    rows = [(c, p) for c, length in enumerate(lengths) for p in range(max(1, length - 127), length + 1)]
    context, position = torch.tensor(rows).unbind(1)
    decide = pays_to_pack
    plan_forward.__globals__["pays_to_pack"] = lambda *_, **__: packs
    try:
        return plan_forward(contexts, context, position, token_budget=BUDGET, model=model)
    finally:
        plan_forward.__globals__["pays_to_pack"] = decide


def compare(model: torch.nn.Module, lengths: list[int], *, rounds: int, **mode: bool) -> tuple[float, list[float]]:
    """Seconds of padding (median), and padding's seconds over packing's, a pair a round."""
    both = [plan(lengths, model, packs=packs) for packs in (False, True)]
    for batches in both:  # a first time, for the allocator and the product library
        seconds(model, batches, **mode)
    pairs = [tuple(seconds(model, batches, **mode) for batches in both) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), sorted(a / b for a, b in pairs)


def main() -> None:
    """Print a table row for every case, model, precision and direction."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| contexts | model, precision, pass | padded, s | padded / packed: median (smallest, largest) | chosen |")
    print("|---|---|---|---|---|")
    room = packed_budget(BUDGET, torch.device("cpu"))
    for name, lengths in length_cases().items():
        chosen = "packed" if pays_to_pack(lengths, padded_tokens=BUDGET, packed_tokens=room) else "padded"
        for label, model, mode in models():
            padded, ratios = compare(model, lengths, rounds=given.rounds, **mode)
            told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
            print(f"| {name} ({len(lengths)}) | {label} | {padded:.3f} | {told} | {chosen} |", flush=True)


def models() -> list[tuple[str, torch.nn.Module, dict[str, bool]]]:
    """The passes a step makes: the teacher's scores, and the student's gradient, in both precisions."""
    size = SIZES["S"]
    made = []
    for precision in ("float32", "bfloat16"):
        half = precision == "bfloat16"
        teacher = random_model(size, SHAPES["teacher"], seed=1).eval()
        student = random_model(size, SHAPES["student"], seed=0).eval()
        teacher = teacher.to(torch.bfloat16) if half else teacher
        for model in (teacher, student):
            model.config.max_position_embeddings = 4096
            assert why_not_packed(model) is None
        made.append((f"teacher, {precision}, forward", teacher, {"learns": False, "autocast": False}))
        made.append((f"student, {precision}, forward and backward", student, {"learns": True, "autocast": half}))
    return made


if __name__ == "__main__":
    main()
