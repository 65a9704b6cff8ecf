"""Experts by reinforcement learning: what they begin as, what they get better at, and where they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tests.objectives.oracle import rollout_of
from understudy import testbed
from understudy.errors import ModelError
from understudy.models.load import load_model
from understudy.objectives.context import PlanContext
from understudy.rollouts import Origin, contexts_of
from understudy.tasks.verdicts import Verdict
from understudy.testbed.datasets import ground_of, tasks
from understudy.testbed.models import Architecture, Schooling
from understudy.testbed.practice import Ground, Practice, grpo_objective, practise
from understudy.testbed.roster import MODELS, PRACTICES
from understudy.testbed.workshop import _read, _written, model_folder
from understudy.tokens import batch_of

TINY = Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16)
BASE = Schooling(TINY, foreign_share=0.5, steps=2, batch_size=4, warmup_steps=1, subject="two-tasks-untidy")
EXPERT = Practice("testbed/base", "testbed/sorting", steps=2, prompts=2, generations=3)
ROSTER = {"testbed/base": BASE, "testbed/expert": EXPERT}


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    return tmp_path


def test_an_expert_is_made_from_its_base_which_is_made_first(own_home: Path) -> None:
    heard: list[str] = []
    folders = testbed.resolve_models(["testbed/expert"], lambda name, *_: heard.append(name), schoolings=ROSTER)
    assert heard == ["testbed/base"] * 2 + ["testbed/expert"] * 2
    base = model_folder("testbed/base", BASE, schoolings=ROSTER)
    assert base.is_dir() and folders["testbed/expert"] == model_folder("testbed/expert", EXPERT, schoolings=ROSTER)
    assert testbed.resolve_model("testbed/expert", lambda name, *_: heard.append(name), schoolings=ROSTER).is_dir()
    assert len(heard) == 4


def test_whatever_defines_base_or_practice_changes_the_folder(own_home: Path) -> None:
    def folder(base: Schooling, expert: Practice) -> Path:
        return model_folder("testbed/expert", expert, schoolings={"testbed/base": base, "testbed/expert": expert})

    experts = [
        EXPERT,
        replace(EXPERT, steps=3),
        replace(EXPERT, seed=1),
        replace(EXPERT, dataset="testbed/multiplication"),
    ]
    folders = {folder(BASE, expert) for expert in experts} | {folder(replace(BASE, seed=1), EXPERT)}
    assert len(folders) == 5


def likes_ones(completion: str, _: Mapping[str, object]) -> Verdict:
    """A verifier that an untaught model can please."""
    share = completion.count("1") / max(1, len(completion))
    return Verdict(reward=share, correct=share > 0.5, parsed=completion)


def test_practice_raises_the_reward_and_repeats_to_the_bit(own_home: Path) -> None:
    base = testbed.resolve_model("testbed/base", schoolings=ROSTER)
    seen: list[float] = []

    def judge(completion: str, columns: Mapping[str, object]) -> Verdict:
        seen.append(likes_ones(completion, columns).reward)
        return likes_ones(completion, columns)

    ground = Ground(tasks("testbed/sorting", limit=8), judge, max_completion_length=4)
    practice = replace(EXPERT, steps=25, prompts=4, generations=8, learning_rate=2e-2)
    first, again = (practise(practice, load_model(base), ground, name="x").model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    each = 4 * 8 * 5
    assert len(seen) == 2 * 25 * 4 * 8
    assert sum(seen[20 * 32 : 25 * 32]) / each > sum(seen[: 5 * 32]) / each + 0.2


def test_right_answers_are_made_likelier_and_wrong_ones_less_likely() -> None:
    """One group of two, three tokens each: advantages +-1/sqrt 2, each answer's mean over its tokens, then halved."""
    rollouts = [
        replace(rollout_of((2, 3, 1), key=key, group=0, origin=Origin.STUDENT), reward=reward)
        for key, reward in enumerate((1.0, 0.0))
    ]
    table = batch_of(rollouts, contexts_of(rollouts)).table
    (plan,) = grpo_objective().plan(table, PlanContext())
    (term,) = plan.terms
    signed = term.weights * term.row_loss.advantage.squeeze(1)  # type: ignore[union-attr]
    assert signed.tolist() == pytest.approx([0.5**0.5 / 6] * 3 + [-(0.5**0.5) / 6] * 3, rel=1e-4)


def test_a_making_crosses_to_another_process_with_its_base() -> None:
    written = json.loads(json.dumps(_written("testbed/expert", ROSTER)))
    assert {name: _read(fields) for name, fields in written.items()} == ROSTER
    assert written["testbed/expert"] == asdict(EXPERT)


def test_every_expert_of_the_roster_stands_on_a_model_that_is_there() -> None:
    for name, practice in PRACTICES.items():
        assert practice.base in MODELS and ground_of(practice.dataset).tasks
        assert testbed.model_config(name).to_dict() == testbed.model_config(practice.base).to_dict()
    with pytest.raises(ModelError, match="no such testbed model"):
        model_folder("testbed/x", Practice("testbed/nobody", "testbed/sorting", steps=1), schoolings=ROSTER)


def test_the_models_of_the_demo_are_the_ones_they_always_were(own_home: Path) -> None:
    """Whoever has them cached must not train them again."""
    names = {name: model_folder(name, MODELS[name]).name for name in (testbed.TEACHER_NAME, testbed.STUDENT_NAME)}
    assert names == {
        "testbed/multiplication-teacher": "multiplication-teacher-c7ee24556413",
        "testbed/multiplication-student": "multiplication-student-4abe4544d89a",
    }
