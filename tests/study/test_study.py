"""A study from end to end with models that know nothing, and the page of one that found something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.comparing.office_results import read_office
from understudy.environments.agents import Agent
from understudy.environments.tiny_office import Document, Errand, Row, TinyOffice, Wish, Work, office_manner, task_of
from understudy.errors import RunDirectoryError
from understudy.recipe import differences, load_recipe
from understudy.rollouts import FinishReason, Rollout
from understudy.study import StudySettings, run_study
from understudy.study.attempts import graded_task, workspace_of
from understudy.study.settings import study_recipe, study_tasks
from understudy.testbed.models import Architecture, Schooling
from understudy.testbed.schooling import new_model
from understudy.testbed.subjects import SUBJECTS
from understudy.training.progress import Silent

TINY = Architecture(layers=1, width=16, heads=1, kv_heads=1, head_width=16, mlp_width=16)
SMALL = StudySettings(steps=1, num_tasks=4, num_questions=3, margin=0.5)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    """A small study of one model as teacher and student, which has learned nothing."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = SUBJECTS["tiny-office"].build_tokenizer()
    tokenizer.save_pretrained(folder)
    new_model(Schooling(TINY, foreign_share=0.0, steps=1, subject="tiny-office"), tokenizer).save_pretrained(folder)
    return replace(SMALL, student=str(folder), teacher=str(folder))


@pytest.fixture(scope="module")
def study(settings: StudySettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "one"
    assert not run_study(out, settings, Silent()).stopped
    return out


def test_every_stage_leaves_what_others_read(study: Path, settings: StudySettings) -> None:
    for name in ("teacher", "base", "distilled"):
        results = read_office(study / name)
        assert [task.task_id for task in results.tasks] == [task.problem for task in study_tasks(settings)]
        assert all(task.score == 0.0 or task.deliverables for task in results.tasks)
        assert (study / name / results.tasks[0].task_id / "transcript.json").is_file()
    found = json.loads((study / "summary.json").read_text())
    assert set(found["measures"]) == {"Mean rubric score", "Any-deliverable rate", "Efficiency rate"}
    assert found["office"]["wins"] + found["office"]["ties"] + found["office"]["losses"] == 4
    assert [suite["equivalence"]["margin"] for suite in found["regression"]["suites"]] == [0.5] * 3
    (line,) = [json.loads(text) for text in (study / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"office/any_deliverable_rate", "office/efficiency_rate", "kl/reverse_k1", "entropy/sampled"} <= set(line)
    assert (study / "side-by-side.html").is_file()
    page = (study / "study.html").read_text()
    for title in ("Teacher reverse KL", "Entropy", "Any-deliverable rate", "Efficiency rate", "quiz-count"):
        assert title in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page


def test_a_study_goes_on_and_is_not_mixed_with_another(study: Path, settings: StudySettings, tmp_path: Path) -> None:
    before = (study / "distilled" / "results.json").stat().st_mtime_ns
    (study / "study.html").unlink()
    run_study(study, settings, Silent())
    assert (study / "study.html").is_file() and (study / "distilled" / "results.json").stat().st_mtime_ns == before
    with pytest.raises(RunDirectoryError, match="another study"):
        run_study(study, replace(settings, seed=1), Silent())
    with pytest.raises(RunDirectoryError, match="no study"):
        run_study(study / "base", settings, Silent())
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        run_study(tmp_path, settings, Silent())


def test_what_was_handed_in_is_graded_by_its_files(tmp_path: Path) -> None:
    sheet = Document("sheet", "price", (Row("pen", 4), Row("cup", 7), Row("box", 2)))
    wish = Wish("sheet", "sales", "report", (Work("mark", "most"), Work("total")), date="may 3", sign="ann")
    task = task_of(Errand(wish, sheet), "one")
    agent = Agent(TinyOffice(lambda task: workspace_of(tmp_path, task)), office_manner())
    agent.reset(task, 0)
    for action in ("copy sales report", "mark cup", "total", "date may 3", "finish report"):
        agent.step(action)
    extra = {"agent": {"world": {"finished": True}}}
    found = graded_task(task, Rollout(0, 0, "one", (), FinishReason.STOP, extra=extra), tmp_path, decode=str)
    assert found["deliverables"] == ["one/deliverables/report.xlsx"] and found["finished"]
    assert found["score"] == 8 / 9  # nobody signed
    checks = found["checks"]
    assert isinstance(checks, dict)
    counted = ("files", "live_formulas", "highlights", "dates", "signature_blocks", "error_cells")
    assert [checks[name] for name in counted] == [1, 1, 1, 1, 0, 0]


def test_the_recipe_is_the_one_that_is_published() -> None:
    published = load_recipe(Path(__file__).parents[2] / "recipes" / "office-tiny.yaml")
    own = study_recipe(StudySettings(), output=str(published.output), name=str(published.name))
    assert all(text.startswith("evaluation") for text in differences(own, published))
