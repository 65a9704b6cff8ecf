"""What the Tab key offers, by the functions and as a shell asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli import app
from understudy.completions import fields, methods, recipe_files


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


def test_a_shell_that_asks(folder: Path) -> None:
    asked = {
        "_UNDERSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": "understudy train one.yaml rollout.num",
        "COMP_CWORD": "3",
    }
    told = CliRunner().invoke(app, [], prog_name="understudy", env=asked)
    assert told.output.split() == ["rollout.num_generations="]
