"""A workload small enough to count its products by hand."""

from __future__ import annotations

import pytest

from tests.bench.speed.hand_made_speeds import measured
from understudy.bench.speed.limits import Limits
from understudy.bench.speed.limits import measure as measure_limits
from understudy.bench.speed.shares import layer_parameters, shares_of, work_of
from understudy.bench.speed.workload import SIZES, Size, random_model

SIZE = Size((64, 1), (128, 2), vocab_size=100, batch=2, completion_length=6, prompt_lengths=(4, 4))
# 2 sequences of 4 + 6 tokens: 20 tokens, of length 10; 12 completion tokens.
STUDENT_LAYERS = 20 * (2 * 12 * 64**2 + 2 * 64 * 10)
TEACHER_LAYERS = 20 * (2 * 12 * 128**2 * 2 + 2 * 2 * 128 * 10)
STUDENT_HEAD, TEACHER_HEAD = 2 * 12 * 100 * 64, 2 * 12 * 100 * 128


def test_the_layers_have_the_parameters_of_the_models():
    for shape in (SIZES["M"].student, SIZES["S"].teacher):
        model = random_model(SIZES["mini"], shape, seed=0)
        matrices = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
        assert layer_parameters(shape) == matrices


def test_the_work_of_a_step_by_hand():
    work = work_of(SIZE, 12, full_vocabulary=False)
    assert work.student_layers == STUDENT_LAYERS and work.teacher_layers == TEACHER_LAYERS
    assert work.student_head == STUDENT_HEAD and work.teacher_head == TEACHER_HEAD
    assert work.student_parameters == 12 * 64**2 + 100 * 64


def test_a_float32_step_reaches_half_of_the_limit_in_each_part():
    limits = Limits(float32_gflops=1e-3, bfloat16_gflops=1e-2, copy_gb_per_second=1e-3)
    sample = (STUDENT_LAYERS + STUDENT_HEAD) / 1e6
    teacher = (TEACHER_LAYERS + TEACHER_HEAD) / 1e6
    optimizer = 28 * (12 * 64**2 + 100 * 64) / 1e6
    seconds = {"sample": 2 * sample, "teacher": 2 * teacher, "optimizer": 2 * optimizer}
    seconds |= {"forward": sample, "loss": 2 * sample, "backward": 3 * sample}
    shares = shares_of(measured(sum(seconds.values()), tokens=12, **seconds), SIZE, "opd-float32", limits)
    assert {name: share.share for name, share in shares.items()} == pytest.approx(
        dict.fromkeys(("sample", "teacher", "update", "optimizer", "step"), 0.5)
    )


def test_bfloat16_products_count_at_their_rate_and_the_teachers_head_with_the_full_vocabulary_loss():
    limits = Limits(float32_gflops=1e-3, bfloat16_gflops=1e-2, copy_gb_per_second=1)
    shares = shares_of(measured(1.0, tokens=12), SIZE, "gkd-bfloat16", limits)
    assert shares["teacher"].limit == pytest.approx(TEACHER_LAYERS / 1e7)
    update = 3 * (STUDENT_LAYERS / 1e7 + STUDENT_HEAD / 1e6) + TEACHER_HEAD / 1e7
    assert shares["update"].limit == pytest.approx(update)


def test_limits_are_rates_that_a_machine_can_have(monkeypatch):
    monkeypatch.setattr("understudy.bench.speed.limits._WIDTHS", (128,))
    monkeypatch.setattr("understudy.bench.speed.limits._COPIED_MIB", 8)
    found = measure_limits(threads=1, clock="wall")
    assert 0.05 < found.float32_gflops < 1e4 and 0.005 < found.bfloat16_gflops < 1e5
    assert 0.05 < found.copy_gb_per_second < 2000
    assert found.gflops("float32") == found.float32_gflops and found.gflops("bfloat16") == found.bfloat16_gflops
