"""The household in a few dozen words, for students that know whole words only.

A number is said only where it is not 1. The thing that the goal is about ends everything that is shown: where a small
model finds it. Without that it hardly learns: a pilot's teacher of three layers came to 36 %, and to 84 % with it.
"""

from __future__ import annotations

import re
from itertools import zip_longest

from understudy.environments.agents import Reply, Sight
from understudy.environments.household.rooms import ROOMS
from understudy.environments.household.things import LAMP, RECEPTACLES, THINGS
from understudy.protocols import Prompt

_ACTION_WORDS = ("go", "open", "close", "take", "move", "clean", "heat", "cool", "use", "examine", "look", "inventory")
_JOINING_WORDS = ("to", "from", "with")
_SIGHT_WORDS = ("start", "see", "nothing", "closed", "have", "put", "nope", "hot", "cold", "two", ":", ">")
VOCABULARY = (
    *ROOMS["tiny"].places,
    *ROOMS["tiny"].things,
    "2",
    *_ACTION_WORDS,
    *_JOINING_WORDS,
    *_SIGHT_WORDS,
)
"""Every word that a tiny household's prompts and actions use; a tokenizer adds its own end."""

_MIDDLE = "You are in the middle of a room."
_REPLACED = (
    ("Nothing happens", "nope"),
    ("Next to it, you see nothing.", ""),
    (" is open.", "."),
    ("You pick up", "have"),
    ("You are carrying", "have"),
    ("You are not carrying anything", "have nothing"),
    ("You move", "put"),
    ("You turn on", "use"),
)
_WORD = re.compile(r"[a-z]+(?: \d+)?")
_NOUNS = frozenset({*THINGS, *RECEPTACLES, LAMP})
_KEPT = _NOUNS | frozenset(VOCABULARY) - {"to", "from", "with", "look"}


def tiny_words(sight: Sight) -> Prompt:
    """The last turns, what is seen, and what is wanted: whole, or added to a growing text.

    >>> tiny_words(Sight("heat a apple and put it in the fridge", "The fridge 1 is closed.", (), (), 1))
    'fridge closed : fridge heat apple'
    """
    past = [word for one in sight.history for word in (shown(one.observation), ">", spoken(one.action), ":")]
    return " ".join([*past, shown(sight.observation), ":", wanted(sight.goal)])


def tiny_growing_words(sight: Sight) -> Prompt:
    """The same for one growing text: the goal whole at its beginning, then only what is new, and the goal's thing.

    >>> tiny_growing_words(Sight("heat a apple and put it in the fridge", "The fridge 1 is closed.", (), (), 1))
    'fridge closed : apple'
    """
    if not sight.num_steps:
        return tiny_words(sight)
    return f"{shown(sight.observation)} : {wanted(sight.goal).split()[-1]}"


def shown(observation: str) -> str:
    """An observation's words that matter.

    >>> shown("You arrive at shelf 1. On the shelf 1, you see a mug 2, and a book 1.")
    'shelf see mug 2 book'
    """
    if observation.startswith(_MIDDLE):
        return "start"  # the house is always the same
    for words, shorter in _REPLACED:
        observation = observation.replace(words, shorter)
    found: list[str] = []
    for word in _WORD.findall(observation):
        kind, _, number = word.partition(" ")
        if kind in _KEPT:
            short = kind if number in ("", "1") else word
            found += [short] if found[-1:] != [short] else []
    return " ".join(found) or "nope"


def wanted(goal: str) -> str:
    """The goal: the place, what to do, and last the thing.

    >>> wanted("put two mug on the shelf")
    'shelf put two mug'
    """
    words = goal.split()
    nouns = [word for word in words if word in _NOUNS]
    several = ["two"] if "two" in words else []
    return " ".join([nouns[-1], *(word for word in words[:1] if word in _KEPT), *several, nouns[0]])


def spoken(action: str) -> str:
    """An action as a tiny student says it.

    >>> spoken("take apple 1 from shelf 2")
    'take apple from shelf 2'
    """
    return re.sub(r"(?<=[a-z]) 1(?= |$)", "", action)


def tiny_reply(text: str) -> Reply:
    """The action that a tiny student said, with the numbers that it leaves out.

    >>> tiny_reply("go to fridge")
    Reply(action='go to fridge 1', well_formed=True)
    """
    words = text.split()
    full: list[str] = []
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        full.append(f"{word} 1" if word in _NOUNS and not following.isdigit() else word)
    return Reply(" ".join(full), well_formed=bool(full))
