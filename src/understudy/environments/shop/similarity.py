"""How alike two short texts are, word by word: the fuzzy match of WebShop's reward."""

from __future__ import annotations

import re

_NOT_A_WORD = re.compile(r"[\W_]+")
THRESHOLD = 85.0
"""A ratio above it is a match. Source: WebShop, arXiv:2207.01206, its published reward."""


def matches(one: str, other: str) -> bool:
    """Whether two texts are alike enough to count as the same."""
    return token_set_ratio(one, other) > THRESHOLD


def token_set_ratio(one: str, other: str) -> float:
    """0 to 100: how alike the sets of words are; 100 where one holds the other, 0 where one has no word.

    The words in common, and those with each side's other words behind them, are compared as texts; the best of the
    three comparisons counts, rounded to a whole number. Source: fuzzywuzzy's ``token_set_ratio``.

    >>> token_set_ratio("cotton shirt", "Shirt of cotton"), token_set_ratio("red", "blue"), token_set_ratio("", "")
    (100.0, 29.0, 0.0)
    """
    left, right = _words(one), _words(other)
    if not left or not right:
        return 0.0
    shared = left & right
    if shared and (not left - right or not right - left):
        return 100.0
    common = " ".join(sorted(shared))
    texts = [" ".join([common, *sorted(own - shared)]).strip() for own in (left, right)]
    pairs = [(texts[0], texts[1]), *((common, text) for text in texts if shared)]
    return float(max(round(100 * _ratio(*pair)) for pair in pairs))


def _ratio(one: str, other: str) -> float:
    """Twice the length of the longest common subsequence over the length of both."""
    row = [0] * (len(other) + 1)
    for letter in one:
        before = 0
        for place, candidate in enumerate(other, start=1):
            before, row[place] = row[place], before + 1 if letter == candidate else max(row[place], row[place - 1])
    return 2 * row[-1] / (len(one) + len(other))


def _words(text: str) -> set[str]:
    return set(_NOT_A_WORD.sub(" ", text.lower()).split())
