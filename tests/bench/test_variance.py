"""The command's figures and tables."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Understudy
from understudy.bench.chain import Moments, moments, random_chain
from understudy.bench.variance import VarianceFound, measure, section_of, tables_of


def test_figures_are_means_over_the_chains() -> None:
    found = measure(longest=3, num_chains=2, discounts=(0.0, 1.0))
    expected = sum(moments(random_chain(seed), 3, discount=0.0).variance for seed in range(2)) / 2
    assert found.moments[0.0][2].variance == pytest.approx(expected, rel=1e-12)
    assert [one.bias for one in found.moments[1.0]] == [0, 0, 0]


def test_growth_is_the_slope_between_half_the_length_and_the_whole() -> None:
    column = [Moments(bias=0, signal=1, variance=v, bound=b) for v, b in ((1, 1), (3, 4), (9, 9), (24, 64))]
    found = VarianceFound((1, 2, 3, 4), 1, {0.0: column})
    assert found.growth(0.0) == pytest.approx(3)  # 3 -> 24 while 2 -> 4
    assert found.growth(0.0, "bound") == pytest.approx(4)


def test_more_discounted_is_less_biased_and_less_certain() -> None:
    """The trade that the paper is about, exact here: bias falls and variance rises with the discount."""
    found = measure(longest=6, num_chains=4)
    last = [column[-1] for column in found.moments.values()]
    assert [one.bias for one in last] == sorted((one.bias for one in last), reverse=True)
    assert [one.variance for one in last] == sorted(one.variance for one in last)
    assert found.growth(0.0) < found.growth(1.0)


def test_tables_show_powers_of_two_and_the_longest() -> None:
    tables = tables_of(measure(longest=5, num_chains=1, discounts=(0.0, 0.5)))
    assert tables["Bias"][0] == ["discount", "T = 1", "T = 2", "T = 4", "T = 5"]
    assert [row[0] for row in tables["Bias"][1:]] == ["gradient's norm", "0", "0.5"]
    assert tables["Variance (bound)"][0][-1] == "growth, bound's growth"


def test_the_command_prints_json_and_a_section(understudy: Understudy) -> None:
    ended = understudy("bench", "variance", "--longest", 3, "--chains", 2, "--json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert len(content["rows"]) == 6 * 3 and content["num_chains"] == 2
    assert content["growth"]["0"]["variance"] < content["growth"]["1"]["variance"]
    section = understudy("bench", "variance", "--longest", 2, "--chains", 1, "--markdown").out
    assert "    understudy bench variance --longest 2 --chains 1 --markdown" in section
    assert section.startswith("## Bias and variance")
    assert "| discount | T = 1 | T = 2 |" in section_of(measure(longest=2, num_chains=1), command="x")
