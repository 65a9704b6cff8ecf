"""A run's folder: made once, opened again with the same recipe, by one process at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import RunDirectoryError
from understudy.training import surroundings
from understudy.training.run_directory import RunDirectory, open_run


def changed_lines(old: str, new: str) -> list[str]:
    return [f"{one} -> {other}" for one, other in zip(old.splitlines(), new.splitlines(), strict=True) if one != other]


def opened(path: Path, *, recipe: str = "steps: 6\nseed: 0\n", resume: bool = False, torch: str = "2") -> RunDirectory:
    environment = {"versions": {"torch": torch}, "seed": 0}
    return open_run(path, recipe=recipe, environment=environment, resume=resume, differences=changed_lines)


def test_a_new_run_holds_its_recipe_and_surroundings(tmp_path: Path) -> None:
    with opened(tmp_path / "runs" / "new") as directory:
        assert not directory.resumed and directory.notes == ()
        assert (directory.path / "recipe.yaml").read_text() == "steps: 6\nseed: 0\n"
        assert json.loads((directory.path / "environment.json").read_text())["versions"] == {"torch": "2"}


def test_an_existing_run_is_refused_without_resume(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(RunDirectoryError, match=r"exists.*--resume.*name="):
        opened(tmp_path)


def test_another_recipe_is_refused_with_its_fields(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(RunDirectoryError, match="seed: 0 -> seed: 1"):
        opened(tmp_path, recipe="steps: 6\nseed: 1\n", resume=True)
    assert (tmp_path / "recipe.yaml").read_text() == "steps: 6\nseed: 0\n"


def test_another_recipe_that_can_be_gone_on_with_is_adopted_when_it_is_time(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for name in ("summary.json", "report.html", "metrics.jsonl"):
        (tmp_path / name).write_text("of six steps")
    longer = "steps: 9\nseed: 0\n"
    directory = open_run(
        tmp_path,
        recipe=longer,
        environment={},
        resume=True,
        differences=changed_lines,
        adopts=lambda old, new: [f"{old.splitlines()[0]}, then {new.splitlines()[0]}"],
    )
    with directory:
        assert directory.resumed and directory.notes[0] == "steps: 6, then steps: 9"
        assert (tmp_path / "recipe.yaml").read_text() == "steps: 6\nseed: 0\n" and (tmp_path / "summary.json").exists()
        directory.adopt()
    kept = {entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")}
    assert kept == {"recipe.yaml", "environment.json", "metrics.jsonl"}
    assert (tmp_path / "recipe.yaml").read_text() == longer
    with opened(tmp_path, recipe=longer, resume=True) as same:
        same.adopt()  # of the recipe that it has, nothing


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    for resume in (False, True):
        with pytest.raises(RunDirectoryError):
            opened(tmp_path, resume=resume)
    assert [entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")] == ["thesis.tex"]


def test_a_run_killed_before_its_recipe_was_written_begins_anew(tmp_path: Path) -> None:
    (tmp_path / ".recipe.yaml.writing").write_text("ste")
    with opened(tmp_path, resume=True) as directory:
        assert not directory.resumed and "begins anew" in directory.notes[0]


def test_other_versions_are_noted(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with opened(tmp_path, resume=True) as same:
        assert same.resumed and same.notes == ()
    with opened(tmp_path, resume=True, torch="3") as other:
        assert "other versions" in other.notes[0]
    content = json.loads((tmp_path / "environment.json").read_text())
    assert [session["versions"]["torch"] for session in content["resumed"]] == ["2", "3"]


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(RunDirectoryError, match="another process is at work"):
        opened(tmp_path, resume=True)
    opened(tmp_path, resume=True).close()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "run", tmp_path / "file"):
        with pytest.raises(RunDirectoryError, match=r"cannot be made; got .*output=FOLDER"):
            opened(place)


def test_surroundings_hold_versions_and_hardware_and_no_names_of_places() -> None:
    found = surroundings.describe(seed=3)
    assert found["seed"] == 3
    text = json.dumps(found)
    assert "torch" in text and "cores" in text
    assert str(Path.home()) not in text
