"""``understudy office grade`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.evaluation.grading.panels import grader, office_folder, panel_of, results_in, says
from tests.servers.scripted import Asked, Reply
from understudy.evaluation.grading import Panel

RUBRIC = [("good", 3), ("bad", 1)]


def graders_file(folder: Path, panel: Panel) -> Path:
    path = folder / "graders.yaml"
    path.write_text(yaml.safe_dump(panel.model_dump(mode="json")))
    return path


def test_grading_by_rubric_prints_scores_kappa_and_who_was_silent(tmp_path: Path, understudy: Understudy) -> None:
    folder = office_folder(tmp_path / "run", {"t1": {"a.md": "x"}, "t2": {}}, {"t1": RUBRIC, "t2": RUBRIC})
    honest = grader(lambda words: "good" in words)
    with panel_of(honest, honest, lambda asked: says("fine")) as (panel, _):
        ended = understudy("office", "grade", folder, "--graders", graders_file(tmp_path, panel))
    assert ended.code == 0
    assert "2 of 2 tasks have a score; their mean is 0.375" in ended.out
    assert "Fleiss' kappa 1.000 of 2 graders on 2 criteria" in ended.out
    assert "three (m-three): 0 votes; ungraded: 2 unreadable" in ended.out
    assert "without a file, or not finished: t2" in ended.out
    assert "Grader three gave no vote at all" in ended.err
    assert results_in(folder)["t1"]["score"] == 0.75


def test_grading_as_json_by_rubrics_from_a_file(tmp_path: Path, understudy: Understudy) -> None:
    folder = office_folder(tmp_path / "run", {"t1": {"a.md": "x"}})
    rows = [{"task_id": "t1", "rubric_json": json.dumps([{"score": 1, "criterion": "good", "rubric_item_id": "a"}])}]
    (tmp_path / "rubrics.json").write_text(json.dumps(rows))
    with panel_of(*[grader(lambda words: True)] * 3) as (panel, _):
        given = ["--graders", graders_file(tmp_path, panel), "--rubrics", tmp_path / "rubrics.json", "--json"]
        ended = understudy("office", "grade", folder, *given)
    assert ended.code == 0 and json.loads(ended.out)["score"]["mean"] == 1.0
    assert json.loads(ended.out) == json.loads((folder / "grading.json").read_text())


def test_a_blind_comparison_prints_wins_strength_and_the_effect_of_order(
    tmp_path: Path, understudy: Understudy
) -> None:
    def prefers_good(asked: Asked) -> Reply:
        x = asked.body["messages"][1]["content"].split("\n\nY:\n\n")[0]
        return says(json.dumps({"reason": "r", "better": "X" if "fine work" in x else "Y"}))

    names = [f"t{number}" for number in range(4)]
    a = office_folder(tmp_path / "a", {name: {"r.md": "fine work"} for name in names})
    b = office_folder(tmp_path / "b", {name: {"r.md": "poor work"} for name in names})
    with panel_of(*[prefers_good] * 3) as (panel, _):
        ended = understudy("office", "grade", a, "--pairwise", b, "--graders", graders_file(tmp_path, panel))
    assert ended.code == 0, ended.err
    assert "4 wins, 0 ties, 0 losses of the first run" in ended.out
    assert "Bradley-Terry: it is preferred with probability 0.962" in ended.out  # 12.5 / 13
    assert "Shown first, a work was preferred in 0.500" in ended.out
    assert (a / "against-b" / "pairwise.json").is_file()


def test_mistakes_are_one_sentence(tmp_path: Path, understudy: Understudy) -> None:
    folder = office_folder(tmp_path / "run", {"t1": {"a.md": "x"}}, {"t1": RUBRIC})
    graders = tmp_path / "graders.yaml"
    assert_is_refused(understudy("office", "grade", folder, "--graders", graders), "graders.yaml cannot be read")
    graders.write_text("graders: []")
    assert_is_refused(understudy("office", "grade", folder, "--graders", graders), "graders")
    graders.write_text("graders: [{name: a, url: 'http://user:pw@h/v1', model: m}]")
    ended = understudy("office", "grade", folder, "--graders", graders)
    assert_is_refused(ended, "no login")
    assert "pw" not in ended.err
    graders.write_text("graders: [{name: a, url: 'http://127.0.0.1:9/v1', model: m}]")
    missing = tmp_path / "none"
    assert_is_refused(understudy("office", "grade", missing, "--graders", graders), "no office results")
    both = ["--rubrics", "x.json", "--pairwise", folder]
    assert_is_refused(understudy("office", "grade", folder, "--graders", graders, *both), "two ways of grading")
    beside = ["--out", tmp_path / "out"]
    assert_is_refused(understudy("office", "grade", folder, "--graders", graders, *beside), "--pairwise OTHER")
