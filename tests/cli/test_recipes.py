"""The recipes that come with the project: all pass ``--dry-run``; the one on real data runs where that data is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from understudy import testbed
from understudy.objectives.methods import objective_of
from understudy.recipe import load_recipe
from understudy.recipe.teachers import RoutedTeachers
from understudy.testbed.models import Architecture, Schooling

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_passes_a_dry_run_without_models_or_data(
    understudy: Understudy, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = understudy("train", recipe, "--dry-run", "--json")
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert plan["method"] == load_recipe(recipe).objective.method
    assert sum(plan["planned_rows"].values()) > 0 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_has_the_models_and_judges_that_its_method_needs(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    objective = objective_of(loaded.objective)
    asked = objective.needs.scorers()
    if objective.writing.needs_teacher_text:
        asked |= {"teacher"}
    assert not {role for role in asked & {"teacher", "reference"} if getattr(loaded, role) is None}
    judged = loaded.environment.kind != "single_turn" or all(part.verifier.kind != "none" for part in loaded.data.parts)
    assert judged or not objective.needs.graded
    if isinstance(loaded.teacher, RoutedTeachers):
        assert set(loaded.teacher.routes) == {part.name for part in loaded.data.mixture}


def test_the_recipes_of_the_papers_are_all_there() -> None:
    worlds, sizes = ("alfworld", "webshop", "search"), ("0.6b", "1.7b", "4b")
    agents = {f"atod-{world}-{size}" for world in worlds for size in sizes}
    agents |= {f"teacher-grpo-{world}-{size}" for world in worlds for size in ("4b", "30b-a3b")}
    papers = "afterquery-qwen afterquery-nemotron tropd-math tropd-multidomain tropd-qwen3-sft nemotron-sft "
    papers += "nemotron-rlvr exopd-merge exopd-strong-to-weak revisiting-math revisiting-multitask"
    assert agents | set(papers.split()) <= {recipe.stem for recipe in RECIPES}


def test_a_recipe_that_learns_from_a_run_names_one_that_leaves_it() -> None:
    """Teacher and student of later stages are checkpoints of earlier recipes, at their last step."""
    steps = {recipe.stem: load_recipe(recipe).steps for recipe in RECIPES}
    for recipe in RECIPES:
        for run, step in re.findall(r"runs/([\w.-]+)/checkpoints/step-(\d+)/model", recipe.read_text()):
            stage = run if run in steps else run.rsplit("-", 1)[0]
            assert int(step) == steps[stage], f"{recipe.stem}: {run} ends at step {steps[stage]}"


def test_gsm8k_names_its_models_and_data_once(understudy: Understudy) -> None:
    plan = json.loads(understudy("train", ROOT / "recipes" / "gsm8k.yaml", "--dry-run", "--json").out)
    assert plan["fetches"] == ["Qwen/Qwen3-1.7B-Base", "Qwen/Qwen3-8B", "openai/gsm8k"]


def test_without_the_data_gsm8k_tiny_says_where_it_is_expected(
    understudy: Understudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = understudy("train", ROOT / "recipes" / "gsm8k-tiny.yaml")
    assert ended.code == 2 and ended.err.count("\n") == 1
    assert "../shared/data/gsm8k/train.jsonl does not exist" in ended.err
    assert str(tmp_path) in ended.err and "data.dataset=FILE" in ended.err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.skipif(not GSM8K.is_dir(), reason="the GSM8K files of ../shared/data are not on this machine")
def test_gsm8k_tiny_reads_the_real_data(
    understudy: Understudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data, templates and suites in their smallest sizes; both models are one that learned for two steps."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("UNDERSTUDY_GSM8K", str(GSM8K / "train.jsonl"))
    brief = Schooling(Architecture(layers=1, width=32), 0.0, steps=2, batch_size=2, subject="gsm8k")
    model = testbed.resolve_model("testbed/brief", schoolings={"testbed/brief": brief})
    small = ["steps=1", "rollout.prompts_per_step=2", "data.limit=20", "rollout.max_completion_length=8"]
    small += ["evaluation.suites.0.limit=3", "evaluation.suites.1.limit=3"]
    models = [f"student.model={model}", f"teacher.model={model}"]
    ended = understudy("train", ROOT / "recipes" / "gsm8k-tiny.yaml", f"output={tmp_path}", *models, *small)
    assert ended.code == 0, ended.err
    suites = json.loads((tmp_path / "gsm8k-tiny" / "summary.json").read_text())["suites"]
    assert suites["teacher_reverse_kl"]["before"]["mean"] == 0.0  # the student is its teacher
    assert suites["heldout_nll"]["before"]["n"] == 3 and suites["heldout_nll"]["before"]["mean"] > 4


def test_the_list_says_what_each_is_and_needs(understudy: Understudy) -> None:
    listed = {one["name"]: one for one in json.loads(understudy("recipes", "--json").out)}
    assert set(listed) == {file.stem for file in RECIPES}
    assert all(0 < len(one["what"]) < 110 and one["method"] for one in listed.values())
    assert listed["testbed-opd"]["needs"] == [] and listed["household-sdar"]["needs"] == []
    assert listed["atod-search-4b"]["needs"] == [
        "Qwen/Qwen3-4B",
        "a run of teacher-grpo-search-30b-a3b",
        "data/search-qa-train.jsonl",
        "http://localhost:8000/retrieve",
    ]
    text = understudy("recipes").out
    assert text.splitlines()[0].split() == ["recipe", "what", "it", "is", "method", "needs"] and "toy-turns" in text


def test_one_is_printed_as_it_is_and_trained_by_name(
    understudy: Understudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = understudy("recipes", "testbed-opd")
    assert ended.out == (ROOT / "recipes" / "testbed-opd.yaml").read_text()
    assert understudy("recipes", "recipes/testbed-opd.yaml").out == ended.out
    assert understudy("train", "testbed-opd", "--print-recipe").code == 0
    absent = understudy("train", "recipes/testbed-opd.yaml")
    assert absent.code == 2
    assert "recipes/testbed-opd.yaml does not exist. It comes with the package: take testbed-opd" in absent.err
    assert "understudy recipes testbed-opd > testbed-opd.yaml" in absent.err
    assert "Did you mean testbed-opd?" in understudy("train", "tesbed-opd").err
    unknown = understudy("recipes", "testbed-odp")
    assert (
        unknown.code == 2 and "no recipe 'testbed-odp' comes with the package. Did you mean testbed-opd?" in unknown.err
    )
    assert understudy("recipes", "nothing like it", "--json").code == 2
