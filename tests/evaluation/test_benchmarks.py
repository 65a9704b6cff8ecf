"""Every named suite, on rows of its data set: the gold answer passes, another fails, an unread one is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from understudy.build import exam_of, suite_named, tasks_of
from understudy.errors import DataError, UserMistakeError
from understudy.evaluation.benchmarks import Benchmark, askable, benchmark_named, benchmarks, with_local_data
from understudy.sandbox import SandboxUnavailableError, isolation
from understudy.tasks import verifier_from

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside this checkout")


@dataclass(frozen=True)
class Case:
    """A row of a data set's columns with completions that are right, wrong, and without an answer."""

    row: dict[str, Any]
    right: str
    wrong: str
    unread: str | None = "I do not know"  # None where every text is an answer


def competition(column: str, **more: Any) -> Case:
    return Case({column: "Find $x$ if $2x = 408$.", "answer": "204", **more}, r"So \boxed{204}.", r"So \boxed{205}.")


CASES = {
    "aime24": competition("problem", id=60, solution="...", url="u", year="2024"),
    "aime25": competition("problem", id="0"),
    "amc23": competition("question", id=0, url="u"),
    "math500": Case(
        {"problem": "Half of one?", "answer": r"\frac{1}{2}", "subject": "a", "level": 1, "unique_id": "test/1.json"},
        r"\boxed{0.5}",
        r"\boxed{\frac{2}{3}}",
    ),
    "gsm8k": Case(
        {"question": "How much is 1,000 + 234?", "answer": "It is <<1000+234=1234>>.\n#### 1,234"},
        "1000 + 234 = 1234\n#### $1234",
        "#### 1233\nso 1234",
        "the answer is 1234",
    ),
    "ifbench": Case(
        {
            "key": "0",
            "prompt": "Write 2 numbers.",
            "instruction_id_list": ["count:numbers"],
            "kwargs": [{"N": 2.0, "word": None}],
        },
        "1 and 2",
        "1, 2 and 3",
        " ",
    ),
    "ifeval": Case(
        {"key": 1000, "prompt": "No commas!", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        "none at all",
        "one, two",
        "",
    ),
    "humaneval": Case(
        {
            "task_id": "HumanEval/0",
            "prompt": 'def twice(n):\n    """Two times n."""\n',
            "entry_point": "twice",
            "test": "def check(candidate):\n    assert candidate(4) == 8\n",
            "canonical_solution": "    return 2 * n\n",
        },
        "```python\ndef twice(n):\n    return n + n\n```",
        "```python\ndef twice(n):\n    return n\n```",
        None,
    ),
    "livecodebench": Case(
        {
            "question_id": "abc1",
            "question_content": "Read n, print 2n.",
            "starter_code": "",
            "public_test_cases": json.dumps([{"input": "4\n", "output": "8\n", "testtype": "stdin"}]),
            "private_test_cases": json.dumps([{"input": "5\n", "output": "10\n", "testtype": "stdin"}]),
            "metadata": "{}",
        },
        "```python\nprint(2 * int(input()))\n```",
        "```python\nprint(8)\n```",
        "",
    ),
    "scicode": Case(
        {"step": "1.1", "prompt": "Write twice(n).", "tests": "assert twice(4) == 8"},
        "```python\ndef twice(n):\n    return n + n\n```",
        "```python\ndef twice(n):\n    return n\n```",
        "",
    ),
    "bbh_boolean_expressions": Case({"input": "not ( True ) is", "target": "False"}, "Answer: false", "Answer: True"),
    "bbh_navigate": Case({"input": "Turn left.", "target": "No"}, "So the answer is **No**.", "Answer: Yes"),
    "bbh_multistep_arithmetic_two": Case({"input": "(-1) * 24 =", "target": "-24"}, "Answer: -24", "Answer: 24"),
    "bbh_word_sorting": Case(
        {"input": "Sort: b a", "target": "a b"}, "Answer: a b", "Answer: b a", "The words are a and b"
    ),
    "bbh_date_understanding": Case({"input": "Q\n(A) x\n(B) y", "target": "(B)"}, "Answer: B", "Answer: (A)"),
    "bbh_logical_deduction_three_objects": Case({"input": "Q\n(A) x", "target": "(A)"}, "Answer: A", "Answer: C"),
}
OPTIONS = {
    "gpqa_diamond": {
        "Question": "Which?",
        "Correct Answer": "right\n",
        "Incorrect Answer 1": "one",
        "Incorrect Answer 2": "two",
        "Incorrect Answer 3": "three",
        "Record ID": "rec1",
    },
    "mmlu_redux": {
        "question": "Which?",
        "choices": ["one", "two", "right", "three"],
        "answer": 2,
        "error_type": "ok",
    },
    "mmlu_pro": {
        "question_id": 70,
        "question": "Which?",
        "options": ["one", "two", "three", "four", "five", "right"],
        "answer": "F",
        "answer_index": 5,
    },
}


def needs_sandbox() -> None:
    try:
        isolation()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def judged(name: str, file: Path, *completions: str) -> list[bool | None]:
    """Whether each completion to the first problem is right; None where no answer could be read."""
    suite = suite_named(name, data=file)
    task, verify = tasks_of(suite)[0], verifier_from(suite.verifier, suite.gold_column)
    assert verify is not None
    verdicts = [verify(completion, task.columns) for completion in completions]
    return [None if verdict.parsed is None else verdict.correct for verdict in verdicts]


@pytest.mark.parametrize("name", CASES)
def test_a_suite_reads_answers_as_its_prompt_asks_for_them(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if name in ("humaneval", "livecodebench", "scicode"):
        needs_sandbox()
    file = write(tmp_path / "rows.jsonl", case.row)
    assert judged(name, file, case.right, case.wrong) == [True, False]
    assert case.unread is None or judged(name, file, case.unread) == [None]


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_shuffled_and_the_letter_follows_the_right_one(name: str, tmp_path: Path) -> None:
    row = OPTIONS[name]
    key = "Question" if "Question" in row else "question"
    rows = [{**row, "question_id": n, "Record ID": str(n), key: f"{n}?", **moved(row, n)} for n in range(12)]
    suite = suite_named(name, data=write(tmp_path / "rows.jsonl", *rows))
    tasks, verify = tasks_of(suite), verifier_from(suite.verifier, suite.gold_column)
    letters = set()
    for task in tasks:
        (message,) = task.prompt
        assert isinstance(message, dict)
        shown = dict(line.split(") ", 1) for line in str(message["content"]).splitlines() if line[1:3] == ") ")
        letter = task.columns["letter"]
        assert shown[letter].startswith("right") and "one" in shown.values()
        letters.add(letter)
        assert verify is not None and verify(f"A is tempting.\n\nAnswer: {letter}", task.columns).correct
        other = next(one for one in shown if one != letter)
        assert not verify(f"Answer: {other}", task.columns).correct
    assert len(letters) > 1
    assert [task.prompt for task in tasks_of(suite)] == [task.prompt for task in tasks]


def moved(row: dict[str, Any], n: int) -> dict[str, Any]:
    """The same row with another text of the right option, so that its order is another."""
    changed = {"Correct Answer": f"right {n}"} if "Correct Answer" in row else {}
    for key in ("choices", "options"):
        if key in row:
            changed[key] = [f"right {n}" if text == "right" else text for text in row[key]]
    return changed


def test_the_order_of_options_is_that_of_the_question_wherever_it_stands(tmp_path: Path) -> None:
    row = OPTIONS["mmlu_pro"]
    other = {**row, "question_id": 71, "question": "Other?"}
    first = tasks_of(suite_named("mmlu_pro", data=write(tmp_path / "a.jsonl", row, other)))[0]
    last = tasks_of(suite_named("mmlu_pro", data=write(tmp_path / "b.jsonl", other, row)))[-1]
    assert first.prompt == last.prompt


@pytest.mark.parametrize(
    "change",
    [{"options": "one"}, {"options": ["one"]}, {"options": [1, 2]}, {"answer_index": 9}, {"answer_index": None}],
)
def test_options_that_cannot_be_shown_are_refused_with_their_place(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl, line 1"):
        tasks_of(suite_named("mmlu_pro", data=write(tmp_path / "rows.jsonl", {**OPTIONS["mmlu_pro"], **change})))


def test_every_suite_has_a_source_a_licence_and_a_test() -> None:
    assert {one.name for one in benchmarks().values()} == set(CASES) | set(OPTIONS)
    for benchmark in benchmarks().values():
        assert isinstance(benchmark, Benchmark) and benchmark.suite.verifier.kind != "none"
        assert ("arXiv" in benchmark.citation) or ("Mathematical Association" in benchmark.citation)
    assert benchmark_named("aime24").suite.num_samples == benchmark_named("amc23").suite.num_samples == 32


def test_a_folder_of_data_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = CASES["gsm8k"].row
    benchmark = benchmark_named("gsm8k")
    monkeypatch.delenv("UNDERSTUDY_DATA_DIR", raising=False)
    assert with_local_data(benchmark).dataset == "openai/gsm8k"
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path))
    assert with_local_data(benchmark).dataset == "openai/gsm8k"  # nothing there: the hub's
    (tmp_path / "gsm8k").mkdir()
    inside = write(tmp_path / "gsm8k" / "test.jsonl", row)
    assert with_local_data(benchmark).dataset == str(inside) and with_local_data(benchmark).config is None
    named = write(tmp_path / "gsm8k.jsonl", row)
    assert with_local_data(benchmark, tmp_path).dataset == str(named)
    with pytest.raises(DataError, match="holds no data of suite aime24"):
        with_local_data(benchmark_named("aime24"), tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="a folder"):
        with_local_data(benchmark_named("aime24"), Path("~"))
    assert askable(tmp_path) == {"gsm8k"} and "scicode" not in askable()
    with pytest.raises(DataError, match=r"suite scicode needs a file.*--data"):
        monkeypatch.delenv("UNDERSTUDY_DATA_DIR")
        suite_named("scicode")
    with pytest.raises(UserMistakeError, match="Did you mean 'gsm8k'"):
        suite_named("gsm8")


@needs_data
@pytest.mark.parametrize(
    ("name", "count"),
    [("gsm8k", 1319), ("ifbench", 300), *((name, 250) for name in CASES if name.startswith("bbh_"))],
)
def test_real_data_can_be_read_whole(name: str, count: int) -> None:
    exam = exam_of(suite_named(name, data=SHARED))
    assert len(exam.tasks) == count and exam.verifier is not None
    if name == "ifbench":
        return  # its prompts have no gold answers
    if name == "gsm8k":
        assert all(exam.verifier(str(task.columns["answer"]), task.columns).correct for task in exam.tasks)
    else:
        assert all(exam.verifier(f"Answer: {task.columns['target']}", task.columns).correct for task in exam.tasks)
