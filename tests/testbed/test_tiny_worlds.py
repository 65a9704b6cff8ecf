"""The tiny worlds as lessons, problems and suites."""

from __future__ import annotations

from itertools import islice

import pytest

from understudy.errors import DataError
from understudy.testbed import suite_named, tasks
from understudy.testbed.subjects import SUBJECTS
from understudy.testbed.tiny_worlds import CONTEXT_TOKENS, MAX_COMPLETION_TOKENS, WORLDS, TinyWorld

NAMES = sorted(WORLDS)


def success(world: TinyWorld, manner: str, *, count: int = 100) -> float:
    """The share of unseen goals that one of the manners reaches."""
    agent, reached = world.agent(), 0
    for task in world.tasks("eval", count, 0):
        seen = agent.reset(task, 0)
        for _ in range(world.environment.num_turns):
            seen = seen if seen.done else agent.step(getattr(world, manner)(str(seen.prompt)))
        reached += bool(seen.correct)
    return reached / count


@pytest.mark.parametrize("name", NAMES)
def test_care_reaches_every_goal_and_haste_few(name: str) -> None:
    assert success(WORLDS[name], "careful") == 1.0
    assert success(WORLDS[name], "hasty") < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_lessons_are_in_known_words_and_fit(name: str) -> None:
    subject = SUBJECTS[name]
    tokenizer = subject.build_tokenizer()
    assert len(tokenizer) == subject.vocab_size
    for lesson in islice(subject.lessons(3), 500):
        prompt = tokenizer(lesson.task.prompt)["input_ids"]
        for reply in (lesson.own, lesson.foreign):
            said = tokenizer(reply, add_special_tokens=False)["input_ids"]
            assert tokenizer.unk_token_id not in (*prompt, *said), lesson
            assert tokenizer.decode(said) == reply and len(said) < MAX_COMPLETION_TOKENS
        assert len(prompt) + MAX_COMPLETION_TOKENS <= CONTEXT_TOKENS


@pytest.mark.parametrize("name", ["tiny-search", "tiny-shop"])
def test_lessons_show_mistakes_and_how_to_go_on(name: str) -> None:
    lessons = list(islice(SUBJECTS[name].lessons(0), 600))
    assert any("no action could be read" in str(lesson.task.prompt) for lesson in lessons)
    after_half_a_search = [one.own for one in lessons if str(one.task.prompt).startswith("Doc")]
    back = {"tiny-shop": "click < prev", "tiny-search": "search "}[name]
    found = [one.own for one in lessons] if name == "tiny-shop" else after_half_a_search
    assert any(own.startswith(back) and len(own.split()) == 3 for own in found)
    assert [lesson.own for lesson in islice(SUBJECTS[name].lessons(1), 50)] != [lesson.own for lesson in lessons[:50]]


def test_lessons_of_the_office_show_mistakes_and_questions_beside_them() -> None:
    lessons = list(islice(SUBJECTS["tiny-office"].lessons(0), 600))
    shown = [str(lesson.task.prompt) for lesson in lessons]
    assert any(prompt.startswith("no ") for prompt in shown)  # after an action that could not be done
    typed = [one for one, prompt in zip(lessons, shown, strict=True) if " total 0 " in prompt]
    assert typed and all(one.own in ("total", "copy " + one.own[5:]) for one in typed)  # is put right by a formula
    quizzes = [lesson for lesson in lessons if lesson.task.problem.startswith("quiz-")]
    assert len(quizzes) == 100 and all(one.own == one.foreign for one in quizzes)


@pytest.mark.parametrize("name", NAMES)
def test_problems_and_suites_by_name(name: str) -> None:
    assert len(tasks(f"testbed/{name}", "eval", limit=7)) == 7
    assert tasks(f"testbed/{name}", "train", limit=5) != tasks(f"testbed/{name}", "validation", limit=5)
    suite = suite_named(f"testbed/{name}")
    assert suite.dataset == f"testbed/{name}" and suite.environment == WORLDS[name].environment
    with pytest.raises(DataError, match="no split of that name"):
        tasks(f"testbed/{name}", "dev")
