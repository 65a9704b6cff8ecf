from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import understudy as us
from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import SUITE, Workplace, files_of, write_rows
from understudy.evaluation.suites import read_suite_result
from understudy.training.progress import Silent


@pytest.fixture
def suite(place: Workplace) -> str:
    content = {key: value for key, value in SUITE.items() if key != "name"}
    (place.path / "words.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(content))))
    return "words.yaml"


def test_a_table(place: Workplace, suite: str, understudy: Understudy) -> None:
    ended = understudy("evaluate", "student", "--suite", suite)
    assert ended.code == 0
    heading, row, more = ended.out.strip().splitlines()
    assert heading.split() == ["suite", "score", "problems", "samples", "truncated", "unread", "failed"]
    assert row.split()[0] == "words"
    assert "12 " in row
    assert "36 " in row
    assert "pass@3" in more and "majority@3" in more and "another run on these problems" in more


def test_the_list_has_every_suite_and_needs_no_model(understudy: Understudy) -> None:
    ended = understudy("evaluate", "--list")
    assert ended.code == 0 and {"aime24", "gsm8k", "mmlu_pro", "gpqa_diamond"} <= set(ended.out.split())
    (entry,) = [one for one in json.loads(understudy("evaluate", "--list", "--json").out) if one["name"] == "aime25"]
    assert (entry["suite"]["num_samples"], entry["suite"]["temperature"]) == (32, 0.6)
    assert_is_refused(understudy("evaluate"), "nothing to evaluate", "--list")


def test_a_named_suite_on_data_of_ones_own(place: Workplace, understudy: Understudy) -> None:
    rows = [{"question": f"w{2 + n} w3", "answer": f"so #### {n}"} for n in range(4)]
    write_rows(place.path / "sums.jsonl", rows)
    arguments = ("evaluate", "student", "--suite", "gsm8k", "--data", "sums.jsonl", "--max-tokens", 4, "--no-chat")
    (figures,) = json.loads(understudy(*arguments, "--json").out)
    assert (figures["n"], figures["mean"], figures["parse_failure_rate"]) == (4, 0.0, 1.0)
    assert figures["about"]["suite_version"] == 1 and figures["about"]["settings"]["max_completion_length"] == 4
    again = understudy(*arguments)
    assert "4 of 4 answers are known from before" in again.err
    assert "known" not in understudy(*arguments, "--fresh").err
    write_rows(place.path / "sums.jsonl", rows[:3])  # other data are another question
    assert "known" not in understudy(*arguments).err


def test_the_regression_suite_is_several_and_what_it_lacks_is_told(place: Workplace, understudy: Understudy) -> None:
    options = {"Correct Answer": "a", **{f"Incorrect Answer {n}": f"b{n}" for n in (1, 2, 3)}}
    write_rows(place.path / "gpqa_diamond.jsonl", [{"Record ID": "r", "Question": "w2 w3", **options}])
    write_rows(place.path / "aime25.jsonl", [{"problem": "w2 w3", "answer": "4"}])
    row = {"question_id": 7, "question": "w2", "options": ["a", "b"], "answer_index": 1}
    write_rows(place.path / "mmlu_pro.jsonl", [row])
    few = ("--max-tokens", 3, "--no-chat", "--num-samples", 1)
    ended = understudy("evaluate", "student", "--suite", "regression", "--data", ".", *few, "--out", "base", "--json")
    assert {"gpqa_diamond", "mmlu_pro", "aime25"} <= {figures["name"] for figures in json.loads(ended.out)}
    assert understudy("compare", "base", "base", "--regression").code == 0
    assert "regression is gpqa_diamond, mmlu_pro, aime25" in understudy("evaluate", "--list").out


def test_an_interrupted_evaluation_ends_as_one_that_was_not(place: Workplace, suite: str, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    (expected,) = us.evaluate("student", [suite], keep=whole, display=Silent())
    part.mkdir()
    (journal,) = whole.iterdir()
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 36
    (part / journal.name).write_text("".join(lines[:14]) + lines[14][:30])
    (resumed,) = us.evaluate("student", [suite], keep=part, display=Silent())
    assert resumed == expected
    assert (part / journal.name).read_text() == journal.read_text()


def test_a_recipe_takes_suites_by_their_names(
    place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(place.path / "gsm8k.jsonl", [{"question": f"w{2 + n} w3", "answer": f"#### {n}"} for n in range(3)])
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(place.path))
    content = place.recipe(steps=1)
    content["evaluation"] = {"suites": ["gsm8k"], "teacher": False}
    (place.path / "named.yaml").write_text(yaml.safe_dump(content))
    ended = understudy("train", "named.yaml", "name=named", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["suites"]["gsm8k"]["after"]["n"] == 3


def test_a_question_too_long_for_the_model_costs_itself_alone(place: Workplace, understudy: Understudy) -> None:
    rows = [
        {"question": "w2 w3", "answer": "w2", "id": "short"},
        {"question": "w2 " * 70, "answer": "w2", "id": "long"},
    ]
    write_rows(place.path / "long.jsonl", rows)
    content = {"dataset": "long.jsonl", "prompt": "{question}", "verifier": "exact", "num_samples": 2}
    (place.path / "long.yaml").write_text(yaml.safe_dump({**content, "max_completion_length": 4}))
    ended = understudy("evaluate", "student", "--suite", "long.yaml", "--json")
    assert ended.code == 0, ended.err
    (figures,) = json.loads(ended.out)
    assert (figures["n"], figures["num_samples"], list(figures["failed"])) == (2, 4, ["long"])
    assert (
        "70 tokens" in figures["failed"]["long"]
        and "problem long" in understudy("evaluate", "student", "--suite", "long.yaml").err
    )


def test_a_verifier_that_raises_costs_its_own_attempts(
    place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.path / "moody.py").write_text(
        "def judge(text, row):\n    return 1 / len(row['question']) if text == '' else 1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(place.path))
    suite = {**SUITE, "verifier": {"kind": "python", "function": "moody:judge"}}
    (place.path / "moody.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(suite))))
    ended = understudy("evaluate", "student", "--suite", "moody.yaml", "--json")
    assert ended.code == 0, ended.err
    (figures,) = json.loads(ended.out)
    assert figures["num_failed"] > 0 and "ZeroDivisionError" in next(iter(figures["failed"].values()))


@pytest.mark.parametrize("option", [("--top-p", 3), ("--temperature", 99), ("--num-samples", 0), ("--limit", 0)])
def test_options_out_of_range_are_refused(
    place: Workplace, suite: str, understudy: Understudy, option: tuple[str, int]
) -> None:
    ended = understudy("evaluate", "student", "--suite", suite, *option)
    assert ended.code == 2 and "Traceback" not in ended.err


def test_a_named_suite_refuses_data_it_cannot_use(place: Workplace, understudy: Understudy) -> None:
    def refused(rows: list[dict[str, object]], *words: str) -> None:
        write_rows(place.path / "rows.jsonl", rows)
        suite = ("--suite", "math500", "--data", "rows.jsonl")
        assert_is_refused(understudy("evaluate", "student", *suite), "rows.jsonl", *words)

    whole: dict[str, object] = {"problem": "1 + 1?", "answer": "2", "unique_id": "a"}
    refused([whole, {"problem": "2?", "answer": "2"}], "line 2", "unique_id")
    refused([whole, {**whole, "problem": "2?"}], "1 identifiers stand in more than one row", "'a'")
    refused([{**whole, "answer": None}], "line 1", "answer")
    refused([{**whole, "answer": ""}], "line 1", "answer")
    refused([{"answer": "2", "unique_id": "a"}], "line 1", "no column 'problem'")
    (place.path / "rows.jsonl").write_text("")
    assert_is_refused(understudy("evaluate", "student", "--suite", "math500", "--data", "rows.jsonl"), "is empty")
    assert_is_refused(understudy("evaluate", "student", "--suite", "math500", "--data", "."), "holds no data of suite")
    assert understudy("evaluate", "student", "--suite", "math500", "--num-samples", 0).code == 2
    assert_is_refused(understudy("evaluate", "student", "--suite", "math50"), "Did you mean 'math500'?")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "other"), "--model"),
        (("--concurrency", 4, "--timeout-seconds", 9), "--concurrency, --timeout-seconds"),
        (("--cross-check", "lm-eval"), "another harness"),
    ],
)
def test_what_is_for_a_server_is_refused_of_a_model_of_this_machine(
    place: Workplace, suite: str, understudy: Understudy, options: tuple[object, ...], said: str
) -> None:
    ended = understudy("evaluate", "student", "--suite", suite, "--out", "results", *options)
    assert_is_refused(ended, "server", "got student", said)
    assert not (place.path / "results").exists()


def test_json_and_kept_samples_agree(place: Workplace, suite: str, understudy: Understudy) -> None:
    before = files_of(place.path)
    ended = understudy("evaluate", "teacher", "--suite", suite, "--seed", 5, "--out", "results", "--json")
    assert ended.code == 0
    (figures,) = json.loads(ended.out)
    assert {"name", "better", "mean", "low", "high", "n", "truncation_rate"} <= set(figures)
    assert (figures["name"], figures["n"], figures["num_samples"]) == ("words", 12, 36)
    result = read_suite_result(place.path / "results" / "words.json")
    assert len(result.samples) == 36
    assert result.estimate.mean == pytest.approx(figures["mean"])
    assert {name: c for name, c in files_of(place.path).items() if not name.startswith("results/")} == before


def test_options_change_what_is_put(place: Workplace, suite: str, understudy: Understudy) -> None:
    def figures(*options: object) -> dict[str, object]:
        (one,) = json.loads(understudy("evaluate", "teacher", "--suite", suite, "--json", *options).out)
        return one

    assert (figures("--limit", 5)["n"], figures("--limit", 5)["num_samples"]) == (5, 15)
    assert figures("--num-samples", 1)["num_samples"] == 12
    assert figures("--seed", 1) == figures("--seed", 1)
    means = {figures("--seed", seed)["mean"] for seed in range(6)}
    assert len(means) > 1


def test_it_gives_the_numbers_of_the_run(place: Workplace, suite: str, understudy: Understudy) -> None:
    """A checkpoint examined by itself scores as it did within its run."""
    assert understudy("train", "tiny.yaml").code == 0
    model = place.run / "checkpoints" / "step-000004" / "model"
    understudy("evaluate", model, "--suite", suite, "--seed", 3, "--out", "results")
    alone = read_suite_result(place.path / "results" / "words.json")
    within = read_suite_result(place.run / "evaluation" / "step-000004-words.json")
    assert alone == within


def test_mistakes(place: Workplace, suite: str, understudy: Understudy) -> None:
    assert_is_refused(understudy("evaluate", "studnet", "--suite", suite), "no model at studnet")
    assert_is_refused(understudy("evaluate", "student", "--suite", "none.yaml"), "none.yaml does not exist")
    assert_is_refused(understudy("evaluate", "student", "--suite", "none"), "'none'", "multiplication-greedy")
    named = ["evaluate", "student", "--suite", suite]
    assert_is_refused(understudy(*named, "--out", "words.yaml"), "words.yaml is no folder", "--out")
    made_here = understudy("evaluate", "student", "--suite", "testbed/multiplication-greedy", "--data", "rows.jsonl")
    assert_is_refused(made_here, "none reads rows.jsonl", "Leave out --data")
    assert_is_refused(understudy("evaluate", "student", "--suite", "testbed/tiny-shp"), "Did you mean tiny-shop?")
    assert_is_refused(understudy(*named, "--cross-check-python", "python3"), "--cross-check NAME")
    write_rows(place.path / "long.jsonl", [{"question": "w2 " * 70, "answer": "w2"}])
    (place.path / "long.yaml").write_text(yaml.safe_dump({"dataset": "long.jsonl", "prompt": "{question}"}))
    assert_is_refused(understudy("evaluate", "student", "--suite", "long.yaml"), "verifier", "long")
    (place.path / "long.yaml").write_text(
        yaml.safe_dump({"dataset": "long.jsonl", "prompt": "{question}", "verifier": "exact"})
    )
    assert_is_refused(understudy("evaluate", "student", "--suite", "long.yaml"), "70 tokens", "64")
    (place.path / "words.yaml").write_text("datset: held-out.jsonl\n")
    assert_is_refused(understudy("evaluate", "student", "--suite", suite), "'datset'", "Did you mean dataset?")
