"""The quizzes that office models learn beside their errands."""

from __future__ import annotations

from itertools import islice

import pytest

from understudy.environments.tiny_office import tiny_office_vocabulary
from understudy.recipe import Suite
from understudy.tasks import verifier_from
from understudy.testbed import suite_named, tasks
from understudy.testbed.office_quiz import MAX_COMPLETION_TOKENS, QUIZZES, draw_questions, lessons


@pytest.mark.parametrize("name", QUIZZES)
def test_questions_are_in_known_words_and_held_out_ones_are_never_taught(name: str) -> None:
    known = set(tiny_office_vocabulary())
    train, unseen = ({one.prompt for one in islice(draw_questions(name, split), 300)} for split in ("train", "eval"))
    assert not train & unseen
    for question in islice(draw_questions(name, "eval"), 100):
        assert {*question.prompt.split(), *question.answer.split()} <= known
        assert len(question.answer.split()) < MAX_COMPLETION_TOKENS


def test_answers_by_hand() -> None:
    for name, question in ((name, next(draw_questions(name, "train"))) for name in QUIZZES):
        words = question.prompt.split()
        asked = words[1:-1]
        answers = {"quiz-largest": max(asked), "quiz-smallest": min(asked), "quiz-count": str(len(asked))}
        assert question.answer == answers[name]


def test_lessons_take_the_quizzes_in_turn() -> None:
    first = [str(lesson.task.prompt).split()[0] for lesson in islice(lessons(4), 6)]
    assert first == ["most", "least", "count"] * 2


@pytest.mark.parametrize("name", QUIZZES)
def test_suites_and_problems_by_name(name: str) -> None:
    suite = suite_named(f"testbed/{name}")
    assert isinstance(suite, Suite) and suite.dataset == f"testbed/{name}"
    task = tasks(suite.dataset, "eval", limit=3)[0]
    verify = verifier_from(suite.verifier, suite.answer)
    assert verify is not None
    assert verify(str(task.columns["answer"]), task.columns).correct
    assert not verify("pen", task.columns).correct
