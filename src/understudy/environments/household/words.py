"""How an agent is told of its household in full: for models that read and write."""

from __future__ import annotations

from understudy.environments.agents import Sight
from understudy.protocols import Prompt

_ROLE = "You are an agent at work in a simulated home. You see it through text, and act on it by commands."
_RULES = """\
Decide on one action. Reason first, inside <think> and </think>: what you know, what is still missing, what brings you \
closer. Then give exactly one action of the list, word for word, between <action> and </action>."""

_FIRST = """\
{role}
Your task is to: {task_description}.

What you see now: {current_observation}
Actions you can take now:
{admissible_actions}

{rules}"""

_LATER = """\
{role}
Your task is to: {task_description}.

You have taken {step_count} step(s) so far. The last {history_length}, with what you saw before each:
{action_history}

This is step {current_step}. What you see now: {current_observation}
Actions you can take now:
{admissible_actions}

{rules}"""

_NEXT = """\
What you see now: {current_observation}
Actions you can take now:
{admissible_actions}"""


def full_words(sight: Sight) -> Prompt:
    """One user's message: task, steps so far, the last turns, what is seen, what can be done, and the form of a reply.

    The first turn has no past, and is told so by leaving it out.
    """
    return _message(
        (_LATER if sight.history else _FIRST).format(
            role=_ROLE,
            task_description=sight.goal,
            step_count=sight.num_steps,
            history_length=len(sight.history),
            action_history=_past(sight),
            current_step=sight.num_steps + 1,
            current_observation=sight.observation,
            admissible_actions=_offered(sight),
            rules=_RULES,
        )
    )


def growing_words(sight: Sight) -> Prompt:
    """The same for one conversation: the whole at its beginning, then only what is new."""
    if not sight.num_steps:
        return full_words(sight)
    return _message(_NEXT.format(current_observation=sight.observation, admissible_actions=_offered(sight)))


def _past(sight: Sight) -> str:
    """``[Observation n: '...', Action n: '...']``; n counts from the episode's first step."""
    first = sight.num_steps - len(sight.history) + 1
    return "\n".join(
        f"[Observation {number}: '{past.observation}', Action {number}: '{past.action}']"
        for number, past in enumerate(sight.history, start=first)
    )


def _offered(sight: Sight) -> str:
    return "\n".join(f"'{action}'" for action in sight.admissible if action != "help")


def _message(text: str) -> Prompt:
    return [{"role": "user", "content": text}]
