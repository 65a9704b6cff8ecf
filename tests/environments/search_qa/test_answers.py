"""Exact match."""

from __future__ import annotations

import pytest

from understudy.environments.search_qa import exact_match, last_answer, normalised


@pytest.mark.parametrize(
    ("said", "golds", "right"),
    [
        ("14 December 1972", ["14 December 1972 UTC", "december 14 1972", "14 december, 1972"], True),
        ("An apple", ["the  apple!"], True),
        ("anapple", ["an apple"], False),
        ("theatre", ["atre"], False),
        ("U.S.A.", ["usa"], True),
        ("Paris, France", ["Paris"], False),
        ("the", ["a"], False),
        ("", [""], False),
    ],
)
def test_by_hand(said, golds, right) -> None:
    assert exact_match(said, golds) is right


def test_normalising_twice_changes_nothing() -> None:
    assert normalised(normalised("The A-Team's (an) Album")) == normalised("The A-Team's (an) Album") == "ateams album"


def test_the_last_answer_counts() -> None:
    assert last_answer("<answer>1</answer><answer>\n2 </answer> 3") == "2"
    assert last_answer("<think><answer></think><answer>4</answer>") == "4"
    assert last_answer("none") is None
