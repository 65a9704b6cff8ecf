"""What is known of the licences of a run's data is recorded with the data, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

from tests.tiny_files import PROBLEMS, write_rows
from understudy.build.lessons import lessons_of
from understudy.recipe import recipe_from


def test_own_data_has_its_licence_and_a_file_has_none(tmp_path: Path) -> None:
    write_rows(tmp_path / "own.jsonl", PROBLEMS)
    own = {"dataset": str(tmp_path / "own.jsonl"), "prompt": "{question}"}
    made = {"dataset": "testbed/multiplication", "limit": 4}
    recipe = recipe_from(
        {
            "student": {"model": "s"},
            "teacher": {"model": "t"},
            "objective": {"method": "opd"},
            "steps": 1,
            "data": {"mixture": [made, own]},
        }
    )
    training = lessons_of(recipe).record["training"]
    assert isinstance(training, list)
    assert [entry.get("licence") for entry in training] == ["Apache-2.0", None]
