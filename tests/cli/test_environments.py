"""Recipes with an environment: the toy of two turns trains, agents are refused, rewards need a judge."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Understudy

ROOT = Path(__file__).parents[2]
TURNS = ROOT / "recipes" / "toy-turns.yaml"


def test_toy_turns_brings_the_student_to_its_teacher(understudy: Understudy, tmp_path: Path) -> None:
    """Half of the recipe's steps: rollouts of two fresh prompts, the suite in its environment, a real gain."""
    ended = understudy("train", TURNS, f"output={tmp_path}", "steps=15")
    assert ended.code == 0, ended.err
    run = tmp_path / "toy-turns"
    suite = json.loads((run / "summary.json").read_text())["suites"]["remember-digit"]
    assert suite["before"]["high"] < suite["after"]["low"]
    assert suite["teacher"]["mean"] > 0.9 and suite["before"]["n"] == 10
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first, last = ([line["reward"] for line in part] for part in (lines[:5], lines[-5:]))
    assert sum(last) > sum(first) + 0.5
    saved = pq.read_table(next((run / "rollouts").glob("*.parquet"))).to_pylist()
    assert {row["turn"] for row in saved} == {0, 1}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("alfworld, python: no-such-python", "the Python for ALFWorld cannot be started; got no-such-python"),
        ("webshop", "the shop's folder data/webshop has no items_shuffle.json"),
        ("search_qa", "environment search_qa does not say where documents are found"),
    ],
)
def test_agents_pass_a_dry_run_and_are_refused_before_anything_is_loaded(
    understudy: Understudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [f"environment={{kind: {kind}}}", "student.model=no/such-model", "data.dataset=no-such-file.jsonl"]
    planned = understudy("train", TURNS, *options, "--dry-run", "--json")
    assert planned.code == 0 and json.loads(planned.out)["method"] == "atod", planned.err
    refused = understudy("train", TURNS, *options)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert said in refused.err
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize("method", ["grpo", "atod", "scope"])
def test_a_method_of_rewards_is_refused_where_nothing_gives_any(
    understudy: Understudy, tmp_path: Path, method: str
) -> None:
    plain = ["environment=single_turn", f"objective={{method: {method}}}", f"output={tmp_path}"]
    refused = understudy("train", TURNS, *plain)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"method '{method}' needs" in refused.err and "Give data a verifier" in refused.err


@pytest.mark.parametrize("method", ["grpo", "atod", "mopd"])
def test_a_reward_with_nothing_beside_it_is_refused(understudy: Understudy, tmp_path: Path, method: str) -> None:
    """A group of one would train on advantages of zero to the end, and say nothing."""
    alone = ["rollout.num_generations=1", f"objective={{method: {method}}}", f"output={tmp_path}"]
    refused = understudy("train", TURNS, *alone)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"method '{method}' compares the rewards" in refused.err and "rollout.num_generations: 1" in refused.err
    assert not list(tmp_path.iterdir())


def test_a_model_is_examined_in_the_suites_own_environment(understudy: Understudy) -> None:
    ended = understudy("evaluate", "testbed/remember-digit-teacher", "--suite", "testbed/remember-digit", "--json")
    assert ended.code == 0, ended.err
    (figures,) = json.loads(ended.out)
    assert figures["name"] == "remember-digit" and figures["mean"] > 0.9
