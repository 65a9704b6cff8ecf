"""The task: both manners are right, one verifier reads both, and training never sees a held-out problem."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from understudy.tasks import verifier_from
from understudy.testbed.datasets import VERIFIER
from understudy.testbed.multiplication import (
    MAX_COMPLETION_TOKENS,
    Problem,
    carried_solution,
    draw_problems,
    foreign_solution,
)

problems = st.builds(Problem, st.integers(100, 99999), st.integers(2, 9))
MANNERS = (carried_solution, foreign_solution)


def test_manners_by_hand() -> None:
    problem = Problem(4736, 8)
    assert problem.prompt == "4736*8:"
    assert carried_solution(problem) == "6*8+0=48;3*8+4=28;7*8+2=58;4*8+5=37;#37888"
    assert foreign_solution(problem) == "#37888"


@given(problems)
def test_every_written_step_is_true(problem: Problem) -> None:
    steps = carried_solution(problem).rpartition("#")[0].split(";")[:-1]
    assert len(steps) == len(str(problem.multiplicand))
    for step in steps:
        digit, multiplier, carry, total = map(int, re.findall(r"\d+", step))
        assert digit * multiplier + carry == total


@given(problems)
def test_carried_steps_spell_the_answer(problem: Problem) -> None:
    """The last digits of the steps, read upwards with the last carry, are the product."""
    totals = re.findall(r"=(\d+);", carried_solution(problem))
    spelt = totals[-1] + "".join(total[-1] for total in reversed(totals[:-1]))
    assert spelt == problem.answer == str(problem.multiplicand * problem.multiplier)


def read(completion: str) -> str | None:
    verify = verifier_from(VERIFIER, None)
    assert verify is not None
    return verify(completion, {"answer": "0"}).parsed


@given(problems)
def test_the_verifier_reads_both_manners(problem: Problem) -> None:
    for manner in MANNERS:
        assert read(manner(problem)) == problem.answer
        assert read(manner(problem)[:-1]) != problem.answer
    assert len(carried_solution(problem)) + 1 <= MAX_COMPLETION_TOKENS


def test_answers_that_are_none() -> None:
    assert read("") is None
    assert read("3*8+0=24;") is None
    assert read("#") is None
    assert read("#12;") is None  # the completion must end with it
    assert read("#12#34") == "34"
    assert read("x#7 ") == "7"


def test_splits_share_no_problem() -> None:
    train = set(itertools.islice(draw_problems("train", seed=1), 5000))
    held_out = set(itertools.islice(draw_problems("eval"), 1000))
    assert len(held_out) > 900
    assert not train & held_out
    assert all(problem.held_out for problem in held_out) and not any(problem.held_out for problem in train)


def test_split_is_one_in_eight_whatever_the_length() -> None:
    for digits in (3, 4, 5):
        drawn = [Problem(number, 7) for number in range(10 ** (digits - 1), 10**digits, 7 ** (digits - 3))]
        share = sum(problem.held_out for problem in drawn) / len(drawn)
        assert 0.08 < share < 0.17


def test_lengths_and_multipliers_are_drawn_evenly() -> None:
    drawn = list(itertools.islice(draw_problems("train"), 4000))
    lengths = Counter(len(str(problem.multiplicand)) for problem in drawn)
    assert set(lengths) == {3, 4, 5} and min(lengths.values()) > 1200
    multipliers = Counter(problem.multiplier for problem in drawn)
    assert set(multipliers) == set(range(2, 10)) and min(multipliers.values()) > 400


def test_drawing_is_repeatable_and_seeded() -> None:
    first = list(itertools.islice(draw_problems("train", seed=3), 50))
    assert first == list(itertools.islice(draw_problems("train", seed=3), 50))
    assert first != list(itertools.islice(draw_problems("train", seed=4), 50))
