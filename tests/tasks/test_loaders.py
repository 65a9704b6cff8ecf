from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import DataError, RecipeError
from understudy.recipe import Data, Suite
from understudy.tasks import Row, data_fingerprint, gold_completion, load_tasks, tasks_from
from understudy.tasks.loaders import loaded_from

ROWS = [{"question": f"{n}+{n}?", "answer": str(2 * n), "level": n} for n in range(5)]


def save(folder: Path, rows: list) -> str:
    file = folder / "sums.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def rows_of(*columns: dict) -> list[Row]:
    return [Row(dict(one), f"line {number}") for number, one in enumerate(columns, start=1)]


def data(**fields: object) -> Data:
    return Data.model_validate({"dataset": "sums.jsonl", **fields})


def refused(columns: dict, **fields: object) -> str:
    with pytest.raises(DataError) as caught:
        tasks_from(rows_of(*ROWS[:1], columns), data(**fields))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_become_tasks_with_all_their_columns(tmp_path: Path) -> None:
    tasks = load_tasks(data(dataset=save(tmp_path, ROWS), prompt="Q: {question}", verifier="numeric"))
    assert [task.prompt for task in tasks] == [f"Q: {row['question']}" for row in ROWS]
    assert [dict(task.columns) for task in tasks] == ROWS
    assert {task.domain for task in tasks} == {"sums"}


def test_problems_are_stable_and_differ_even_for_equal_rows(tmp_path: Path) -> None:
    source = data(dataset=save(tmp_path, [*ROWS, ROWS[0]]), prompt="{question}")
    names = [task.problem for task in load_tasks(source)]
    assert len(set(names)) == 6
    assert [task.problem for task in load_tasks(source.model_copy(update={"limit": 2}))] == names[:2]
    suite = Suite(name="held-out", dataset=source.dataset, prompt="{question}")
    assert [task.problem for task in load_tasks(suite)] == names


def test_ids_name_the_problems_when_they_all_differ() -> None:
    named = [{**row, "id": 10 + row["level"]} for row in ROWS]
    assert [task.problem for task in tasks_from(rows_of(*named), data(prompt="{question}", limit=2))] == ["10", "11"]
    named[4]["id"] = 10
    assert "10" not in [task.problem for task in tasks_from(rows_of(*named), data(prompt="{question}", limit=2))]


def test_the_prompt_column_is_text_or_messages() -> None:
    messages = [{"role": "user", "content": "2+2?"}]
    tasks = tasks_from(rows_of({"prompt": "1+1?"}, {"prompt": messages}), data())
    assert [task.prompt for task in tasks] == ["1+1?", messages]


def test_chat_makes_text_a_users_message() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "2+2?"}]
    said = [{"role": "user", "content": "1+1?"}]
    tasks = tasks_from(rows_of({"prompt": "1+1?"}, {"prompt": messages}), data(chat=True))
    assert [task.prompt for task in tasks] == [said, messages]
    (task,) = tasks_from(rows_of({"question": "1+1"}), data(chat=True, prompt="{question}?"))
    assert task.prompt == said


def test_conversations_are_messages_by_other_names() -> None:
    turns = [("system", "s"), ("human", "u"), ("gpt", "a")]
    row = {"conversations": [{"from": speaker, "value": text} for speaker, text in turns]}
    (task,) = tasks_from(rows_of(row), data())
    assert task.prompt == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert gold_completion(data(), task) == "a"
    with pytest.raises(DataError, match=r"'conversations', message 1 has no known role.*'robot'"):
        tasks_from(rows_of({"conversations": [{"from": "robot", "value": "x"}]}), data())


def test_messages_that_end_with_the_assistant_hold_the_gold_completion() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    answered = [*messages, {"role": "assistant", "content": "a"}]
    task, open_task = tasks_from(rows_of({"messages": answered}, {"messages": messages}), data())
    assert task.prompt == open_task.prompt == messages
    assert gold_completion(data(), task) == "a"
    with pytest.raises(DataError, match=r"has no gold completion.*data\.completion"):
        gold_completion(data(), open_task)


