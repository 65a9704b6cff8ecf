"""Many answers, hanging ones among them: all answered, none lost, each rightly."""

from __future__ import annotations

import os

from benchmarks import mathematics

NUMBER = 1000 if os.environ.get("UNDERSTUDY_TEST_WHOLE") else 60


def test_all_pairs_are_answered_though_some_hang():
    given = mathematics.pairs(NUMBER, 2)
    found = mathematics.judged(given)
    assert [verdict.correct for verdict in found] == [pair.is_right for pair in given]
    hanging = [verdict.parsed for pair, verdict in zip(given, found, strict=True) if pair.gold in ("0", "1")]
    assert hanging == [None] * 2
    assert sum(verdict.parsed is None for verdict in found) == 2
    assert 0.3 * NUMBER < sum(pair.is_right for pair in given) < 0.7 * NUMBER
