"""What the Tab key offers, by the functions and as a shell asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli import app
from understudy.completions import (
    fields,
    listed,
    methods,
    models,
    questions,
    recipe_files,
    results,
    run_folders,
    speakers,
    suites,
)
from understudy.evaluation.benchmarks import benchmarks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    for name in ("one.yaml", "other.yml", "notes.txt", "recipes/two.yaml", ".hidden.yaml"):
        (tmp_path / name).touch()
    return tmp_path


def test_recipes_and_folders(folder: Path) -> None:
    assert recipe_files("") == ["one.yaml", "other.yml", "recipes/"]
    assert recipe_files("o") == ["one.yaml", "other.yml"]
    assert recipe_files("recipes/") == ["recipes/two.yaml"]
    assert recipe_files(f"{folder}/on") == [f"{folder}/one.yaml"]


def test_fields_are_those_of_a_recipe() -> None:
    assert {"steps=", "rollout.temperature=", "optimizer.learning_rate=", "objective.method="} <= set(fields(""))
    assert fields("data.shuf") == ["data.shuffle="]
    assert fields("nothing") == []


def test_methods_by_name() -> None:
    assert "opd" in methods("op")
    assert methods("gk") == ["gkd"]


def test_several_methods_with_commas() -> None:
    assert listed(methods)("opd,gk") == ["opd,gkd"]


def test_runs_results_and_models_are_known_by_what_is_in_them(folder: Path) -> None:
    model = folder / "runs" / "first" / "checkpoints" / "step-000004" / "model"
    model.mkdir(parents=True)
    for file in ("config.json", "../../../recipe.yaml", "../../../metrics.jsonl"):
        (model / file).touch()
    assert run_folders("") == ["recipes/", "runs/"]
    assert run_folders("runs/") == ["runs/first"]
    assert results("runs/first/") == ["runs/first/checkpoints/", "runs/first/metrics.jsonl"]
    assert models("runs/first/checkpoints/step-000004/") == ["runs/first/checkpoints/step-000004/model"]
    assert speakers("runs/") == ["runs/first"] and speakers("te") == ["testbed/"]
    assert models("te") == ["testbed/"]
    assert models("testbed/multiplication-t") == ["testbed/multiplication-teacher"]


def test_questions_are_suites_and_files(folder: Path) -> None:
    (folder / "rows.jsonl").touch()
    assert questions("o") == ["one.yaml", "other.yml"] and questions("r") == ["recipes/", "rows.jsonl"]
    assert questions("gsm") == ["gsm8k"]


def test_suites_are_those_of_the_list(folder: Path) -> None:
    assert suites("gsm") == ["gsm8k"]
    assert set(benchmarks()) <= set(suites(""))
    assert {"one.yaml", "testbed/"} <= set(suites(""))
    assert suites("testbed/multiplication-g") == ["testbed/multiplication-greedy"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train one.yaml rollout.num", ["rollout.num_generations="]),
        ("doctor o", ["one.yaml", "other.yml", "office-tiny"]),
        ("train testbed", ["testbed-opd"]),
        ("recipes toy", ["toy-turns"]),
        ("launch one.yaml data.shuf", ["data.shuffle="]),
        ("plan one.yaml --hardware h2", ["h200"]),
        ("score one.yaml steps", ["steps="]),
        ("report re", ["recipes/"]),
        ("push re", ["recipes/"]),
        ("watch re", ["recipes/"]),
        ("compare re", ["recipes/"]),
        ("sample te", ["testbed/"]),
        ("sample . --data on", ["one.yaml"]),
        ("evaluate te", ["testbed/"]),
        ("evaluate . --suite gsm", ["gsm8k"]),
        ("serve te", ["testbed/"]),
        ("bench methods --methods opd,gk", ["opd,gkd"]),
        ("office-study --method gk", ["gkd"]),
        ("methods gk", ["gkd"]),
    ],
)
def test_a_shell_that_asks(words: str, offered: list[str], folder: Path) -> None:
    asked = {
        "_UNDERSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": f"understudy {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    told = CliRunner().invoke(app, [], prog_name="understudy", env=asked)
    assert told.output.split() == offered
