"""The simulator against closed forms and by hand; the best split; laws of plans."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scaling.small import CPU, WIDE, model
from understudy.errors import UserMistakeError
from understudy.recipe import recipe_from
from understudy.scaling.hardware import PRESETS
from understudy.scaling.planning import plan_for, sweep
from understudy.scaling.resolving import models_of
from understudy.scaling.simulation import Task, run_tasks, simulate, steady_seconds
from understudy.scaling.splitting import best_choice, cost_of, ideal, splits_of
from understudy.scaling.timing import Timing

SECONDS = st.floats(0.01, 10.0)


def test_tasks_wait_for_others_and_for_a_place() -> None:
    tasks = [Task("a", 2.0), Task("a", 3.0), Task("b", 1.0, (0,)), Task("b", 1.0, (0, 1)), Task("a", 1.0, (2,))]
    one = run_tasks(tasks, {"a": 1, "b": 1})
    assert one.ends == [2.0, 5.0, 3.0, 6.0, 6.0]  # the last waits for the second of the one place in a
    two = run_tasks(tasks, {"a": 2, "b": 1})
    assert two.ends == [2.0, 3.0, 3.0, 4.0, 4.0]
    assert one.busy == two.busy == {"a": 6.0, "b": 2.0}


@given(SECONDS, SECONDS, SECONDS, st.floats(0, 1), st.floats(0, 1), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_one_pool_takes_the_sum_of_its_phases(
    sample: float, score: float, update: float, push: float, reward: float, steps: int
) -> None:
    timing = Timing(True, sample, score, update, push=push, reward=reward)
    ends = simulate(timing, steps=steps).ends
    assert ends[-1] == pytest.approx(steps * (sample + score + update + push + reward))
    assert timing.steady == pytest.approx(ends[-1] / steps)


@given(SECONDS, SECONDS, SECONDS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_pools_apart_are_never_faster_than_the_slowest_nor_slower_than_one_after_the_other(
    sample: float, score: float, update: float, samplers: int, teachers: int, pieces: int, staleness: int
) -> None:
    timing = Timing(
        False, sample, score, update, samplers=samplers, teachers=teachers, pieces=pieces, staleness=staleness
    )
    seconds = steady_seconds(timing)
    jobs = samplers * pieces
    slowest = max(sample, score / teachers, update)
    assert slowest * 0.999 <= seconds <= (sample + score + update) * 1.001
    if staleness == 0 and jobs % teachers == 0 and pieces == 1:
        assert seconds == pytest.approx(sample + score / teachers + update)
    if staleness >= 3 and jobs % teachers == 0:
        assert seconds <= max(slowest, (sample + score + update) / 2) * 1.05


def test_staleness_by_hand() -> None:
    """Sampling 4 s, scoring 1 s, update 3 s: 8 s on-policy, and 4 s, the sampler's, with steps overlapping."""
    onpolicy = Timing(False, 4.0, 1.0, 3.0)
    assert simulate(onpolicy, steps=3).ends == [8.0, 16.0, 24.0]
    stale = replace(onpolicy, staleness=1)
    assert simulate(stale, steps=4).ends == [8.0, 12.0, 16.0, 20.0]
    assert steady_seconds(stale) == stale.steady == 4.0


def test_pieces_are_scored_while_others_are_written() -> None:
    # Four pieces of 1 s each, 0.5 s to score one: only the last one's scoring is waited for.
    assert simulate(Timing(False, 4.0, 2.0, 1.0, pieces=4), steps=1).ends == [5.5]


def test_more_devices_are_never_slower() -> None:
    for one in (model(), model(prompts=64), ideal(model(prompts=64))):
        for staleness in (0, 2):
            seconds = [row.seconds or 0.0 for row in sweep(one, steps=1, staleness=staleness, numbers=(1, 2, 4, 8, 16))]
            assert all(later <= earlier * 1.02 for earlier, later in pairwise(seconds)), seconds


def test_ideal_devices_divide_the_work_among_them() -> None:
    whole = ideal(model(prompts=64))
    free = replace(whole.device, memory_rate=float("inf"))
    one, four = (best_choice(replace(whole, device=free), n, staleness=0) for n in (1, 4))
    assert one is not None and four is not None
    assert one.timing.steady == pytest.approx(4 * four.timing.steady, rel=0.01)


def test_splits_use_no_more_than_there_is_and_fit() -> None:
    for devices in (1, 3, 8, 100):
        for split in splits_of(model(), devices):
            assert 0 < split.devices <= devices
    tight = replace(model(), device=replace(CPU, memory_bytes=0.5e6))
    assert WIDE.num_parameters * 4 > 0.5e6 * 0.9 * 0.75
    assert all(split.teacher_width > 1 for split in splits_of(tight, 8)) and list(splits_of(tight, 8))
    with pytest.raises(UserMistakeError, match="the models do not fit; got 1 x 0 GB"):
        plan_for(tight, 1, steps=1)


def test_a_slow_network_makes_ranks_wait_for_it() -> None:
    slow = replace(model(), device=replace(CPU, network_rate=1e4, link_rate=1e4))
    (split,) = [one for one in splits_of(slow, 4) if one.together and one.devices == 4]
    assert cost_of(slow, split).costs["update"].bound == "network"


def test_a_plan_adds_up() -> None:
    plan = plan_for(model(), 4, steps=10)
    assert plan.split.together and plan.seconds == pytest.approx(sum(row.seconds for row in plan.rows))
    assert plan.device_hours == pytest.approx(plan.seconds * 10 * 4 / 3600)
    assert plan.tokens_a_second == pytest.approx(model().work.completion_rows / plan.seconds)
    slowest = max(plan.rows, key=lambda row: row.seconds)
    assert plan.bottleneck == f"{slowest.phase}: {slowest.bound}"
    (same,) = [row for row in plan.sweep if row.devices == 4]
    assert same.seconds == pytest.approx(plan.seconds)


def test_presets_are_ordered_as_their_generations() -> None:
    assert PRESETS["a100"].bfloat16_flops < PRESETS["h100"].bfloat16_flops
    assert PRESETS["h100"].memory_rate < PRESETS["h200"].memory_rate
    for preset in PRESETS.values():
        assert preset.rate_between(8) == preset.link_rate > preset.network_rate == preset.rate_between(9)


@pytest.mark.parametrize(("kind", "tied"), [("gemma3_text", True), ("qwen3", False), ("nobody", False)])
def test_a_configuration_that_does_not_say_whether_its_head_is_tied_is_as_its_class_has_it(
    kind: str, tied: bool, tmp_path: Path
) -> None:
    """``save_pretrained`` leaves out what is the class's own."""
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 10}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, **sizes}))
    data = {"dataset": "x.jsonl", "prompt": "{question}", "verifier": {"kind": "exact"}}
    recipe = recipe_from(
        {"student": {"model": str(tmp_path)}, "objective": {"method": "grpo"}, "data": data, "steps": 1}
    )
    assert models_of(recipe, student_config=None, teacher_config=None).student.tied is tied
