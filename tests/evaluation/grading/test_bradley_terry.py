"""Strengths: the closed form of two players, the truth of simulated ones, and intervals that cover it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import DataError
from understudy.evaluation.grading.bradley_terry import Verdict, rated, strengths


def test_two_players_have_the_closed_form():
    found = strengths(np.array([[0.0, 30.0], [10.0, 0.0]]), prior=0.0)
    assert found[0] - found[1] == pytest.approx(math.log(3), abs=1e-8)
    with_prior = strengths(np.array([[0.0, 30.0], [10.0, 0.0]]), prior=0.5)
    assert with_prior[0] - with_prior[1] == pytest.approx(math.log(30.5 / 10.5), abs=1e-8)


def test_the_truth_of_four_simulated_players_is_found():
    truth = np.array([1.0, 0.3, -0.2, -1.1])
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    wins = np.zeros((4, 4))
    generator = np.random.default_rng(1)
    for i in range(4):
        for j in range(i):
            wins[i, j] = generator.binomial(4000, chance[i, j])
            wins[j, i] = 4000 - wins[i, j]
    assert strengths(wins, prior=0.0) == pytest.approx(truth, abs=0.06)


def test_a_player_that_always_won_needs_the_prior_and_strangers_cannot_be_compared():
    always = np.array([[0.0, 9.0], [0.0, 0.0]])
    assert np.isfinite(strengths(always)).all()
    with pytest.raises(DataError, match="strengths cannot be told"):
        strengths(always, prior=0.0)
    with pytest.raises(DataError, match="strengths cannot be told"):
        strengths(np.kron(np.eye(2), np.ones((2, 2)) - np.eye(2)))
    with pytest.raises(DataError, match="no verdicts"):
        rated([], 2, seed=0)


def test_intervals_cover_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(2)
    covered, rounds, chance = 0, 120, 0.65
    for number in range(rounds):
        won = generator.random(60) < chance
        verdicts = [Verdict(str(task), 0, 1, float(win)) for task, win in enumerate(won)]
        first = rated(verdicts, 2, seed=number, num_samples=200)[0]
        covered += first.low <= 0.5 * math.log(chance / (1 - chance)) <= first.high
    assert 0.87 <= covered / rounds <= 1.0  # 0.95 within four standard errors of 120 rounds


def test_ties_and_one_seed_give_the_same_interval_again():
    verdicts = [Verdict("a", 0, 1, 0.5), Verdict("b", 0, 1, 1.0), Verdict("c", 1, 0, 1.0)]
    found = rated(verdicts, 2, seed=3)
    assert found == rated(verdicts, 2, seed=3)
    assert found[0].mean == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("num_tasks", [1, 4, 40])
def test_a_sweep_does_not_show_how_strong_its_winner_is(num_tasks: int) -> None:
    verdicts = [Verdict(str(task), 0, 1, 1.0) for task in range(num_tasks) for _ in range(2 + task % 2)]
    first, second = rated(verdicts, 2, seed=0)
    games = len(verdicts)
    assert first.mean == first.high == pytest.approx(np.log((games + 0.5) / 0.5) / 2)
    unseen = 1 - 0.025 ** (1 / num_tasks)
    assert first.low == pytest.approx(np.log((games * (1 - unseen) + 0.5) / (games * unseen + 0.5)) / 2)
    assert (second.low, second.high) == pytest.approx((-first.high, -first.low))


def test_ties_everywhere_bound_both_sides() -> None:
    first, _ = rated([Verdict(str(task), 0, 1, 0.5) for task in range(30)], 2, seed=0)
    assert first.mean == pytest.approx(0) and -first.low == pytest.approx(first.high) and 0.05 < first.high < 0.2
