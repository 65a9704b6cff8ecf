"""A few completions to look at: of models, runs, suites, typed prompts and servers, and two models side by side."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.serving.served import served_model
from tests.tiny_files import SUITE, Workplace, write_rows


def lines_of(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_typed_prompt_is_answered_readably(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("sample", "student", "w2 w3", "w4", "--max-tokens", 5, "-n", 2)
    assert ended.code == 0, ended.err
    text = ended.out.splitlines()
    assert text[:3] == ["prompt 1", "  prompt", "    | w2 w3"] and "prompt 2" in text
    answers = [line for line in text if line.startswith("  student: ")]
    assert len(answers) == 4
    assert all("token" in line and ("cut off" in line or "ended by itself" in line) for line in answers)
    assert all("mean log-prob -" in line for line in answers)


def test_the_log_prob_is_the_model_s_own_whatever_it_was_drawn_from(place: Workplace, understudy: Understudy) -> None:
    greedy = ("sample", "student", "w2 w3", "--temperature", 0, "--max-tokens", 6, "--json")
    (line,) = lines_of(understudy(*greedy).out)
    (again,) = lines_of(understudy(*greedy, "--top-p", 0.5).out)
    assert line == again and line["num_tokens"] in range(1, 7)
    assert -4 < float(str(line["mean_logprob"])) < -0.1  # 0 by the distribution that drew it
    assert (line["model"], line["prompt"], line["turn"], line["reward"]) == ("student", "w2 w3", 0, None)


def test_a_run_is_asked_its_own_problems_by_its_newest_weights(place: Workplace, understudy: Understudy) -> None:
    place.write_recipe("short.yaml", steps=2, student={"model": str(place.path / "student"), "lora": {"rank": 2}})
    assert understudy("train", "short.yaml", "name=tiny", "checkpoint.every=1").code == 0
    ended = understudy("sample", "runs/tiny", "--json", "--limit", 3)
    assert ended.code == 0, ended.err
    found = lines_of(ended.out)
    assert {line["model"] for line in found} == {"runs/tiny, step 2"} and len(found) == 3
    assert all(line["reward"] is not None and line["correct"] in (True, False) for line in found)
    assert all(int(str(line["num_tokens"])) <= 8 for line in found)  # the recipe's
    beside = understudy("sample", "runs/tiny", "--step", 1, "--beside", "runs/tiny/checkpoints/step-000002", "w2")
    assert beside.code == 0, beside.err
    assert [line.split(":")[0].strip() for line in beside.out.splitlines() if "token" in line] == [
        "runs/tiny, step 1",
        "runs/tiny/checkpoints/step-000002",
    ]
    assert beside.out.count("  prompt\n") == 1
    assert_is_refused(understudy("sample", "runs/tiny", "--step", 9), "no checkpoint of step 9", "1, 2")


def test_problems_of_recipes_suites_and_files(
    place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.path / "words.yaml").write_text(yaml.safe_dump(json.loads(json.dumps({**SUITE, "name": None}))))
    write_rows(place.path / "rows.jsonl", [{"question": "w2 w3", "answer": "w5"}, {"question": "w4", "answer": "w5"}])
    for data in ("tiny.yaml", "words.yaml"):
        found = lines_of(understudy("sample", "student", "--data", data, "--limit", 2, "--json").out)
        assert len(found) == 2 and all(line["reward"] is not None for line in found), data
    asked = ("sample", "student", "--data", "rows.jsonl", "--template", "{question} w6", "--json")
    found = lines_of(understudy(*asked).out)
    assert [line["prompt"] for line in found] == ["w2 w3 w6\n", "w4 w6\n"]
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"prompt": "w7"}\n{"prompt": "w8"}\n'))
    assert [line["prompt"] for line in lines_of(understudy("sample", "student", "w6", "-", "--json").out)] == [
        "w6",
        "w7",
        "w8",
    ]


def test_a_server_is_asked_beside_a_model(place: Workplace, understudy: Understudy) -> None:
    with served_model(place.path / "teacher") as url:
        few = ("w2 w3", "--no-chat", "--temperature", 0, "--max-tokens", 4, "--json")
        ended = understudy("sample", "teacher", "--beside", url, *few)
        assert ended.code == 0, ended.err
        mine, theirs = lines_of(ended.out)
        assert mine["completion"] == theirs["completion"] and mine["num_tokens"] == theirs["num_tokens"]
        assert theirs["mean_logprob"] is None and str(theirs["model"]).endswith(f"teacher at {url}")
        graded = understudy("sample", url, "--data", "tiny.yaml", "--no-chat", "--limit", 1, "--json")
        assert lines_of(graded.out)[0]["reward"] is not None


def test_an_episode_is_shown_turn_by_turn(place: Workplace, understudy: Understudy, tmp_path: Path) -> None:
    (place.path / "turns.yaml").write_text(
        yaml.safe_dump(
            {
                **place.recipe(),
                "environment": "remember_digit",
                "rollout": {"max_turns": 2, "max_completion_length": 4},
            }
        )
    )
    ended = understudy("sample", "student", "--data", "turns.yaml", "--limit", 1)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("problem ") and "  then\n" in ended.out
    with served_model(place.path / "student") as url:
        assert_is_refused(understudy("sample", url, "--data", "turns.yaml"), "several turns")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("student",), ("nothing to ask", "--data")),
        (("student", "w2", "--data", "tiny.yaml"), ("both prompts and --data",)),
        (("student", "w2", "--limit", 2), ("--limit counts problems",)),
        (("student", "w2", "--template", "x"), ("--template is for the rows",)),
        (("student", "w2", "--step", 2), ("--step names a checkpoint of a run",)),
        (("student", "w2", "--top-p", 0), ("--top-p", "more than 0")),
        (("student", "--data", "none.yaml"), ("none.yaml does not exist",)),
        (("student", "w2 " * 70), ("70",)),
        (("nobody", "w2"), ("no model at nobody",)),
    ],
)
def test_mistakes_are_one_sentence(
    place: Workplace, understudy: Understudy, arguments: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    assert_is_refused(understudy("sample", *arguments), *parts)


def test_a_run_before_its_first_checkpoint(place: Workplace, understudy: Understudy) -> None:
    place.run.mkdir(parents=True)
    (place.run / "recipe.yaml").write_text((place.path / "tiny.yaml").read_text())
    assert_is_refused(understudy("sample", "runs/tiny"), "has no checkpoint", "from its first one on")


def test_nothing_on_standard_input(place: Workplace, understudy: Understudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert_is_refused(understudy("sample", "student", "-"), "standard input has no prompt")
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"question": "w2"}\n'))
    assert_is_refused(understudy("sample", "student", "-"), "line 1 of standard input", "'question'", "messages")
