"""The tiny household as lessons, tasks and a suite."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import torch

from understudy.environments.agents import Agent
from understudy.environments.dialogues import WrittenTurn
from understudy.environments.household import Household, manner, tiny_household_tasks
from understudy.testbed import suite_named, tasks
from understudy.testbed.lesson import PlayedLesson
from understudy.testbed.models import Architecture, Schooling
from understudy.testbed.schooling import lessons, new_model, school
from understudy.testbed.subjects import SUBJECTS
from understudy.testbed.tiny_household import CONTEXT_TOKENS, MAX_COMPLETION_TOKENS, TOLD, tokenizer

BRIEF = Schooling(
    Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16),
    foreign_share=0.0,
    steps=2,
    batch_size=4,
    subject="household-tiny",
)


def stream(subject: str, count: int) -> list[PlayedLesson]:
    return [lesson for lesson in islice(SUBJECTS[subject].lessons(0), count) if isinstance(lesson, PlayedLesson)]


def played(subject: str, count: int) -> list[tuple[WrittenTurn, ...]]:
    return [lesson.own() for lesson in stream(subject, count)]


def test_an_episode_is_what_an_agent_of_the_house_would_be_shown() -> None:
    lesson = next(one for one in stream("household-tiny", 20) if " see " not in one.own()[0].shown)
    agent = Agent(Household(), manner("tiny"))
    seen = agent.reset(lesson.task, 0)
    for turn in lesson.own():
        assert turn.shown == seen.prompt
        seen = agent.step(turn.said)
    assert seen.correct


def test_the_recovery_lessons_go_astray_and_only_what_was_planned_is_taught() -> None:
    turns = [turn for turns in played("household-tiny", 200) for turn in turns]
    astray = sum(not turn.is_taught for turn in turns) / len(turns)
    assert 0.25 < astray < 0.35
    assert all(turn.is_taught for turns in played("household-tiny-clean", 50) for turn in turns)

    batch = lessons(replace(BRIEF, batch_size=64), 0, SUBJECTS["household-tiny"].lessons(0), tokenizer=tokenizer())
    taught = sum(turn.is_taught for turns in played("household-tiny", 64) for turn in turns)
    ends = batch.table["token_id"] == tokenizer().eos_token_id
    assert int(ends.sum()) == taught, "one end a taught reply, and none of the others"


def test_some_episodes_begin_with_where_the_thing_lies_and_are_shorter() -> None:
    found = played("household-tiny-clean", 300)
    told = [turns for turns in found if " see " in turns[0].shown]
    assert abs(len(told) / len(found) - TOLD) < 0.08
    lengths = {kind: sum(map(len, ones)) / len(ones) for kind, ones in (("told", told), ("all", found))}
    assert lengths["told"] < lengths["all"] - 1


def test_every_word_is_known_and_every_episode_fits() -> None:
    words = tokenizer()
    assert len(words) == SUBJECTS["household-tiny"].vocab_size
    schooling = replace(BRIEF, batch_size=100)
    for context in lessons(schooling, 0, SUBJECTS["household-tiny"].lessons(3), tokenizer=words).contexts:
        assert words.unk_token_id not in context.ids.tolist() and context.ids.numel() <= CONTEXT_TOKENS
    for turns in played("household-tiny", 50):
        assert all(len(turn.said.split()) < MAX_COMPLETION_TOKENS for turn in turns)


def test_the_foreign_manner_does_anything_and_teaches_it() -> None:
    foreign = [turn for lesson in stream("household-tiny", 100) for turn in lesson.foreign()]
    idle = [sum(turn.said in ("look", "inventory") for turn in turns) / len(turns) for turns in (foreign, own_turns())]
    assert all(turn.is_taught for turn in foreign) and idle[0] > 2 * idle[1]


def own_turns() -> list[WrittenTurn]:
    return [turn for turns in played("household-tiny", 100) for turn in turns if turn.is_taught]


def test_the_tasks_tell_a_skill_and_the_suite_is_of_unseen_goals() -> None:
    task = tasks("testbed/household-tiny", "eval", limit=1)[0]
    place, _, thing = str(task.columns["skill"]).partition(" see ")
    assert f"{thing} 1 in {place} 1" in task.columns["things"]  # type: ignore[operator]
    assert "skill" not in tiny_household_tasks("train", 1)[0].columns
    suite = suite_named("testbed/household-tiny")
    assert suite.split == "eval" and suite.environment is not None and suite.environment.num_turns == 20


def test_a_brief_schooling_takes_whole_episodes() -> None:
    before = new_model(BRIEF, tokenizer()).state_dict()
    after = school(BRIEF, name="brief").model.state_dict()
    moved = [name for name, weight in after.items() if not torch.equal(weight, before[name])]
    assert set(moved) == set(before), "every weight learns"
