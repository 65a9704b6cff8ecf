"""``understudy plan`` as a user meets it: the table, JSON, and mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace

RECIPES = Path(__file__).parents[2] / "recipes"


def test_a_paper_plan_of_a_full_size_recipe(understudy: Understudy) -> None:
    ended = understudy("plan", RECIPES / "tropd-math.yaml", "--gpus", 16, "--hardware", "h200", "--json")
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert plan["hardware"] == "H200" and plan["seconds"] > 0
    assert plan["rows"][0]["phase"] == "sampling"
    assert plan["sweep"][-1]["devices"] == 1000
    assert any("Qwen2.5-7B" in note for note in plan["notes"])


def test_the_table(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("plan", "tiny.yaml", "--gpus", 2, "--prompt-tokens", 5, "--staleness", 1, "--grow")
    assert ended.code == 0, ended.err
    for words in ("bound by", "teacher score", "update", "bottleneck: ", "batch grows", "1000", "at its longest"):
        assert words in ended.out
    assert f"The student is {place.path / 'student'}" in ended.out and "(--prompt-tokens)" not in ended.out


def test_hardware_of_ones_own(place: Workplace, understudy: Understudy) -> None:
    (place.path / "mine.yaml").write_text("{like: a100, memory_bytes: 40e9}")
    ended = understudy("plan", "tiny.yaml", "--hardware", "mine.yaml", "--json")
    assert json.loads(ended.out)["hardware"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpus", 0], "--gpus is out of range; got 0; expected at least 1"),
        (["--staleness", -1], "--staleness is out of range"),
        (["--completion-tokens", "1e300"], "expected at least 1 and at most 1,000,000,000"),
        (["--prompt-tokens", "nan"], "--prompt-tokens is out of range; got nan"),
        (["--hardware", "v100"], "--hardware is not known; got v100; expected h200, h100, a100, cpu or a YAML file"),
        (["--hardware", "none.yaml"], "none.yaml cannot be read as hardware; got No such file"),
        (["--hardware", "bad.yaml"], "bad.yaml: memory_rate cannot be used; got fast; expected a number above 0"),
        (["--hardware", "endless.yaml"], "endless.yaml: memory_bytes cannot be used; got inf"),
        (["--hardware", "list.yaml"], "list.yaml is like nothing known"),
        (
            ["--hardware", "half.yaml"],
            "half.yaml: devices_per_machine cannot be used; got 0.5; expected a whole",
        ),
        (["--hardware", "word.yaml"], "word.yaml: writes_attention cannot be used; got no; expected true or false"),
        (["--environment-seconds", "nan"], "--environment-seconds is out of range; got nan; expected at least 0"),
        (["--completion-tokens", "inf"], "--completion-tokens is out of range; got inf"),
        (["--student-config", "experts.json"], "no usable num_experts_per_tok; got [1, 2]"),
        (["student.model=org/unknown"], "the architecture of the student is not known; got org/unknown"),
        (["teacher.model=org/unknown", "--teacher-config", "bad.yaml"], "teacher's configuration cannot be read"),
        (["teacher={server: 'http://a:1'}"], "does not say which model the teacher's server has"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[object], words: str, place: Workplace, understudy: Understudy
) -> None:
    for name, text in {
        "bad.yaml": "{like: a100, memory_rate: fast}",
        "endless.yaml": "{like: a100, memory_bytes: .inf}",
        "list.yaml": "{like: [a100]}",
        "half.yaml": "{like: a100, devices_per_machine: 0.5}",
        "word.yaml": "{like: a100, writes_attention: 'no'}",
        "experts.json": '{"hidden_size": 8, "num_attention_heads": 2, "num_experts": 4, "num_experts_per_tok": [1, 2]}',
    }.items():
        (place.path / name).write_text(text)
    assert_is_refused(understudy("plan", "tiny.yaml", *arguments), words)
