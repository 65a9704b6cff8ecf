"""A miniature comparison of agents through the command line: what it leaves, and that it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.bench.agents.hand_made import tiny_house
from tests.cli.conftest import Understudy
from understudy.bench.agents import compare, house
from understudy.training import metric_lines

SMALL = ("--steps", 2, "--seeds", 1, "--games", 4, "--processes", 1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare, "HOUSE", tiny_house())
    monkeypatch.setattr(house, "QUICK", replace(house.QUICK, validation_games=3, validate_every=1, rollouts_every=1))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_three_methods_leave_results_page_and_a_ratio_from_kept_rollouts(
    understudy: Understudy, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = ("bench", "agents", "--quick", *SMALL, "--out", out, "--methods", "tcod-b2f,sdar,atod")
    ended = understudy(*given, "--json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert [row["label"] for row in content["rows"]] == ["vanilla", "recovery", "tcod-b2f", "sdar", "atod"]
    atod = content["rows"][-1]
    assert atod["final"]["over_problems"]["n"] == 4 and atod["best_steps"][0] in (1, 2)
    assert 0 < atod["turns"]["mean"] <= 3 and set(atod["by_kind"]) <= {"place", "clean", "heat"}
    assert [drift["label"] for drift in content["drifts"]] == ["tcod-b2f", "atod"]

    course = json.loads((out / "results.json").read_text())["runs"]["atod"][0]["course"]
    run = out / "runs" / "atod-seed0"
    logged = [line.get("hybrid/opd_rl_ratio") for line in metric_lines.read(run / "metrics.jsonl")]
    assert course["ratio_at"] == [0, 1]
    for kept, told in zip(course["ratio"], logged, strict=True):  # none where all attempts at each game fared alike
        assert kept == told or kept == pytest.approx(told, rel=1e-4)
    assert course["validated"] == [0, 1, 2]
    assert "Success on the way" in (out / "report.html").read_text()

    again = understudy(*given, "--markdown")
    assert again.code == 0 and "are kept from an earlier session" in again.err
    assert again.out.startswith("## Agents compared in the tiny house") and "best of validation" in again.out
    other = understudy("bench", "agents", "--quick", *SMALL[2:], "--steps", 3, "--out", out, "--methods", "sdar")
    assert other.code == 2 and "another comparison" in other.err


def test_who_is_unknown_or_named_twice_is_told(understudy: Understudy) -> None:
    unknown = understudy("bench", "agents", "--methods", "atod-no-tdurr")
    assert unknown.code == 2 and "atod-no-tdur" in unknown.err
    both = understudy("bench", "agents", "--drift", "--methods", "opd")
    assert both.code == 2 and "--drift" in both.err
