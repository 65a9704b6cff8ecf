"""Schedules at their ends: the last step has the last value, a run of one step too, and nothing goes past it."""

from __future__ import annotations

import pytest

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext
from understudy.objectives.schedules import cosine, linear


@pytest.mark.parametrize("schedule", [linear, cosine])
def test_ends_by_hand(schedule):
    whole, window = schedule(3.0, 1.0), schedule(3.0, 1.0, over_steps=4)
    assert [whole(PlanContext(step, 5)) for step in (0, 2, 4)] == pytest.approx([3, 2, 1])
    assert [window(PlanContext(step, 100)) for step in (0, 2, 4, 5, 99)] == pytest.approx([3, 2, 1, 1, 1])
    assert [window(PlanContext(step, 3)) for step in (0, 2)] == pytest.approx([3, 2])  # the run ends first


@pytest.mark.parametrize("schedule", [linear, cosine])
def test_a_run_of_one_step_is_at_its_last(schedule):
    assert schedule(3.0, 1.0)(PlanContext(0, 1)) == 1.0
    assert schedule(3.0, 1.0, over_steps=0)(PlanContext(0, 9)) == 1.0


def test_an_end_before_the_start_is_refused():
    with pytest.raises(RecipeError, match="ends before it starts"):
        linear(1.0, 0.0, over_steps=-1)
