"""How an agent is told of its task, its tools and their results: one set for chat models, to be replaced for others."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from understudy.environments.tools.tool import Picture, Tool
from understudy.protocols import Message, Prompt, Task

SYSTEM = (
    "You work on a task by calling tools. Call a tool in every turn; its result comes back before your next turn. "
    "When the work is done, call finish: nothing that you write outside of calls is handed in."
)
IDLE = "No tool was called. Go on with the task by calling a tool, or call finish when the work is done."
SUMMARISE = (
    "The conversation is about to be too long to go on with. Without calling a tool, write down for yourself: what was "
    "asked, what has been done and found out, which files exist, and what is left to do. Only this will be kept."
)


@dataclass(frozen=True)
class Answer:
    """The result of one call, or why there is none.

    Args:
        text: cut to its limit. name, id: of the call; empty where none could be read. pictures: beside the text.
        fault: ``failed`` where the tool could not do it, ``refused`` where there is no such tool or the arguments are
            wrong, ``unread`` where no call could be read; empty where it was done.
    """

    text: str
    name: str = ""
    id: str = ""
    pictures: tuple[Picture, ...] = ()
    fault: Literal["", "failed", "refused", "unread"] = ""


class Words(Protocol):
    """Everything an agent is told. ``remaining`` is how many turns are left where that is to be said, else None."""

    def opening(self, task: Task, tools: Sequence[Tool], *, remaining: int | None, summary: str | None) -> Prompt:
        """The first prompt; with a ``summary``, the prompt of an agent that goes on from one."""
        ...

    def answers(self, answers: Sequence[Answer], *, remaining: int | None, summarise: bool) -> Prompt:
        """What the calls of a turn gave, and the request for a summary where one is due; none: nothing was called."""
        ...


class ChatWords:
    """Implements ``Words`` in messages: tools beside the first (the chat template renders them), results as role tool.

    Args:
        system: what the system message says; empty for none.
        in_text: for templates that know no tools: they are described in the system message, results come from the user.
        by_id: for servers, where a tool's message names its call: what answers none is said by the user.
        sees: pictures are shown after the results, by the user.
    """

    def __init__(self, system: str = SYSTEM, *, in_text: bool = False, by_id: bool = False, sees: bool = False) -> None:
        self._system, self._in_text, self._by_id, self._sees = system, in_text, by_id, sees

    def opening(self, task: Task, tools: Sequence[Tool], *, remaining: int | None, summary: str | None) -> Prompt:
        """A system message and the task's own messages; then the summary, as the user's."""
        asked: list[Message] = (
            [{"role": "user", "content": task.prompt}] if isinstance(task.prompt, str) else list(task.prompt)
        )
        if summary is not None:
            asked[-1] = {**asked[-1], "content": f"{asked[-1].get('content')}\n\nYour notes so far:\n{summary}"}
        asked[-1] = _with_remaining(asked[-1], remaining)
        system = "\n\n".join(part for part in (self._system, _described(tools) if self._in_text else "") if part)
        messages: list[Message] = [{"role": "system", "content": system}, *asked] if system else asked
        if not self._in_text:
            messages[0] = {**messages[0], "tools": [tool.to_json() for tool in tools]}
        return messages

    def answers(self, answers: Sequence[Answer], *, remaining: int | None, summarise: bool) -> Prompt:
        """One tool message a call; the user speaks where nothing was called and where a summary is due."""
        # Results that name their call come first: what the user says may not stand between a call and its result.
        ordered = sorted(answers, key=lambda answer: self._by_id and not answer.id)
        messages = [self._message(answer) for answer in ordered]
        if summarise:
            return [*messages, {"role": "user", "content": SUMMARISE}]
        messages = messages or [{"role": "user", "content": IDLE}]
        pictures = [picture for answer in answers for picture in answer.pictures] if self._sees else []
        return [*messages[:-1], _with_remaining(messages[-1], remaining), *_shown(pictures)]

    def _message(self, answer: Answer) -> Message:
        text = answer.text or "(no output)"
        if self._in_text:
            return {"role": "user", "content": f"<tool_response>\n{text}\n</tool_response>"}
        if self._by_id and not answer.id:
            return {"role": "user", "content": text}
        message: dict[str, object] = {"role": "tool", "content": text}
        message |= {"name": answer.name} if answer.name else {}
        message |= {"tool_call_id": answer.id} if answer.id else {}
        return message


def _shown(pictures: Sequence[Picture]) -> list[Message]:
    if not pictures:
        return []
    parts = [
        {
            "type": "image_url",
            "image_url": {"url": f"data:{one.media_type};base64,{base64.b64encode(one.content).decode('ascii')}"},
        }
        for one in pictures
    ]
    return [{"role": "user", "content": parts}]


def _with_remaining(message: Message, remaining: int | None) -> Message:
    if remaining is None:
        return message
    return {**message, "content": f"{message.get('content')}\n\nTurns remaining: {remaining}"}


def _described(tools: Sequence[Tool]) -> str:
    form: Mapping[str, object] = {"name": "NAME", "arguments": {"ARGUMENT": "VALUE"}}
    lines = "\n".join(json.dumps(tool.to_json()["function"]) for tool in tools)
    return f"The tools:\n{lines}\n\nTo call one, write:\n<tool_call>\n{json.dumps(form)}\n</tool_call>"
