"""``understudy compare`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.comparing.hand_made import right, write, write_office


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results ``a.json`` and ``b.json`` of one suite, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.json", right("1" * 18 + "0" * 12))
    write(tmp_path / "b.json", right("1" * 9 + "0" * 18 + "111"))
    return tmp_path


@pytest.mark.parametrize(
    ("counts", "margin", "p"),
    [("123,20,77", "+20.9 % [8.6, 33.2]", "0.0014"), ("126, 15, 79", "+21.4 % [8.9, 33.8]", "0.0013")],
)
def test_published_counts(counts: str, margin: str, p: str, understudy: Understudy) -> None:
    ended = understudy("compare", "--counts", counts)
    assert ended.code == 0 and ended.err == ""
    assert margin in ended.out and f"p = {p}" in ended.out


def test_counts_as_json_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "understudy", "compare", "--counts", "123,20,77", "--json"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stderr == ""
    figures = json.loads(ended.stdout)
    keys = ["wins", "ties", "losses", "win_rate", "margin", "margin_low", "margin_high", "p_value"]
    assert list(figures) == keys
    assert figures["margin"] == pytest.approx(46 / 220)
    assert figures["p_value"] == pytest.approx(0.0014, abs=5e-6)


def test_two_results(two: Path, understudy: Understudy) -> None:
    out = understudy("compare", "a.json", "b.json", "--margin", 0.05).out
    assert "wins / ties / losses   9 / 18 / 3" in out
    assert "both right 9, only A 9, only B 3, neither 9; p = 0.15 (exact)" in out
    assert "mean score             A 0.6000, B 0.4000" in out
    assert "difference A - B       +0.2000 [" in out and "(BCa bootstrap over problems)" in out
    assert 'The data support "no loss larger than 0.05"' in out


def test_two_results_as_json(two: Path, understudy: Understudy) -> None:
    figures = json.loads(understudy("compare", "a.json", "b.json", "--json").out)
    assert (figures["mean_a"], figures["mean_b"]) == (pytest.approx(0.6), pytest.approx(0.4))
    assert figures["mean_difference"] == pytest.approx(0.2)
    assert -0.1 < figures["difference_low"] < 0.2 < figures["difference_high"] < 0.45
    assert (figures["a"], figures["b"], figures["suite"], figures["n"]) == ("a", "b", "sums", 30)
    assert figures["mcnemar"]["p_value"] == figures["p_value"]
    again = json.loads(understudy("compare", "a.json", "b.json", "--json").out)
    assert again == figures


def test_the_same_results_twice_are_all_ties_and_it_says_so(two: Path, understudy: Understudy) -> None:
    out = understudy("compare", "a.json", "a.json").out
    assert "wins / ties / losses   0 / 30 / 0" in out
    assert "A and B are the same results" in out
    assert "sign test              p = 1" in out


def test_what_is_missing_is_counted_and_named(two: Path, understudy: Understudy) -> None:
    write(two / "short.json", right("1" * 18 + "0" * 10))
    out = understudy("compare", "short.json", "b.json").out
    assert "missing in A           2, count as 0 there: p28, p29" in out
    assert "sums, 30 problems" in out
    out = understudy("compare", "short.json", "b.json", "--missing", "drop").out
    assert "missing in A           2, left out: p28, p29" in out
    assert "sums, 28 problems" in out


def test_office_folders(tmp_path: Path, understudy: Understudy) -> None:
    first = write_office(tmp_path / "after", {"memo": 0.75, "budget": 0.5})
    second = write_office(tmp_path / "before", {"memo": 0.25, "budget": 0.5})
    out = understudy("compare", first, second).out
    assert out.startswith("A   after\nB   before\n")
    assert "wins / ties / losses   1 / 1 / 0" in out
    assert "fewer than 20 problems" in out


def test_a_page_is_written_where_asked_and_unasked_for_office_results(two: Path, understudy: Understudy) -> None:
    out = understudy("compare", "a.json", "b.json", "--page", "pages/both.html").out
    assert "pages/both.html shows it." in out
    assert (two / "pages" / "both.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    first, second = (write_office(two / name, {"memo": 0.5}) for name in ("after", "before"))
    figures = json.loads(understudy("compare", first, second, "--json").out)
    assert figures["page"] == str(first / "against-before.html")
    assert (first / "against-before.html").is_file()
    (two / "folder.html").mkdir()
    ended = understudy("compare", "a.json", "b.json", "--page", "folder.html")
    assert ended.code == 1 and "folder.html cannot be written" in ended.err


def test_regression_against_a_run_and_against_published_figures(two: Path, understudy: Understudy) -> None:
    out = understudy("compare", "b.json", "a.json", "--regression", "--margin", 0.05, "--page", "loss.html").out
    heading, row = out.splitlines()[:2]
    assert heading.split()[:4] == ["suite", "problems", "b", "a"]
    assert row.split()[0] == "sums" and "+0.200 [" in row and " paired " in row
    assert 'The data support "no loss larger than 0.05 here".' in out
    assert "<figure" in (two / "loss.html").read_text(encoding="utf-8")
    (two / "paper.yaml").write_text("sums: {mean: 0.9, n: 500}\n")
    figures = json.loads(understudy("compare", "paper.yaml", "a.json", "--regression", "--margin", 0.02, "--json").out)
    assert figures["no_loss_on_every_suite"] is False
    assert figures["suites"][0]["paired"] is False and figures["suites"][0]["is_loss"] is True
    (two / "paper.yaml").write_text("sums: {mean: 90, n: 500}\n")
    assert_is_refused(understudy("compare", "paper.yaml", "a.json", "--regression"), "a share from 0 to 1")


def test_mistakes(two: Path, understudy: Understudy) -> None:
    write(two / "other.json", right("11"), name="other")
    write(two / "apart.json", {"q0": [1]})
    write(two / "worse.json", right("11"), better="lower")
    (two / "broken.json").write_text('{"name": "sums"')
    (two / "list.json").write_text("[1, 2]")
    (two / "empty").mkdir()
    (two / "run").mkdir()
    for name in ("recipe.yaml", "data.json"):  # a run without suites
        (two / "run" / name).write_text("{}")
    (two / "desk").mkdir()
    (two / "desk" / "results.json").write_text(
        '{"kind": "office", "suite": "desk", "tasks": [{"task_id": 1, "score": 2}]}'
    )
    for arguments, words in {
        ("a.json",): ("two results are needed",),
        ("a.json", "b.json", "--counts", "1,2,3"): ("--counts stands for two results",),
        ("--counts", "1,2"): ("wins, ties and losses", "'1,2'"),
        ("--counts", "1,2,x"): ("wins, ties and losses",),
        ("--counts", "1,-2,3"): ("negative", "(1, -2, 3)"),
        ("--counts", "0,0,0"): ("no problems",),
        ("--counts", f"{10**26},2,1"): ("beyond any comparison", "1,000,000,000"),
        ("--counts", "1,2,3", "--page", "out.html"): ("--page", "need two results"),
        ("a.json", "nowhere.json"): ("nowhere.json", "understudy evaluate"),
        ("a.json", "broken.json"): ("broken.json is not a suite's result",),
        ("a.json", "list.json"): ("list.json is not a suite's result",),
        ("a.json", "empty"): ("empty holds no results",),
        ("a.json", "run"): ("run holds no results", "understudy evaluate MODEL"),
        ("a.json", "desk"): ("results.json is not an office result", "0 to 1"),
        ("a.json", "other.json"): ("different suites", "sums and other"),
        ("a.json", "apart.json"): ("no graded problem in common",),
        ("a.json", "worse.json"): ("which score is better",),
        ("a.json", "b.json", "--missing", "guess"): ("--missing", "zero or drop"),
        ("a.json", "b.json", "--epsilon", "-1"): ("--epsilon",),
        ("a.json", "b.json", "--margin", "0"): ("--margin",),
        ("a.json", "b.json", "--confidence", "95"): ("--confidence", "0.95"),
    }.items():
        assert_is_refused(understudy("compare", *arguments), *words)
