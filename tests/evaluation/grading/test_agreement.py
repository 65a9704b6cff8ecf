"""Majorities and Fleiss' kappa against values worked out by hand and published ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from understudy.errors import DataError
from understudy.evaluation.grading.agreement import agreement, fleiss_kappa
from understudy.evaluation.grading.votes import majority

# Ten subjects, fourteen raters, five categories: the example of the encyclopaedias, kappa 0.210.
EXAMPLE = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_kappa_of_the_published_example():
    assert fleiss_kappa(np.array(EXAMPLE, dtype=float)) == pytest.approx(0.2099, abs=5e-5)


def test_kappa_by_hand():
    # Items YYY, YYN, NNN, YNN of three raters: P = (1 + 1/3 + 1 + 1/3) / 4 = 2/3; half of all votes are Y: P_e = 1/2.
    hand = (Fraction(2, 3) - Fraction(1, 2)) / (1 - Fraction(1, 2))
    assert fleiss_kappa(np.array([[3.0, 0], [2, 1], [0, 3], [1, 2]])) == pytest.approx(float(hand))


def test_full_agreement_is_one_and_a_single_answer_has_no_kappa():
    assert fleiss_kappa(np.array([[3.0, 0], [0, 3]])) == 1.0
    assert fleiss_kappa(np.array([[3.0, 0], [3, 0]])) is None


def test_unequal_numbers_of_raters_are_refused():
    with pytest.raises(DataError, match="equally many"):
        fleiss_kappa(np.array([[3.0, 0], [1, 1]]))


def test_missing_votes_leave_their_criterion_out_and_are_counted():
    votes = [[True] * 3, [True, True, False], [False] * 3, [True, False, False], [True, None, True]]
    found = agreement(votes)
    assert found.kappa == pytest.approx(1 / 3)
    assert (found.share, found.num_items, found.num_raters, found.num_left_out) == (pytest.approx(2 / 3), 4, 3, 1)


def test_a_grader_without_any_vote_is_no_rater():
    found = agreement([[True, None, True], [False, None, False], [True, None, False], [True, None, True]])
    # Two raters: P = 3/4; Y has 5 of 8 votes: P_e = 25/64 + 9/64 = 34/64; (48 - 34) / (64 - 34) = 14/30.
    assert (found.kappa, found.num_raters, found.num_left_out) == (pytest.approx(14 / 30), 2, 0)


def test_nothing_to_agree_on_has_no_kappa():
    assert agreement([]).kappa is None
    assert agreement([[None, None], [None, None]]).kappa is None
    assert agreement([[True, None], [False, None]]).kappa is None


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_independent_guessers_agree_by_chance_only(share):
    generator = np.random.default_rng(0)
    votes = generator.random((20_000, 3)) < 0.5 + share
    assert agreement([[bool(vote) for vote in row] for row in votes]).kappa == pytest.approx(0.0, abs=0.02)


def test_a_majority_is_more_than_half_of_all_graders():
    assert majority([True, True, False]) is True
    assert majority([False, None, False]) is False
    assert majority([True, None, False]) is None
    assert majority([True, None, None]) is None
    assert majority([True], num_graders=1) is True
    assert majority([True, True, False, False]) is None
    assert majority([]) is None
