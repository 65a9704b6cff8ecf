"""When a run takes the sampler's log-probs for the student's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_files import make_workplace
from understudy.build import assemble
from understudy.recipe import recipe_from
from understudy.training.clock import Clock
from understudy.training.step import run_step


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_untruncated_samples_are_trusted_in_either_precision(tmp_path: Path, dtype: str) -> None:
    place = make_workplace(tmp_path)
    recipe = recipe_from(place.recipe(student={"model": str(tmp_path / "student"), "dtype": dtype}))
    parts = assemble(recipe).parts
    done = run_step(parts, 0, clock=Clock(), progress=lambda _: None)
    assert done.drift is not None and done.drift <= parts.settings.trust.bound
    assert done.batch.table["student_logprob"].equal(done.batch.table["behaviour_logprob"])


def test_truncated_samples_are_never_trusted(tmp_path: Path) -> None:
    place = make_workplace(tmp_path)
    rollout = {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 8, "top_p": 0.5}
    done = run_step(
        assemble(recipe_from(place.recipe(rollout=rollout))).parts, 0, clock=Clock(), progress=lambda _: None
    )
    assert not done.batch.table["student_logprob"].equal(done.batch.table["behaviour_logprob"])
