"""Rubrics in GDPval's form and the score: values worked out by hand."""

from __future__ import annotations

import json

import pytest

from understudy.errors import DataError
from understudy.evaluation.grading.rubric import rubric_of, score_of
from understudy.tasks.office import Criterion

RUBRIC = [Criterion("a", "x", 5), Criterion("b", "y", 3), Criterion("c", "z", 2), Criterion("d", "w", -4)]


def test_gdpvals_json_is_read_with_penalties_and_missing_identifiers():
    text = json.dumps(
        [
            {"score": 2, "criterion": "Has a total.", "required": True, "rubric_item_id": "u-1", "tags": []},
            {"score": -1, "criterion": "Has typing errors."},
        ]
    )
    assert rubric_of(text) == (
        Criterion("u-1", "Has a total.", 2.0),
        Criterion("1", "Has typing errors.", -1.0),
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[", "no JSON"),
        ("[]", "no rubric_json"),
        ("{}", "no rubric_json"),
        ([3], "no score"),
        ([{"criterion": "x"}], "no score"),
        ([{"score": True, "criterion": "x"}], "no score"),
        ([{"score": float("nan"), "criterion": "x"}], "no score"),
        ([{"score": 1, "criterion": " "}], "no criterion"),
        ([{"score": -1, "criterion": "x"}], "no criterion with positive points"),
        ([{"score": 1, "criterion": "x", "rubric_item_id": 1}] * 2, "twice"),
    ],
)
def test_what_is_no_rubric_is_refused(value, said):
    with pytest.raises(DataError, match=said):
        rubric_of(value)


@pytest.mark.parametrize(
    ("met", "expected"),
    [
        ([True, True, True, False], 1.0),
        ([True, True, True, True], 0.6),
        ([False, True, False, False], 0.3),
        ([False, True, False, True], 0.0),  # -1 of 10, clipped
        ([False, False, False, False], 0.0),
    ],
)
def test_the_score_is_points_met_over_positive_points_clipped(met, expected):
    score = score_of(RUBRIC, met)
    assert score.score == pytest.approx(expected)
    assert (score.low, score.high, score.num_ungraded) == (score.score, score.score, 0)


def test_an_ungraded_criterion_is_left_out_of_both_sums_and_bounds_say_what_it_could_do():
    score = score_of(RUBRIC, [True, None, False, False], least=0.5)
    assert score.score == pytest.approx(5 / 7)  # not 5 / 10, which would count it as not met
    assert (score.low, score.high, score.num_ungraded) == (pytest.approx(0.5), pytest.approx(0.8), 1)


def test_an_ungraded_penalty_lowers_the_lower_bound_only():
    score = score_of(RUBRIC, [True, True, False, None], least=0.5)
    assert (score.score, score.low, score.high) == tuple(pytest.approx(x) for x in (0.8, 0.4, 0.8))


def test_too_little_graded_gives_no_score_and_never_a_point():
    score = score_of(RUBRIC, [True, None, False, False])  # 11 of 14 points
    assert score.score is None
    assert score_of(RUBRIC, [None] * 4) == type(score)(None, 0.0, 1.0, 4)
    assert score_of(RUBRIC, [None, None, None, False], least=0.1).score is None  # only a penalty is graded
