"""Speed and memory options change no result: twenty steps with all of them on are twenty steps with all of them off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_files import Workplace, make_workplace
from understudy.build import assemble
from understudy.models import architectures, decode_step
from understudy.recipe.loading import recipe_from
from understudy.training.clock import Clock
from understudy.training.step import run_step

STEPS = 20
ON = {
    "micro_batch_tokens": 64,
    "head_chunk_rows": 8,
    "sampler_batch_rows": 3,
    "activation_checkpointing": "on",
    "offload": "teacher",
}
OFF = {
    "micro_batch_tokens": 1 << 20,
    "head_chunk_rows": 1 << 16,
    "sampler_batch_rows": 1 << 16,
    "activation_checkpointing": "off",
}


def curves(place: Workplace, engine: dict[str, Any], **changes: Any) -> dict[str, list[float]]:
    """The loss, the gradient's norm and the trained tokens of every step."""
    recipe = recipe_from(place.recipe(steps=STEPS, engine={"device": "cpu", "threads": 1, **engine}, **changes))
    parts = assemble(recipe).parts
    found: dict[str, list[float]] = {"loss": [], "grad_norm": [], "tokens": []}
    for step in range(STEPS):
        result = run_step(parts, step, clock=Clock(), progress=lambda _: None)
        found["loss"] += [sum(update.loss for update in result.updates)]
        found["grad_norm"] += [update.grad_norm for update in result.updates]
        found["tokens"] += [float(result.batch.table.num_tokens)]
    return found


@pytest.mark.parametrize(
    ("method", "lora"),
    [({"method": "opd"}, None), ({"method": "gkd", "beta": 0.5, "lmbda": 1.0}, {"rank": 4, "dropout": 0.2})],
    ids=["opd-full", "gkd-lora"],
)
def test_twenty_steps_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: dict[str, Any], lora: dict[str, Any] | None
) -> None:
    torch.manual_seed(0)
    place = make_workplace(tmp_path)
    student = {"model": str(tmp_path / "student"), "lora": lora}
    rollout = {"prompts_per_step": 6, "num_generations": 2, "max_completion_length": 16}
    with monkeypatch.context() as patch:  # neither fused layers nor a decoding step of our own
        patch.setattr(architectures, "quicken", lambda model: [])
        patch.setattr(decode_step, "reason_against", lambda model: "switched off")
        off = curves(place, OFF, objective=method, student=student, rollout=rollout)
    on = curves(place, ON, objective=method, student=student, rollout=rollout)
    assert on["tokens"] == off["tokens"]
    assert min(off["tokens"]) > 2 * ON["micro_batch_tokens"] / 3, "one micro-batch would prove nothing"
    assert max(off["loss"]) - min(off["loss"]) > 0.01, "nothing was learnt"
    for name in ("loss", "grad_norm"):
        worst = max(abs(a - b) for a, b in zip(off[name], on[name], strict=True))
        assert worst <= 1e-4 * max(1.0, max(map(abs, off[name]))), name
