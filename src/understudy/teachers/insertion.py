"""Where a hint is put into a prompt."""

from __future__ import annotations

from collections.abc import Callable

from understudy.protocols import Message, Prompt
from understudy.tasks.templates import Template

Insert = Callable[[Prompt, str], Prompt]
"""(prompt, text) -> the prompt with the text in it."""


def by_template(template: Template) -> Insert:
    """Put it where the template says: into a text prompt, or into the last message of the user.

    Args:
        template: over ``{prompt}``, what stood there, and ``{text}``, the hint. A chat without a user's message gets
            one at its end, whose ``{prompt}`` is empty.
    """

    def insert(prompt: Prompt, text: str) -> Prompt:
        if isinstance(prompt, str):
            return template.render({"prompt": prompt, "text": text})
        messages: list[Message] = list(prompt)
        users = [place for place, message in enumerate(messages) if message.get("role") == "user"]
        place = users[-1] if users else len(messages)
        before = messages[place] if users else {"role": "user", "content": ""}
        content = template.render({"prompt": before.get("content") or "", "text": text})
        return [*messages[:place], {**before, "content": content}, *messages[place + 1 :]]

    return insert


def as_system(prompt: Prompt, text: str) -> Prompt:
    """Put it first: before a text prompt, or as the system message, before what such a message already says."""
    if isinstance(prompt, str):
        return f"{text}\n\n{prompt}"
    first, *rest = prompt
    if first.get("role") == "system":
        return [{**first, "content": f"{text}\n\n{first.get('content')}"}, *rest]
    return [{"role": "system", "content": text}, *prompt]
