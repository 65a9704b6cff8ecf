"""How a student is told of the shop, in full and in few words, and how its few words are read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from understudy.environments.agents import Reply, Sight
from understudy.environments.shop.pages import Page
from understudy.protocols import Prompt

_RULES = """\
What can be done on this page:
{available_actions}

Think first about what to do next, inside <think> and </think>. Then give one of these actions, exactly as it is \
written there (with your own words in place of <your query>), inside <action> and </action>."""

_FIRST = """\
You shop in an online store, by searching and clicking, for somebody who wants one thing.
What they want: {task_description}

This is the first page you see: {current_observation}

{rules}"""

_LATER = """\
You shop in an online store, by searching and clicking, for somebody who wants one thing.
What they want: {task_description}

You have taken {step_count} step(s). The last {history_length} page(s) and what you did there: {action_history}
You are now at step {current_step}, and see: {current_observation}

{rules}"""

_TINY = re.compile(r"(search|click) (.+)")


def full_words(sight: Sight) -> Prompt:
    """One user's message: the wish, the last pages and actions, the page, and what can be done on it."""
    listed = "\n".join(f"'{action}'" for action in sight.admissible)
    rules = _RULES.format(available_actions=listed)
    if not sight.num_steps:
        first = _FIRST.format(task_description=sight.goal, current_observation=sight.observation, rules=rules)
        return [{"role": "user", "content": first}]
    later = _LATER.format(
        task_description=sight.goal,
        step_count=sight.num_steps,
        history_length=len(sight.history),
        action_history=_history(sight),
        current_step=sight.num_steps + 1,
        current_observation=sight.observation,
        rules=rules,
    )
    return [{"role": "user", "content": later}]


def tiny_words(sight: Sight) -> Prompt:
    """The page, then the wish, then ``:``; the wish stands last, where a small model finds it."""
    return f"{sight.observation} want {sight.goal} :"


def tiny_page(page: Page) -> str:
    """A page in few words: products with whole prices, options, and what is chosen."""
    if page.kind == "results":
        return " ".join(["found", *(f"{one.asin} {one.name} {_whole(one.prices)}" for one in page.products)])
    if page.kind == "item":
        product = page.products[0]
        values = [value for kind in product.options.values() for value in kind]
        chosen = ["has", *(value for _, value in page.chosen)] if page.chosen else []
        return " ".join([product.name, _whole(product.prices), *values, *chosen])
    return " ".join(("page", *(text.lower() for text in page.texts[2:]))) if page.kind == "detail" else page.kind


def tiny_reply(text: str) -> Reply:
    """``search wool hat`` or ``click b3``: for students without tags.

    >>> tiny_reply(" click  b3")
    Reply(action='click[b3]', well_formed=True)
    >>> tiny_reply("buy")
    Reply(action='', well_formed=False)
    """
    found = _TINY.fullmatch(" ".join(text.split()))
    return Reply(f"{found[1]}[{found[2]}]", well_formed=True) if found else Reply("", well_formed=False)


def spoken(action: str) -> str:
    """An action in the words that ``tiny_reply`` reads.

    >>> spoken("click[buy now]")
    'click buy now'
    """
    return action.removesuffix("]").replace("[", " ", 1)


def _history(sight: Sight) -> str:
    first = sight.num_steps - len(sight.history) + 1
    return " ".join(
        f"[Observation {number}: '{past.observation}', Action {number}: '{past.action}']"
        for number, past in enumerate(sight.history, start=first)
    )


def _whole(prices: Sequence[float]) -> str:
    return " ".join(f"{price:.0f}" for price in prices)