def test_gold_completions_come_from_template_or_column() -> None:
    (task,) = tasks_from(rows_of({**ROWS[1], "completion": "c"}), data(prompt="{question}"))
    assert gold_completion(data(), task) == "c"
    assert gold_completion(data(completion="so {answer}."), task) == "so 2."
    (task,) = tasks_from(rows_of({"prompt": "p", "completion": [{"role": "assistant", "content": "d"}]}), data())
    assert gold_completion(data(), task) == "d"


@pytest.mark.parametrize(
    ("columns", "fields", "said"),
    [
        ({"qestion": "x"}, {"prompt": "{question}"}, ["line 2", "no column 'question'", "Did you mean 'qestion'?"]),
        ({"question": None}, {"prompt": "{question}"}, ["line 2", "'question' is no text", "got None"]),
        ({"question": " "}, {"prompt": "{question}"}, ["line 2", "blank"]),
        ({"question": "\ud800"}, {"prompt": "{question}"}, ["line 2", "surrogate"]),
        ({"question": "x"}, {"prompt": "{question}", "verifier": "exact"}, ["line 2", "no column 'answer'"]),
        ({"question": "x"}, {"prompt": "{question}", "answer": "answer"}, ["line 2", "no column 'answer'"]),
        (
            {"question": "x", "answer": "unknown"},
            {"prompt": "{question}", "verifier": "numeric"},
            ["line 2", "'answer' holds no number", "'unknown'"],
        ),
        (
            {"question": "x", "answer": None},
            {"prompt": "{question}", "verifier": "exact"},
            ["line 2", "'answer' is no gold answer", "got None"],
        ),
        ({"question": "x"}, {"prompt": "{question}", "completion": "{answer}"}, ["line 2", "no column 'answer'"]),
    ],
)
def test_a_bad_row_is_named(columns: dict, fields: dict, said: list[str]) -> None:
    message = refused(columns, **fields)
    for part in ["sums.jsonl", *said]:
        assert part in message


def test_without_a_prompt_the_remedy_is_a_template() -> None:
    with pytest.raises(DataError, match=r"line 1: no column 'prompt'.*question, answer, level.*Set data\.prompt"):
        tasks_from(rows_of(*ROWS), data())


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("text", "no message list"),
        ([], "no message list"),
        (["text"], "message 1 is no message"),
        ([{"role": "user", "content": "u"}, {"role": "robot", "content": "x"}], "message 2 has no known role"),
        ([{"role": "user"}], "message 1 has no text"),
        ([{"role": "assistant", "content": "a"}], "no message before"),
    ],
)
def test_bad_messages_are_named(messages: object, said: str) -> None:
    with pytest.raises(DataError) as caught:
        tasks_from(rows_of({"messages": messages}), data())
    assert "line 1" in str(caught.value) and said in str(caught.value)


def test_rows_without_messages_are_dropped_and_counted() -> None:
    said = [{"role": "user", "content": "u"}]
    loaded = loaded_from(rows_of({"messages": []}, {"messages": said}, {"messages": None}), data(missing="drop"))
    assert [task.prompt for task in loaded.tasks] == [said]
    assert loaded.dropped == {"without 'messages'": 2}


def test_a_bad_template_names_its_field() -> None:
    with pytest.raises(RecipeError, match=r"data\.prompt"):
        tasks_from(rows_of(*ROWS), data(prompt="{question.upper}"))
    with pytest.raises(RecipeError, match="prompt of suite held-out"):
        tasks_from(rows_of(*ROWS), Suite(name="held-out", dataset="x.csv", prompt="{0.a}"))


def test_a_data_set_that_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as caught:
        load_tasks(data(dataset="nobody/nothing", config="main"))
    message = str(caught.value)
    assert "nobody/nothing (main), split train cannot be loaded" in message and "\n" not in message


def test_a_data_set_of_the_datasets_library_gives_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    tasks = load_tasks(data(dataset="sums", prompt="{question}", answer="answer", verifier="exact"))
    assert [dict(task.columns) for task in tasks] == ROWS


def test_testbed_data_is_left_to_the_testbed() -> None:
    with pytest.raises(DataError, match="built by the testbed"):
        load_tasks(data(dataset="testbed/multiplication"))


def test_the_fingerprint_names_the_data(tmp_path: Path) -> None:
    assert data_fingerprint(data(dataset=save(tmp_path, ROWS))).startswith("sha256:")
    assert data_fingerprint(data(dataset="openai/gsm8k", config="main")) == "openai/gsm8k/main/train"
