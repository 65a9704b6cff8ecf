"""The toy of two turns as a testbed subject: lessons that the environment could have given, tasks and a suite."""

from __future__ import annotations

import itertools

import pytest

from tests.conformance.environment import walk
from understudy import testbed
from understudy.environments.toy import RememberDigit
from understudy.models.chat import decode, encode_completion, encode_continuation, encode_prompt
from understudy.testbed.models import REMEMBER_DIGIT_STUDENT, REMEMBER_DIGIT_TEACHER
from understudy.testbed.remembering import CONTEXT_TOKENS, DATASET, MAX_COMPLETION_TOKENS, build_tokenizer, lessons

LESSONS = list(itertools.islice(lessons(3), 900))


def prompts(style: str) -> dict[str, str]:
    """What the environment can show -> the digit it wants (fresh second turns after a wrong answer do not tell)."""
    shown = {}
    for task in testbed.tasks(DATASET):
        digit = str(task.columns["digit"])
        for said in "0123456789":
            first, second = (o.prompt for o in walk(RememberDigit(style), task, [said])[:2])
            shown[first] = digit
            shown[second if style == "fresh" else f"{first}{said}<eos>{second}"] = digit
    return shown


def test_every_lesson_is_a_turn_of_the_environment_with_the_right_digit():
    growing, fresh = prompts("growing"), prompts("fresh")
    for lesson in LESSONS:
        prompt = lesson.task.prompt
        assert prompt in growing or prompt in fresh
        assert lesson.foreign != lesson.own
        if " no:" not in prompt or "digit" in prompt:
            assert lesson.own == growing.get(prompt, fresh.get(prompt))
        else:
            assert lesson.own != prompt[5]  # whatever it was, it was not this
    assert len({lesson.task.prompt for lesson in LESSONS}) > 60


def test_ids_are_those_that_an_episode_has_and_all_fit():
    tokenizer = build_tokenizer()
    lesson = next(lesson for lesson in LESSONS if "<eos>" in lesson.task.prompt)
    first, _, second = lesson.task.prompt.partition("<eos>")
    said = encode_completion(tokenizer, first[-1], stop_id=tokenizer.eos_token_id)
    parts = [encode_prompt(tokenizer, first[:-1]), said]
    parts.append(encode_continuation(tokenizer, second, last_id=int(said[-1])))
    assert encode_prompt(tokenizer, lesson.task.prompt).tolist() == [id for part in parts for id in part.tolist()]
    assert said.numel() == MAX_COMPLETION_TOKENS
    for one in LESSONS:
        ids = encode_prompt(tokenizer, one.task.prompt)
        assert ids.numel() + MAX_COMPLETION_TOKENS <= CONTEXT_TOKENS
        assert tokenizer.unk_token_id not in ids
        assert decode(tokenizer, ids) == one.task.prompt.replace("<eos>", "")


def test_tasks_are_the_ten_digits_in_every_split():
    train = testbed.tasks(DATASET)
    assert [task.columns["digit"] for task in train] == list(range(10))
    assert testbed.tasks(DATASET, "eval") == train and testbed.tasks(DATASET, limit=3) == train[:3]
    suite = testbed.suite_named("testbed/remember-digit")
    assert suite.environment is not None and suite.environment.kind == "remember_digit"


def test_only_the_student_says_wrong_digits():
    assert REMEMBER_DIGIT_TEACHER.foreign_share == 0 and REMEMBER_DIGIT_STUDENT.foreign_share == 0.5
    assert REMEMBER_DIGIT_TEACHER.architecture.layers > REMEMBER_DIGIT_STUDENT.architecture.layers
    assert pytest.approx(0.5, abs=0.2) == len({lesson.foreign for lesson in LESSONS}) / 20  # all ten are said
