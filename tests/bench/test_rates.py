"""Learning rates: chosen by validation, stored, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.hand_made import DOMAINS, result
from understudy.bench.contenders import by_method
from understudy.bench.rates import StoredRates, is_stored, score_of, stored_rate, stored_rates, write_rates
from understudy.bench.settings import MATCHED, SETTINGS, Setting
from understudy.recipe.yaml_text import parse_yaml

SETTING = Setting("x", "", "s", DOMAINS, by_method(("opd",)), learning_rate=0.5)


def test_the_score_is_of_trained_domains_greedy_and_sampled_alike() -> None:
    """Greedy 0, sampled 3/4; the domain that is not trained does not count."""
    assert score_of(result("opd", 0, (1, 1, 1, 0), (0, 0, 0, 0)), SETTING) == pytest.approx(0.375)
    assert score_of(result("opd", 0, (), diverged="x"), SETTING) == -1


def test_stored_rates_say_how_they_were_found_and_fit_the_settings() -> None:
    stored = stored_rates()
    assert "understudy bench methods" in stored.how
    assert set(stored.rates) <= set(SETTINGS)
    for name, rates in stored.rates.items():
        assert set(rates.values()) <= set(SETTINGS[name].rates)


def test_without_a_stored_rate_the_unified_one_stands_in() -> None:
    assert not is_stored(SETTING, "opd") and stored_rate(SETTING, "opd") == 0.5
    known = stored_rates().rates.get("matched", {})
    assert all(stored_rate(MATCHED, label) == rate for label, rate in known.items())


def test_written_rates_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    write_rates(file, how="understudy bench methods --tuned", setting=SETTING, rates={"opd": 1e-4, "tropd": 0.001})
    read = StoredRates.model_validate(parse_yaml(file.read_text(), source="x"))
    assert read.rates == {"x": {"opd": 1e-4, "tropd": 0.001}} and read.how == "understudy bench methods --tuned"
