"""What a distilled model lost: paired with its own base, unpaired against published figures, and what may be said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from scipy import stats

from tests.comparing.hand_made import right, write
from understudy.comparing import Terms, compare_results, regression
from understudy.comparing.page import regression_figure, render_regression
from understudy.comparing.regression import Change
from understudy.comparing.regression_words import regression_text
from understudy.errors import DataError
from understudy.evaluation.differences import Difference
from understudy.evaluation.statistics import Estimate


def two_runs(path: Path) -> tuple[Path, Path]:
    """A base and a distilled model: equal on 400 questions of one suite, worse by half on another."""
    write(path / "base" / "mmlu_pro.json", right("10" * 200), name="mmlu_pro")
    write(path / "distilled" / "mmlu_pro.json", right("10" * 200), name="mmlu_pro")
    write(path / "base" / "gpqa_diamond.json", right("1" * 40), name="gpqa_diamond")
    write(path / "distilled" / "gpqa_diamond.json", right("10" * 20), name="gpqa_diamond")
    return path / "base", path / "distilled"


def test_base_and_distilled_are_paired(tmp_path: Path) -> None:
    base, distilled = two_runs(tmp_path)
    found = regression(base, distilled, Terms(margin=0.02))
    by_suite = {change.suite: change for change in found.changes}
    lost, kept = by_suite["gpqa_diamond"], by_suite["mmlu_pro"]
    assert lost.paired and lost.gain.mean == pytest.approx(-0.5)
    assert (lost.base.mean, lost.distilled.mean) == (1.0, 0.5)
    assert lost.is_loss and lost.equivalence is not None and not lost.equivalence.no_loss
    assert lost.p_value == pytest.approx(2 / 2**20) and lost.holm_p_value == pytest.approx(4 / 2**20)
    # 400 equal answers: 0.98^400 = 0.0003 is below 0.025
    assert kept.equivalence is not None and kept.equivalence.no_loss and not kept.is_loss
    assert kept.equivalence.p_loss == pytest.approx(0.98**400)
    assert found.no_loss_anywhere is False
    assert found.statement == (
        'A loss is shown on gpqa_diamond. The data do not support "no loss larger than 0.02 on each of these suites".'
    )
    assert found.absent == ("aime25", "livecodebench", "scicode")


@pytest.mark.parametrize(
    ("mean", "high", "holm_p_value", "is_loss"),
    [(-0.1, -0.01, 0.01, True), (-0.1, -0.01, 0.2, False), (-0.1, 0.01, 0.01, False)],
)
def test_a_loss_is_shown_by_the_interval_and_by_the_rule_over_all_suites(
    mean: float, high: float, holm_p_value: float, is_loss: bool
) -> None:
    gain = Difference(0.5, 0.5 - mean, mean, -0.3, high, 40, "Student's t")
    before, after = Estimate(0.5 - mean, 0.4, 0.7, 40), Estimate(0.5, 0.3, 0.6, 40)
    change = Change("words", before, after, gain, 0.01, True, None, holm_p_value=holm_p_value)
    assert change.is_loss is is_loss and change.to_json()["is_loss"] is is_loss


def test_gains_are_the_difference_of_the_other_verb_with_the_sides_exchanged(tmp_path: Path) -> None:
    base, distilled = two_runs(tmp_path)
    (change, _) = regression(base, distilled, Terms()).changes
    (contest, _) = compare_results(distilled, base, Terms()).contests
    assert (change.gain.mean, change.gain.low, change.gain.high) == (
        contest.difference.mean,
        contest.difference.low,
        contest.difference.high,
    )


def test_the_whole_is_supported_only_where_each_suite_is(tmp_path: Path) -> None:
    base, distilled = two_runs(tmp_path)
    (distilled / "gpqa_diamond.json").unlink()
    found = regression(base, distilled, Terms(margin=0.02))
    assert found.no_loss_anywhere is True
    assert found.statement == 'The data support "no loss larger than 0.02 here".'
    assert found.only_base == ("gpqa_diamond",)
    assert "proves none absent" in regression(base, distilled, Terms()).statement


def test_published_figures_are_unpaired_and_said_to_be(tmp_path: Path) -> None:
    _, distilled = two_runs(tmp_path)
    published = tmp_path / "paper.yaml"
    published.write_text("mmlu_pro: {mean: 0.55, n: 1000}\n")
    (change,) = regression(published, distilled, Terms(margin=0.2)).changes
    # Wilson: 0.5 of 400 is [0.45124, 0.54876]; 0.55 of 1000 is [0.51906, 0.58058]; Newcombe's rule
    low = -0.05 - ((0.5 - 0.45124) ** 2 + (0.58058 - 0.55) ** 2) ** 0.5
    high = -0.05 + ((0.54876 - 0.5) ** 2 + (0.55 - 0.51906) ** 2) ** 0.5
    assert not change.paired
    assert (change.gain.low, change.gain.high) == pytest.approx((low, high), abs=2e-5)
    error = (-0.05 - low) / 1.959964
    assert change.equivalence is not None
    assert change.equivalence.p_loss == pytest.approx(stats.norm.sf(0.15 / error), rel=1e-2)
    assert change.p_value == pytest.approx(2 * stats.norm.sf(0.05 * 1.959964 / (high + 0.05)), rel=1e-2)
    text = regression_text(regression(published, distilled, Terms(margin=0.2)))
    assert "paper (published)" in text and "unpaired" in text


def test_published_json_is_told_from_a_suites_result(tmp_path: Path) -> None:
    _, distilled = two_runs(tmp_path)
    published = tmp_path / "paper.json"
    published.write_text(json.dumps({"mmlu_pro": {"mean": 0.5, "n": 400}}))
    (change,) = regression(published, distilled, Terms()).changes
    assert not change.paired and change.p_value == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("mmlu_pro: {mean: 71.2, n: 12032}", "Write a percentage as a share"),
        ("mmlu_pro: {mean: 0.7}", "no mean and number of problems"),
        ("mmlu_pro: {mean: 0.7, n: 0}", "number of problems"),
        ("mmlu_pro: {mean: 0.7, n: 3.5}", "number of problems"),
        ("mmlu_pro: {mean: .nan, n: 3}", "a share from 0 to 1"),
        ("mmlu_pro: 0.7", "no mean and number of problems"),
        ("[1, 2]", "no published figures"),
        ("", "no published figures"),
        ("mmlu_pro: {", "cannot be read"),
        ("other: {mean: 0.7, n: 3}", "different suites"),
    ],
)
def test_published_figures_that_cannot_be_used(content: str, words: str, tmp_path: Path) -> None:
    _, distilled = two_runs(tmp_path)
    (tmp_path / "paper.yaml").write_text(content)
    with pytest.raises(DataError, match=words):
        regression(tmp_path / "paper.yaml", distilled, Terms())


def test_rewards_cannot_be_set_beside_published_shares(tmp_path: Path) -> None:
    write(tmp_path / "run.json", {"x": [2.5], "y": [1.5]}, better="lower")
    (tmp_path / "paper.yaml").write_text("sums: {mean: 0.7, n: 3}")
    with pytest.raises(DataError, match="higher being better"):
        regression(tmp_path / "paper.yaml", tmp_path / "run.json", Terms())


def test_lower_is_better_turns_the_gain(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {f"p{i}": [2.0 + i % 3] for i in range(30)}, better="lower")
    write(tmp_path / "b.json", {f"p{i}": [1.0 + i % 5] for i in range(30)}, better="lower")
    (change,) = regression(tmp_path / "a.json", tmp_path / "b.json", Terms(margin=5.0)).changes
    assert change.gain.mean == pytest.approx(change.base.mean - change.distilled.mean)
    assert change.gain.low < change.gain.mean < change.gain.high


def test_equal_likelihoods_are_bounded_by_nothing_and_say_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.json", {f"p{i}": [0.25 + i % 3 / 10] for i in range(30)}, better="lower")
    (change,) = regression(tmp_path / "a.json", tmp_path / "b.json", Terms(margin=0.1)).changes
    told = json.loads(json.dumps(change.to_json(), allow_nan=False))
    assert (told["gain"], told["gain_low"], told["gain_high"]) == (0.0, None, None)
    assert change.equivalence is not None and not change.equivalence.no_loss


def test_one_figure_holds_every_interval(tmp_path: Path) -> None:
    found = regression(*two_runs(tmp_path), Terms(margin=0.02))
    figure = regression_figure(found)
    assert figure.count('class="interval s1"') == 2, "the base's"
    assert figure.count('class="interval s0"') == 4, "the distilled model's, and the gains"
    assert re.search(r'class="rule" x1="[\d.]+"', figure), "the margin"
    page = render_regression(found)
    assert page.count("<figure") == 1 and str(figure) in page
    assert "A loss is shown on gpqa_diamond." in page
    assert "Not measured of the regression suite: aime25, livecodebench, scicode." in page
