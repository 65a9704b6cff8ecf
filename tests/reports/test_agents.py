"""What the page says of agents: figures by turn, judgements, episodes; by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.agent_run import STEPS, episodes, make_agent_run, write_step
from tests.reports.hand_made import Page, byte_tokenizer, make_run
from understudy.recipe.yaml_text import format_yaml, parse_yaml
from understudy.reports import write_report
from understudy.reports.case_studies import cases_of, choose, errors_of
from understudy.reports.curves import evaluation_charts
from understudy.reports.judgement import judgements_of
from understudy.reports.reading import read_run
from understudy.reports.saved_rollouts import read_ends
from understudy.reports.turn_figures import turn_charts


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_agent_run(tmp_path_factory.mktemp("agents") / "run")


def test_figures_by_turn_by_hand(run: Path) -> None:
    """Lengths 3, 1 and 4: 3, 2, 2 and 1 of 3 episodes have turns 1 to 4."""
    ends = read_ends(run)
    assert [step.step for step in ends] == [0, STEPS - 1]
    by_title = {chart.title: chart for chart in turn_charts(ends)}
    d, h, w = (by_title[title] for title in ("Disagreement d", "Uncertainty h", "Weight w"))
    assert d.steps == (1.0, 2.0, 3.0, 4.0) and d.across == "turn"
    assert d.series[0].values == pytest.approx((1.0, 2.0, 3.0, 4.0))
    assert h.series[1].values == pytest.approx((2.0, 2.0, 2.0, 2.0))
    assert w.series[0].values == pytest.approx((0.25,) * 4) and w.series[1].values == pytest.approx((0.5,) * 4)
    assert d.shares[0].values == pytest.approx((1.0, 2 / 3, 2 / 3, 1 / 3))
    assert [series.label for series in d.series] == ["before training", f"step {STEPS - 1}"]


def test_runs_of_single_turns_have_no_such_page(tmp_path: Path) -> None:
    single = make_run(tmp_path / "single")
    for file in sorted((single / "rollouts").iterdir()):
        write_step(
            single, int(file.stem.split("-")[1]), [row for row in episodes(byte_tokenizer()) if row["turn"] == 0]
        )
    assert turn_charts(read_ends(single)) == ()
    page = Page(write_report(single).read_text(encoding="utf-8"))
    assert "Turn by turn" not in page.texts("h2") and "Turn by turn" not in page.texts("a")


def verdicts(run: Path) -> dict[str, str]:
    return {one.question: one.verdict for one in judgements_of(read_run(run))}


def test_a_healthy_run_is_called_so(run: Path) -> None:
    assert set(verdicts(run).values()) == {"healthy"} and len(verdicts(run)) == 6
    told = " ".join(one.sentence for one in judgements_of(read_run(run)))
    assert "1 of 16 steps had no contrast of rewards" in told and "our threshold" in told


UNHEALTHY = {
    "Does the teacher hand over to the reward?": {"hybrid__opd_rl_ratio": 2.0},
    "Does the reward rise?": {"reward": -9.0},
    "Do the turn weights stay up?": {"tdur__mean_weight": -0.5},
    "Does the student go in circles?": {"actions__repeated_rate": 0.3},
}


@pytest.mark.parametrize("question", UNHEALTHY)
def test_each_illness_is_found_alone(tmp_path: Path, question: str) -> None:
    found = verdicts(make_agent_run(tmp_path / "run", **UNHEALTHY[question]))
    assert {one for one, verdict in found.items() if verdict == "unhealthy"} == {question}


def test_a_sure_student_is_ill_only_where_the_reward_does_not_rise(tmp_path: Path) -> None:
    question = "Does the student stay undecided enough to explore?"
    learned = verdicts(make_agent_run(tmp_path / "learned", entropy__sampled=-0.7))
    collapsed = verdicts(make_agent_run(tmp_path / "collapsed", entropy__sampled=-0.7, reward=-9.0))
    assert (learned[question], collapsed[question]) == ("cannot say", "unhealthy")


def test_drift_is_a_falling_kl_with_falling_success(tmp_path: Path) -> None:
    run = make_agent_run(tmp_path / "run")
    file = run / "evaluation" / "figures.jsonl"
    file.write_text(file.read_text().replace('"eval/seen/mean": 0.6', '"eval/seen/mean": 0.1'))
    question = "Does coming closer to the teacher help?"
    assert verdicts(run)[question] == "unhealthy"
    assert "drift" in next(one.sentence for one in judgements_of(read_run(run)) if one.question == question)
    away = make_agent_run(tmp_path / "away", kl__reverse_k1=3.0)
    (away / "evaluation" / "figures.jsonl").write_text(file.read_text())
    assert verdicts(away)[question] == "cannot say", "success falls, but the student came no closer"
    file.unlink()  # success in training rises
    assert verdicts(run)[question] == "healthy"


def test_a_suite_of_likelihoods_is_no_success(tmp_path: Path) -> None:
    run = make_agent_run(tmp_path / "run")
    file = run / "evaluation" / "figures.jsonl"
    file.write_text(file.read_text().replace('"eval/seen/mean": 0.6', '"eval/seen/mean": 0.1'))
    recipe = parse_yaml((run / "recipe.yaml").read_text(), source="recipe.yaml")
    recipe["evaluation"] = {"suites": [{"name": "seen", "kind": "reverse_kl"}]}
    (run / "recipe.yaml").write_text(format_yaml(recipe))
    assert verdicts(run)["Does coming closer to the teacher help?"] == "healthy", "success in training rises"
    seen = next(chart for chart in evaluation_charts(read_run(run)) if "seen" in chart.title)
    assert (seen.form, "lower is better" in seen.unit) == ("number", True), "also before the run's end"


def test_short_runs_are_not_judged(tmp_path: Path) -> None:
    run = make_agent_run(tmp_path / "run")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join(lines[:5]))
    assert set(verdicts(run).values()) == {"cannot say"}


def test_the_case_is_the_longest_won_in_spite_of_an_error(run: Path) -> None:
    (first, last) = cases_of(read_ends(run))
    assert (first.title, last.title) == ("Before training", f"After {STEPS - 1} steps of training")
    assert first.problem == "game-0" and len(first.turns) == 3 and "turn 1; it was won at turn 3" in first.story
    assert first.turns[0].errors == ("not on offer",) and first.turns[0].seen == "a shelf"
    assert first.turns[0].figures == {"d": "1", "h": "2", "w": "0.250", "reward": "−0.100"}
    rollouts = read_ends(run)[0].rollouts
    chosen = [choose(rollouts[start:]) for start in (1, 2, 3)]
    assert [one and one.problem for one in chosen] == ["game-1", "game-2", None], "won before lost"


def test_environments_that_tell_no_deeds_still_show_repetitions(tmp_path: Path) -> None:
    write_step(tmp_path, 0, episodes(byte_tokenizer(), deeds=False, weight=None))
    (step,) = read_ends(tmp_path)
    assert [bool(words) for words in errors_of(step.rollouts[2])] == [False, True, True, True]
    assert [chart.title for chart in turn_charts((step,))] == ["Disagreement d", "Uncertainty h"], (
        "no weights, no chart"
    )


def test_the_page_shows_it_all_and_escapes_what_models_said(run: Path) -> None:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.unbalanced == []
    assert [tag for tag, _ in page.tags].count("script") == 1
    titles = page.texts("h3")
    for title in ("Disagreement d", "Weight w", "Distillation against reward", "Success by task", "Actions"):
        assert title in titles
    text = " ".join(page.texts("p"))
    assert "chosen on this very suite" in text and "chosen on seen, not on this suite" in text
    assert "student before 9 (40), student after 6 (30), student at its best 5.50 (28)" in text
    assert any("Student at its best (step 8)" in row for row in page.texts("tr"))
    assert any("sampler idle share" in label for label in page.texts("span")) is False, "a share is no time"


def test_files_of_earlier_versions_are_shown(tmp_path: Path) -> None:
    run = make_agent_run(tmp_path / "run")
    for step in (0, STEPS - 1):
        rows = [{k: v for k, v in row.items() if k not in ("deed", "shown")} for row in episodes(byte_tokenizer())]
        write_step(run, step, rows)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Turn by turn" in page.texts("h2")
