"""How a student is told of a question and of what it has found, in full and in few words."""

from __future__ import annotations

import re

from understudy.environments.agents import Sight
from understudy.protocols import Prompt

_RULES = """\
Think first, inside <think> and </think>. Then do exactly one of two things:
- look something up: put a query between <search> and </search>; documents come back between <information> and \
</information>;
- answer, once you know enough: put the answer alone, in a few words, between <answer> and </answer>."""

_FIRST = """\
You answer questions with the help of a search engine.
Question: {question}

This is the beginning: no search has been made.

{rules}"""

_LATER = """\
You answer questions with the help of a search engine.
Question: {question}

You have taken {step_count} step(s) so far. What was done and what came back:
{memory_context}

{rules}"""

_ACTION = re.compile(r"(search|answer)\[(.*)\]", re.DOTALL)


def full_words(sight: Sight) -> Prompt:
    """One user's message: the question, the last steps with what they brought, and the rules."""
    if not sight.num_steps:
        return _message(_FIRST.format(question=sight.goal, rules=_RULES))
    memory = _memory(sight)
    return _message(_LATER.format(question=sight.goal, step_count=sight.num_steps, memory_context=memory, rules=_RULES))


def tiny_words(sight: Sight) -> Prompt:
    """The newest result, then the question, then ``:``; for students of some dozens of words.

    The question stands last, where a small model finds it.
    """
    return f"{sight.observation} {sight.goal} :".replace("\n", " ").strip()


def _memory(sight: Sight) -> str:
    """``Step n: ...`` with what came back; n counts from the episode's first step."""
    came_back = [*(past.observation for past in sight.history[1:]), sight.observation]
    first = sight.num_steps - len(sight.history) + 1
    steps = zip(sight.history, came_back, strict=True)
    if not sight.history:
        return f"<information>{sight.observation}</information>"
    return "\n".join(
        f"Step {number}: {_spoken(past.action)} <information>{result}</information>"
        for number, (past, result) in enumerate(steps, start=first)
    )


def _spoken(action: str) -> str:
    found = _ACTION.fullmatch(action)
    return f"<{found[1]}>{found[2]}</{found[1]}>" if found else action


def _message(text: str) -> Prompt:
    return [{"role": "user", "content": text}]
