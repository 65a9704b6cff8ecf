"""Signals against mixtures and products of teacher and student, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from understudy.objectives.context import PlanContext
from understudy.objectives.schedules import linear
from understudy.objectives.staleness import sampler_ratio
from understudy.objectives.targets import mixture_log_ratio, product_log_ratio
from understudy.tokens import TokenTable


def table_of(student, teacher, sampler=(0.1, 0.1, 0.1)) -> TokenTable:
    columns = {"student_logprob": student, "teacher_logprob": teacher, "behaviour_logprob": sampler}
    logs = {name: torch.tensor(values, dtype=torch.float64).log() for name, values in columns.items()}
    return TokenTable({"token_id": torch.zeros(3, dtype=torch.int64), **logs}, turns={}, rollouts={})


TABLE = table_of([0.5, 0.2, 0.4], [0.1, 0.2, 0.0])


def test_the_mixture_s_ratio():
    found = mixture_log_ratio(0.25)(TABLE, PlanContext()).tolist()
    assert found == pytest.approx([math.log((0.025 + 0.375) / 0.5), 0.0, math.log(0.75)])
    assert found[1] == 0.0


def test_the_product_s_ratio_fades_into_the_teacher_s():
    slot = product_log_ratio(linear(0.8, 0.0))
    early = slot(table_of([0.5, 0.2, 0.4], [0.1, 0.2, 0.3]), PlanContext(step=0, total_steps=3)).tolist()
    assert early == pytest.approx([math.log(t) - 0.2 * math.log(s) for s, t in ((0.5, 0.1), (0.2, 0.2), (0.4, 0.3))])
    late = slot(TABLE, PlanContext(step=2, total_steps=3)).tolist()
    assert late[:2] == pytest.approx([math.log(0.2), 0.0]) and late[1] == 0.0 and math.isfinite(late[2])


def test_the_ratio_to_the_sampler_has_a_cap():
    found = sampler_ratio(2.0)(table_of([0.5, 0.15, 0.05], [1.0, 1.0, 1.0]), PlanContext()).tolist()
    assert found == pytest.approx([2.0, 1.5, 0.5])
