"""Folders of office tasks: three forms, and what is wrong with some."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.errors import DataError
from understudy.tasks.office import load_office_tasks


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


ROW: dict[str, Any] = {
    "task_id": "83d10b06-26d1",
    "sector": "Finance",
    "occupation": "Accountants",
    "prompt": "Write the report.",
    "reference_files": ["reference_files/ab/data.xlsx", "reference_files/cd/data.xlsx", "reference_files/ab/note.txt"],
    "rubric_json": json.dumps(
        [
            {"score": 2, "criterion": "has a total", "rubric_item_id": "r1", "required": None},
            {"score": -1, "criterion": "has an error"},
        ]
    ),
}


def gdpval(folder: Path, *rows: dict[str, Any]) -> Path:
    for name in ROW["reference_files"]:
        written(folder / name, "x")
    written(folder / "data" / "train.jsonl", "\n".join(json.dumps(row) for row in rows))
    return folder


def test_rows_of_gdpval(tmp_path: Path) -> None:
    (task,) = load_office_tasks(gdpval(tmp_path, ROW)).tasks
    assert task.task_id == "83d10b06-26d1"
    assert [one.place.as_posix() for one in task.references] == ["ab/data.xlsx", "cd/data.xlsx", "note.txt"]
    assert [(line.id, line.points, line.check) for line in task.rubric] == [("r1", 2.0, None), ("1", -1.0, None)]
    assert task.columns == {"sector": "Finance", "occupation": "Accountants"}
    assert not task.is_programmatic
    assert "has a total" not in task.prompt


def test_a_row_may_hold_any_character(tmp_path: Path) -> None:
    row = {**ROW, "prompt": "First.\u2028Then.\x85Last."}
    gdpval(tmp_path, row)
    (tmp_path / "data/train.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    (task,) = load_office_tasks(tmp_path).tasks
    assert task.prompt.startswith("First.\u2028Then.\x85Last.")


def test_rows_of_gdpval_as_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    gdpval(tmp_path, ROW)
    (tmp_path / "data/train.jsonl").unlink()
    pyarrow.parquet.write_table(pa.Table.from_pylist([ROW]), tmp_path / "data/train.parquet")
    (task,) = load_office_tasks(tmp_path).tasks
    assert len(task.references) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task_id": None}, "row 2 of train.jsonl has no task_id"),
        ({"prompt": " "}, "has no prompt"),
        ({"reference_files": ["reference_files/gone.xlsx"]}, "reference file of task other is missing"),
        ({"reference_files": ["../../etc/passwd"]}, "is missing"),
        ({"reference_files": "a.xlsx"}, "no list reference_files"),
        ({"rubric_json": "["}, "is no JSON"),
        ({"rubric_json": "[]"}, "has no rubric_json"),
        ({"rubric_json": [{"score": "2", "criterion": "x"}]}, "has no score"),
        ({"rubric_json": [{"score": 2}]}, "has no criterion"),
    ],
)
def test_rows_that_cannot_be_used_are_named_beside_those_that_can(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    loaded = load_office_tasks(gdpval(tmp_path, ROW, {**ROW, "task_id": "other", **change}))
    assert [task.task_id for task in loaded.tasks] == ["83d10b06-26d1"]
    (why,) = loaded.broken
    assert words in why


def officebench(folder: Path, **changes: Any) -> Path:
    record = {
        "username": "Bob",
        "date": "2020-05-01",
        "weekday": "Friday",
        "time": "10:00 AM",
        "task": "do it",
        "evaluation": [{"function": "evaluate_file_exist", "args": {"file": "./data/a.txt"}}],
        **changes,
    }
    written(folder / "tasks/1-1/subtasks/0.json", record)
    written(folder / "tasks/1-1/testbed/calendar/Bob.ics", "BEGIN:VCALENDAR\nEND:VCALENDAR")
    return folder


def test_subtasks_of_officebench(tmp_path: Path) -> None:
    (task,) = load_office_tasks(officebench(tmp_path)).tasks
    assert (task.task_id, task.scoring, task.hand_in) == ("1-1-0", "all", "changed")
    assert [one.place.as_posix() for one in task.references] == ["calendar/Bob.ics"]
    assert "Task: do it" in task.prompt
    assert "file_exist" not in task.prompt


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": None}, "has no task"),
        ({"evaluation": []}, "no evaluation"),
        ({"evaluation": ["x"]}, "is no object"),
        ({"evaluation": [{"args": {}}]}, "has no function"),
        ({"evaluation": [{"function": "evaluate_file_exist", "args": {"file": "../../x"}}]}, "outside its workspace"),
        ({"evaluation": [{"function": "evaluate_excel_cell_value", "args": {"matches": []}}]}, "names no file"),
    ],
)
def test_subtasks_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match="no task in") as raised:
        load_office_tasks(officebench(tmp_path, **changes))
    assert words in str(raised.value)


def own(folder: Path, text: str, name: str = "one") -> Path:
    written(folder / name / "task.yaml", text)
    return folder


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    text = "prompt: add\nrubric:\n- {criterion: is right, points: 2}\n- check: {kind: file_exist, file: a.txt}\n"
    own(tmp_path, text)
    written(tmp_path / "one/references/in/a.csv", "1")
    written(tmp_path / "one/expected/a.csv", "1")
    (task,) = load_office_tasks(tmp_path, only=["one"]).tasks
    assert [one.place.as_posix() for one in task.references] == ["in/a.csv"]
    assert list(task.files) == ["a.csv"]
    assert [line.check is None for line in task.rubric] == [True, False]
    with pytest.raises(DataError, match="no such task"):
        load_office_tasks(tmp_path, only=["two"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rubric: []", "prompt: Field required"),
        ("prompt: x\nrubrik: []", "rubrik: Extra inputs"),
        ("prompt: x\nrubric: [{points: 1}]", "neither criterion nor check"),
        ("prompt: x\nrubric: [{check: {file: a}}]", "has no kind"),
        ("prompt: x\nrubric: [{check: {kind: file_exist, file: /etc/passwd}}]", "outside its workspace"),
        ("prompt: [", "cannot be read"),
        ("- 1", "holds no fields"),
    ],
)
def test_tasks_of_ones_own_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    own(own(tmp_path, "prompt: good", name="good"), text)
    loaded = load_office_tasks(tmp_path)
    assert [task.task_id for task in loaded.tasks] == ["good"]
    assert words in loaded.broken[0]


def test_folders_that_hold_no_tasks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no office tasks"):
        load_office_tasks(tmp_path)
    with pytest.raises(DataError, match="do not exist"):
        load_office_tasks(tmp_path / "gone")
    with pytest.raises(DataError, match="one identifier"):
        load_office_tasks(gdpval(tmp_path, ROW, ROW))
