"""What attempts cost, by the user's own table."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import DataError
from understudy.office.players import Played
from understudy.office.prices import Price, price_in


def test_tokens_read_written_and_cached_have_their_prices() -> None:
    played = Played("t", num_tokens=1000, num_prompt_tokens=5000, num_cached_tokens=4000)
    assert Price(2.0, 10.0).of(played) == pytest.approx((5000 * 2 + 1000 * 10) / 1e6)
    assert Price(2.0, 10.0, 0.5).of(played) == pytest.approx((1000 * 2 + 4000 * 0.5 + 1000 * 10) / 1e6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m: 3",
        "n: {input: 1, output: 1}",
        "m: {input: 1}",
        "m: {input: x, output: 1}",
        "m: [",
        "m: {input: -1, output: 1}",
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(DataError):
        price_in(tmp_path / "prices.yaml", "m")
