"""Learning rates: chosen by validation, stored, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.hand_made import DOMAINS, result
from understudy.bench.agents.contenders import CONTENDERS, DRIFT
from understudy.bench.agents.house import HOUSE
from understudy.bench.contenders import by_method
from understudy.bench.rates import STORED, read_rates, score_of, stored_rate, stored_rates, write_rates
from understudy.bench.settings import SETTINGS, Setting

SETTING = Setting("x", "", "s", DOMAINS, by_method(("opd",)), learning_rate=0.5)


def test_the_score_is_of_trained_domains_greedy_and_sampled_alike() -> None:
    """Greedy 0, sampled 3/4; the domain that is not trained does not count."""
    assert score_of(result("opd", 0, (1, 1, 1, 0), (0, 0, 0, 0)), SETTING) == pytest.approx(0.375)
    assert score_of(result("opd", 0, (), diverged="x"), SETTING) == -1


def test_stored_rates_say_how_they_were_found_and_fit_the_settings() -> None:
    assert "--tuned" in STORED.read_text()
    agents = stored_rates()["agents"]
    assert set(agents.rates) <= {one.name for one in (*CONTENDERS, *DRIFT)}
    assert "understudy bench agents --tuned" in agents.how and set(agents.rates.values()) <= set(HOUSE.rates)
    for name in stored_rates().keys() & SETTINGS.keys():
        stored = stored_rates()[name]
        assert "understudy bench methods" in stored.how and "--tuned" in stored.how
        assert set(stored.rates.values()) <= set(SETTINGS[name].rates)
        assert all(stored_rate(SETTINGS[name], label) == rate for label, rate in stored.rates.items())


def test_nobody_has_a_rate_in_a_setting_without_any() -> None:
    assert stored_rate(SETTING, "opd") is None


def test_written_rates_are_read_back_one_file_after_the_other(tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    write_rates(file, how="understudy bench methods --tuned", setting=SETTING.name, rates={"opd": 1e-4, "tropd": 0.001})
    first = file.read_text()
    write_rates(file, how="another", setting="y", rates={"opd": 0.5})
    file.write_text(STORED.read_text() + first + file.read_text())
    read = read_rates(file)
    assert (
        dict(read["x"].rates) == {"opd": 1e-4, "tropd": 0.001} and read["x"].how == "understudy bench methods --tuned"
    )
    assert dict(read["y"].rates) == {"opd": 0.5}
    file.write_text("# Nothing yet.\n")
    assert read_rates(file) == {}
