"""What a student reads, in full and in few words, and how its own words are taken."""

from __future__ import annotations

import pytest

from understudy.environments.agents import Agent, Past, Sight
from understudy.environments.household import Household, demonstrate, manner, tiny_household_tasks
from understudy.environments.household.tiny import VOCABULARY, shown, spoken, tiny_reply, tiny_words, wanted
from understudy.environments.household.words import full_words, growing_words

FIRST = Sight("cool a mug and put it on the shelf", "You see a shelf 1.", ("go to shelf 1", "help", "look"), (), 0)
LATER = Sight(
    goal=FIRST.goal,
    observation="You arrive at shelf 1.",
    admissible=("examine shelf 1",),
    history=(Past("It is dark.", "look"), Past("You see a shelf 1.", "go to shelf 1")),
    num_steps=7,
)


def text(words, sight: Sight) -> str:
    (message,) = words(sight)
    assert message["role"] == "user"
    return message["content"]


def test_the_first_prompt_has_no_past() -> None:
    read = text(full_words, FIRST)
    assert "Your task is to: cool a mug and put it on the shelf." in read and "step" not in read
    assert "What you see now: You see a shelf 1.\nActions you can take now:\n'go to shelf 1'\n'look'\n\n" in read
    assert "<think> and </think>" in read and "<action> and </action>" in read and "help" not in read


def test_later_prompts_number_the_window() -> None:
    read = text(full_words, LATER)
    assert "You have taken 7 step(s) so far. The last 2," in read and "This is step 8." in read
    assert (
        "[Observation 6: 'It is dark.', Action 6: 'look']\n"
        "[Observation 7: 'You see a shelf 1.', Action 7: 'go to shelf 1']\n" in read
    )


def test_a_growing_conversation_says_the_task_once() -> None:
    assert growing_words(FIRST) == full_words(FIRST)
    later = text(growing_words, LATER)
    assert later == "What you see now: You arrive at shelf 1.\nActions you can take now:\n'examine shelf 1'"


@pytest.mark.parametrize(
    ("observation", "few"),
    [
        ("You are in the middle of a room. Looking quickly around you, you see a shelf 1.", "start"),
        ("You arrive at fridge 1. The fridge 1 is closed.", "fridge closed"),
        ("You open the fridge 1. The fridge 1 is open. In it, you see nothing.", "open fridge see nothing"),
        ("You arrive at shelf 1. On the shelf 1, you see a mug 2, and a plate 1.", "shelf see mug 2 plate"),
        ("You pick up the mug 1 from the shelf 1.", "have mug shelf"),
        ("You move the mug 1 to the shelf 1.", "put mug shelf"),
        ("You heat the mug 1 using the microwave 1.", "heat mug microwave"),
        ("You are carrying: a mug 1.", "have mug"),
        ("You are not carrying anything.", "have nothing"),
        ("This is a hot and clean apple 1.", "hot clean apple"),
        ("Nothing happens.", "nope"),
        ("Nothing happens: no action could be read.", "nope"),
        ("You are facing the shelf 1. Next to it, you see nothing.", "shelf"),
    ],
)
def test_observations_in_few_words(observation: str, few: str) -> None:
    assert shown(observation) == few


def test_every_tiny_prompt_ends_with_the_goals_thing_and_uses_known_words_only() -> None:
    for style in ("fresh", "growing"):
        for task in tiny_household_tasks("train", 30, 1, kinds=("place", "two", "clean", "heat", "cool")):
            agent = Agent(Household(), manner("tiny", style=style))
            seen = agent.reset(task, 0)
            for move in demonstrate(task, off_plan=0.3).moves:
                words = [*str(seen.prompt).split(), *spoken(move.action).split()]
                assert set(words) <= set(VOCABULARY), set(words) - set(VOCABULARY)
                assert str(seen.prompt).split()[-1] == task.columns["thing"]
                seen = agent.step(spoken(move.action))
    assert len(VOCABULARY) == len(set(VOCABULARY)) < 50


def test_the_goal_in_few_words_keeps_tasks_apart() -> None:
    said = {wanted(str(task.prompt)) for task in tiny_household_tasks("train", 300)}
    assert len(said) == len({task.prompt for task in tiny_household_tasks("train", 300)})
    assert wanted("look at a book under the desklamp") == "desklamp book"


def test_tiny_replies_are_the_worlds_actions() -> None:
    for task in tiny_household_tasks("train", 20, 2, kinds=("two",)):
        for move in demonstrate(task, off_plan=0.5).moves:
            assert tiny_reply(spoken(move.action)).action == move.action
    assert tiny_reply(" ").well_formed is False and tiny_reply("blue fish").action == "blue fish"
    assert tiny_words(LATER).split()[-4:] == [":", "shelf", "cool", "mug"]
