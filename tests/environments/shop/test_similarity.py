"""The fuzzy match, by hand."""

from __future__ import annotations

import pytest

from understudy.environments.shop.colours import COLOURS, plain_colour
from understudy.environments.shop.similarity import matches, token_set_ratio


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("long sleeve", "Sleeve, long!", 100.0),  # the same words
        ("machine washable", "washable", 100.0),  # one holds the other
        # "abc" and "abd": two letters in order of three and three: 2 * 2 / 6
        ("abc", "abd", 67.0),
        # in common "dry"; "dry clean" against "dry fast": 2 * 5 / 17 ("dry a"); "dry" with "dry fast": 2 * 3 / 11;
        # "dry" with "dry clean": 2 * 3 / 12
        ("dry clean", "dry fast", 59.0),
        ("quick drying", "quick dry", 86.0),  # "quick dry" is 9 of 12 and 9 letters: 2 * 9 / 21
        ("", "x", 0.0),
        ("?!", "x", 0.0),
    ],
)
def test_by_hand(one, other, ratio) -> None:
    assert token_set_ratio(one, other) == token_set_ratio(other, one) == ratio


def test_a_match_is_more_than_85() -> None:
    assert matches("quick drying", "quick dry")
    # 17 of 20 letters and 20: exactly 85
    assert token_set_ratio("abcdefghijklmnopqrst", "abcdefghijklmnopqxyz") == 85.0
    assert not matches("abcdefghijklmnopqrst", "abcdefghijklmnopqxyz")


def test_longer_names_of_colours_are_looked_for_first() -> None:
    held = [(a, b) for n, a in enumerate(COLOURS) for b in COLOURS[n + 1 :] if a in b]
    assert not held
    assert plain_colour("Dark-Grey") == "gray" and plain_colour("32 inch") == "32 inch"
