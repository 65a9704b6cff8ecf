"""What a dry run says of how rollouts will come about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import place, understudy  # noqa: F401
from understudy.build.writing_preview import WritingPreview, preview_writing
from understudy.errors import RecipeError
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.tropd import TrOPD
from understudy.objectives.schedules import linear
from understudy.objectives.synthetic import synthetic_table
from understudy.objectives.writing import ExpertReplay, RolloutMix, TeacherPrefix, TurnWindow, Writing
from understudy.recipe import recipe_from
from understudy.rollouts import Origin


def said_of(writing: Writing, **changes: Any) -> WritingPreview:
    content: dict[str, Any] = {
        "student": {"model": "student"},
        "teacher": {"model": "teacher"},
        "data": {"dataset": "data.jsonl", "teacher_text": changes.pop("teacher_text", None)},
        "rollout": {"max_completion_length": 100, "max_turns": changes.pop("max_turns", 4)},
        "objective": {"method": "opd"},
        "steps": 11,
    }
    return preview_writing(recipe_from({**content, **changes}), writing)


def test_schedules_at_the_first_middle_and_last_step() -> None:
    share = linear(1.0, 0.0)
    full = said_of(Writing(prefix=TeacherPrefix(share)))
    assert (full.prefix_lengths, full.prefix_draw, full.teacher_text) == ([100, 50, 0], "full", "teacher")
    assert full.lines() == [
        ("teacher prefix", "up to 100, 50, 0 tokens at the first, middle and last step"),
        ("teacher's text", "what the teacher writes"),
    ]
    drawn = said_of(Writing(prefix=TeacherPrefix(share, length="uniform")), teacher_text="essay", teacher=None)
    assert drawn.lines()[0][1].endswith("last step, uniform from 0")
    assert drawn.lines()[1] == ("teacher's text", "data.teacher_text")
    window = said_of(Writing(turns=TurnWindow(lambda step: 1 + step // 3)))
    assert (window.turn_limits, window.teacher_text) == ([1, 2, 4], "")
    assert window.lines() == [("turns", "at most 1, 2, 4 at the first, middle and last step")]
    replay = said_of(Writing(turns=ExpertReplay(lambda step: 1 + step // 5)))
    assert replay.turns_left == [1, 2, 3]
    assert replay.lines()[0] == ("expert replay", "all but the last 1, 2, 3 turns at the first, middle and last step")


def test_what_is_not_asked_for_is_not_said() -> None:
    assert said_of(Writing()).lines() == []
    initial = said_of(Writing(weights="initial"))
    assert initial.lines() == [("student's weights", "those before step 0, one completion an attempt")]
    assert said_of(Writing(RolloutMix(student=0.0, teacher=1.0))).lines() == [
        ("teacher's text", "what the teacher writes")
    ]


def test_what_cannot_be_done_is_refused_and_what_does_nothing_is_told() -> None:
    with pytest.raises(RecipeError, match="needs a teacher that writes"):
        said_of(Writing(prefix=TeacherPrefix(linear(1.0, 0.0))), teacher=None)
    idle = said_of(Writing(turns=ExpertReplay(lambda _: 1)), max_turns=1)
    assert idle.lines()[-1][0] == "notice" and "nothing to repeat" in idle.lines()[-1][1]


def test_a_synthetic_batch_is_half_the_teachers_where_it_begins_rollouts() -> None:
    table = synthetic_table(objective_of(TrOPD()))
    assert (table["origin"] == Origin.TEACHER).double().mean() == 0.5
    assert table["behaviour_logprob"].isnan().equal(table["origin"] == Origin.TEACHER)
    assert set(synthetic_table(objective_of(TrOPD(guidance=False)))["origin"].tolist()) == {Origin.STUDENT}


def test_the_command_prints_it(place: Any, understudy: Any) -> None:  # noqa: F811
    place.write_recipe(objective={"method": "tropd", "prefix_length": "uniform"}, steps=5)
    shown = understudy("train", "tiny.yaml", "--dry-run")
    assert shown.code == 0, shown.err
    assert "teacher prefix" in shown.out and "up to 8, 4, 0 tokens" in shown.out
    plan = json.loads(understudy("train", "tiny.yaml", "--dry-run", "--json").out)
    assert plan["writing"]["prefix_lengths"] == [8, 4, 0]
    assert plan["writing"]["prefix_draw"] == "uniform"
    assert plan["planned_rows"]["guidance"] > 0
    place.write_recipe(objective={"method": "lightning"})
    plan = json.loads(understudy("train", "tiny.yaml", "--dry-run", "--json").out)
    assert plan["writing"]["weights"] == "initial"
