"""Two sides brought together: who wins which problem, and what becomes of problems only one side has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import understudy as us
from tests.comparing.hand_made import result, right, write, write_office
from understudy.comparing import Contest, Terms, compare_results, contest
from understudy.comparing.marks import marks_of
from understudy.comparing.words import comparison_text
from understudy.errors import DataError
from understudy.evaluation.suites import SuiteResult
from understudy.rollouts import FinishReason


def against(first: SuiteResult, second: SuiteResult, terms: Terms | None = None) -> Contest:
    return contest(marks_of(first, Path("a")), marks_of(second, Path("b")), terms or Terms())


def test_figures_by_hand() -> None:
    found = against(result(right("1110100000")), result(right("1001000001")))
    # both p0; first alone p1 p2 p4; second alone p3 p9; neither p5 p6 p7 p8
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (3, 5, 2)
    assert found.paired.p_value == pytest.approx(1.0)  # 2 * (1 + 5 + 10) / 32
    assert found.mcnemar is not None
    assert (found.mcnemar.both, found.mcnemar.only_a, found.mcnemar.only_b, found.mcnemar.neither) == (1, 3, 2, 4)
    assert (found.difference.mean_a, found.difference.mean_b) == (0.4, pytest.approx(0.3))
    assert [found.outcome(p) for p in ("p0", "p1", "p3", "elsewhere")] == ["tie", "win", "loss", "none"]


def test_epsilon_widens_the_ties() -> None:
    first = result({"x": [0.5], "y": [0.6], "z": [0.9]})
    second = result({"x": [0.45], "y": [0.65], "z": [0.2]})
    found = against(first, second, Terms(epsilon=0.1))
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (1, 2, 0)
    found = against(first, second)
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (2, 0, 1)


def test_scores_just_epsilon_apart_are_a_tie_on_either_side() -> None:
    found = against(result({"x": [0.75], "y": [0.25]}), result({"x": [0.25], "y": [0.75]}), Terms(epsilon=0.5))
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (0, 2, 0)
    assert [found.outcome(problem, epsilon=0.5) for problem in ("x", "y")] == ["tie", "tie"]


def test_lower_is_better_turns_the_wins_and_not_the_means() -> None:
    first = result({"x": [2.5], "y": [1.5]}, better="lower")
    second = result({"x": [2.25], "y": [2.75]}, better="lower")
    found = against(first, second, Terms(margin=5.0))
    assert (found.paired.wins, found.paired.losses) == (1, 1)
    assert found.difference.mean == pytest.approx(2.0 - 2.5)
    assert found.pairs.gains == pytest.approx((-0.25, 1.25))
    assert found.equivalence is not None and found.equivalence.p_loss < found.equivalence.p_gain


def test_several_samples_a_problem_have_no_mcnemar() -> None:
    found = against(result({"x": [1, 0], "y": [1, 1]}), result({"x": [1, 1], "y": [0, 0]}))
    assert found.mcnemar is None
    assert (found.paired.wins, found.paired.losses) == (1, 1)


def test_a_missing_problem_scores_nothing_or_is_left_out_and_is_named() -> None:
    first, second = result(right("111")), result({**right("1"), "extra": [1]})
    found = against(first, second)
    assert found.pairs.missing_a == ("extra",) and found.pairs.missing_b == ("p1", "p2")
    assert found.pairs.problems == ("p0", "p1", "p2", "extra")
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (2, 1, 1)
    found = against(first, second, Terms(missing="drop"))
    assert found.pairs.problems == ("p0",) and found.pairs.missing_b == ("p1", "p2")
    assert found.paired.ties == 1


def test_zero_is_no_penalty_where_lower_is_better() -> None:
    first, second = result({"x": [2.5]}, better="lower"), result({"x": [2.5], "y": [3.5]}, better="lower")
    with pytest.raises(DataError, match=r"'y' .* --missing drop"):
        against(first, second)
    assert against(first, second, Terms(missing="drop")).paired.ties == 1


def test_an_ungraded_task_is_never_a_point_for_anyone(tmp_path: Path) -> None:
    first = write_office(tmp_path / "first", {"memo": 0.75, "budget": None, "letter": 0.5})
    second = write_office(tmp_path / "second", {"memo": 0.25, "budget": 1.0, "letter": 0.5, "plan": None})
    (found,) = compare_results(first, second, Terms()).contests
    assert found.pairs.problems == ("memo", "letter")
    assert found.pairs.ungraded == ("budget", "plan")
    assert found.pairs.missing_a == ("plan",)
    assert (found.paired.wins, found.paired.ties, found.paired.losses) == (1, 1, 0)
    text = comparison_text(compare_results(first, second, Terms()))
    assert "ungraded               2, left out: budget, plan" in text


def test_suites_are_matched_by_name_and_adjusted_together(tmp_path: Path) -> None:
    for side, patterns in {"a": ("1" * 8, "11111100"), "b": ("0" * 8, "11111111")}.items():
        write(tmp_path / side / "one.json", right(patterns[0]), name="one")
        write(tmp_path / side / "other.json", right(patterns[1]), name="two")
        write(tmp_path / side / f"{side}.json", right("1"), name=f"only-{side}")
    found = compare_results(tmp_path / "a", tmp_path / "b", Terms(margin=0.5))
    assert [each.suite for each in found.contests] == ["one", "two"]
    assert (found.only_a, found.only_b) == (("only-a",), ("only-b",))
    # sign tests 2/256 and 1/2; Holm: twice the smaller
    assert [each.holm_p_value for each in found.contests] == pytest.approx([4 / 256, 0.5])
    assert found.no_loss_anywhere is False
    text = comparison_text(found)
    assert 'On all suites at once, the data do not support "no loss larger than 0.5".' in text
    assert "Not compared, because only B has them: only-b." in text
    figures = found.to_json()
    assert isinstance(figures["suites"], list) and figures["no_loss_on_every_suite"] is False


def test_a_run_stands_for_its_newest_weights(tmp_path: Path) -> None:
    for label, pattern in {"step-000000": "000", "step-000050": "110", "step-000100": "111", "teacher": "100"}.items():
        write(tmp_path / "run" / "evaluation" / f"{label}-sums.json", right(pattern))
    before = tmp_path / "run" / "evaluation" / "step-000000-sums.json"
    for run in (tmp_path / "run", tmp_path / "run" / "evaluation"):
        (found,) = compare_results(run, before, Terms()).contests
        assert found.paired.wins == 3
    assert compare_results(tmp_path / "run", before, Terms()).a.label == "run"


def test_sides_that_were_asked_differently_are_told_apart() -> None:
    first, second = result(right("10")), result(right("11"))
    hot = replace(first, about={"suite_version": 1, "settings": {"temperature": 1.0, "prompt": "Q", "limit": 2}})
    cold = replace(second, about={"suite_version": 1, "settings": {"temperature": 0.0, "prompt": "Q", "limit": None}})
    assert against(hot, cold).asked_differently == ("temperature: 1.0 / 0.0",)
    assert "asked differently      temperature: 1.0 / 0.0" in comparison_text(us.compare(hot, cold))
    assert against(hot, second).asked_differently == ()
    with pytest.raises(DataError, match="two versions of suite 'sums'; got 1 and 2"):
        against(hot, replace(second, about={"suite_version": 2}))


def test_a_problem_that_never_got_an_answer_is_missing() -> None:
    first, second = result(right("111")), result(right("110"))
    lost = replace(first, samples=(replace(first.samples[0], finish_reason=FinishReason.FAILED), *first.samples[1:]))
    found = against(lost, second)
    assert found.pairs.missing_a == ("p0",)
    assert (found.paired.wins, found.paired.losses) == (1, 1)
    assert against(lost, second, Terms(missing="drop")).pairs.problems == ("p1", "p2")
    found = against(lost, replace(lost, samples=(*lost.samples,)))
    assert (found.pairs.missing_a, found.pairs.missing_b, found.paired.ties) == (("p0",), ("p0",), 3)


def test_from_python() -> None:
    before, after = result(right("1000")), result(right("1110"))
    found = us.compare([after], before)
    assert found.contests[0].paired.wins == 2
    assert found.to_json()["mean_difference"] == pytest.approx(0.5)
