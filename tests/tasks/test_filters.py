"""Which rows are kept, and that those left out are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import DataError
from understudy.recipe import Data
from understudy.tasks import Loaded, Row, load, loaded_from
from understudy.tasks.filters import row_filter

ROWS = [
    {"question": "a?", "answer": "1", "level": 1, "subject": "algebra", "checked": True},
    {"question": "b?", "answer": "2", "level": 2, "subject": "geometry", "checked": False},
    {"question": "c?", "answer": "3", "level": 3, "subject": "algebra", "checked": True},
    {"question": "d?", "answer": "4", "level": "3", "subject": None, "checked": None},
]


def loaded(*rows: dict, **fields: object) -> Loaded:
    source = Data.model_validate({"dataset": "sums.jsonl", "prompt": "{question}", **fields})
    return loaded_from([Row(dict(one), f"line {n}") for n, one in enumerate(rows or ROWS, start=1)], source)


def questions(found: Loaded) -> str:
    return "".join(str(task.columns["question"])[0] for task in found.tasks)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({}, "abcd"),
        ({"level": 3}, "cd"),
        ({"level": "3"}, "d"),
        ({"level": [1, 2]}, "ab"),
        ({"subject": "algebra"}, "ac"),
        ({"subject": "algebra", "level": 3}, "c"),
        ({"subject": None}, "d"),
        ({"checked": True}, "ac"),
        ({"checked": [True, False]}, "abc"),
        ({"level": 3.0}, "c"),
    ],
)
def test_rows_are_kept_by_their_values(wanted: dict, kept: str) -> None:
    found = loaded(filter=wanted)
    assert questions(found) == kept
    assert found.dropped == ({"by filter": 4 - len(kept)} if len(kept) < 4 else {})
    assert found.num_rows == 4


def test_true_is_not_one() -> None:
    assert not row_filter({"n": True})({"n": 1})
    assert not row_filter({"n": 1})({"n": True})


def test_limit_counts_the_rows_that_are_kept() -> None:
    found = loaded(filter={"subject": "algebra"}, limit=1)
    assert (questions(found), found.num_rows, found.dropped) == ("a", 1, {})
    found = loaded(filter={"level": 3}, limit=1)
    assert (questions(found), found.num_rows, found.dropped) == ("c", 3, {"by filter": 2})


def test_a_problem_keeps_its_name_whatever_else_is_filtered() -> None:
    every = {task.columns["question"]: task.problem for task in loaded().tasks}
    assert all(every[task.columns["question"]] == task.problem for task in loaded(filter={"level": 3}).tasks)


def test_a_filter_that_takes_nothing_says_what_there_is() -> None:
    with pytest.raises(DataError) as caught:
        loaded(filter={"subject": "algbra"})
    assert str(caught.value) == (
        "no row of sums.jsonl is left; got 4 rows, 4 left out by filter; "
        "expected values that occur: subject: 'algebra', 'geometry', None"
    )


def test_a_filter_on_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"sums.jsonl, line 1: no column 'levle'.*Did you mean 'level'"):
        loaded(filter={"levle": 3})


INCOMPLETE = [
    {"question": "a?", "answer": "1"},
    {"question": "b?"},
    {"answer": "3"},
    {"question": None, "answer": "4"},
    {"question": " ", "answer": "5"},
    {"question": "f?", "answer": None},
    {"question": "g?", "answer": ""},
    {"question": "h?", "answer": "none"},
    {"question": "i?", "answer": "9"},
]


def test_rows_without_what_they_need_are_left_out_and_counted_where_the_recipe_says_so() -> None:
    found = loaded(*INCOMPLETE, verifier="numeric", missing="drop")
    assert questions(found) == "ai"
    assert found.dropped == {
        "without 'answer'": 3,
        "without 'question'": 3,
        "with a gold answer that cannot be read": 1,
    }


@pytest.mark.parametrize("number", range(1, 8))
def test_without_that_they_are_errors_with_a_way_out(number: int) -> None:
    with pytest.raises(DataError) as caught:
        loaded(INCOMPLETE[0], INCOMPLETE[number], verifier="numeric")
    assert "line 2" in str(caught.value)


def test_the_way_out_is_named() -> None:
    with pytest.raises(DataError, match="missing: drop leaves such rows out"):
        loaded(INCOMPLETE[0], INCOMPLETE[5], verifier="numeric")


def test_what_is_broken_is_an_error_all_the_same() -> None:
    broken = {"question": ["a"], "answer": "1"}
    with pytest.raises(DataError, match="line 1: column 'question' is no text"):
        loaded(broken, missing="drop")
    robot = {"messages": [{"role": "robot", "content": "x"}]}
    with pytest.raises(DataError, match="line 1: column 'messages', message 1 has no known role; got 'robot'"):
        loaded(robot, missing="drop", prompt=None)


def test_gold_completions_count_as_needed() -> None:
    found = loaded(*INCOMPLETE[:2], completion="{answer}", missing="drop")
    assert (questions(found), found.dropped) == ("a", {"without 'answer'": 1})


def test_a_csv_file_is_filtered_by_numbers_too(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("question,level\na?,1\nb?,2\n")
    source = Data.model_validate({"dataset": str(tmp_path / "s.csv"), "prompt": "{question}", "filter": {"level": 2}})
    assert [task.columns["question"] for task in load(source).tasks] == ["b?"]


def test_a_filter_stands_in_a_recipe_as_yaml_writes_it() -> None:
    text = json.dumps({"dataset": "x", "filter": {"level": [1, "2", None, True, 2.5]}})
    assert Data.model_validate_json(text).filter["level"] == (1, "2", None, True, 2.5)
