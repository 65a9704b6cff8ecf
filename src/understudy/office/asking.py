"""One question of a conversation with tools to a server, and its answer read into calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from understudy.environments.tools import Call, Mistake, Reading, tagged_json
from understudy.environments.tools.reading import arguments_of
from understudy.errors import ServerAnswerError
from understudy.protocols import Message
from understudy.servers import http

PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class ChatForm:
    """What goes with every question.

    Args:
        model: its served name. temperature, top_p: how it is sampled; None leaves it to the server.
        max_tokens: of a reply; None leaves it. seed: of the draws. body: further fields, as they are.
    """

    model: str
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """A server's reply.

    Args:
        message: as it goes back into the conversation. reading: what it calls.
        num_tokens, num_prompt_tokens, num_cached_tokens: written, read, and read from a cache; 0 where it does not say.
    """

    message: Message
    reading: Reading
    num_tokens: int
    num_prompt_tokens: int
    num_cached_tokens: int


def asked(messages: Sequence[Message], form: ChatForm) -> http.Call[Said]:
    """The question: tools that stand beside messages go into the field that servers have for them."""
    tools = [tool for message in messages for tool in _tools(message)]
    wishes = {
        "temperature": form.temperature,
        "top_p": form.top_p,
        "max_tokens": form.max_tokens,
        "seed": form.seed,
        "tools": tools or None,
    }
    body = {
        "model": form.model,
        "messages": [{key: value for key, value in message.items() if key != "tools"} for message in messages],
        **{name: value for name, value in wishes.items() if value is not None},
        **form.body,
    }
    return http.Call(PATH, _said, body)


def _tools(message: Message) -> Sequence[object]:
    tools = message.get("tools")
    return tools if isinstance(tools, list) else []


def _said(answer: Any) -> Said:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        raise ServerAnswerError("the answer has no message", got=repr(answer)[:120], expected="choices.0.message")
    usage = answer.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    details = usage.get("prompt_tokens_details")
    content = _clean(message.get("content"))
    calls = message.get("tool_calls")
    reading, sent = _structured(calls if isinstance(calls, list) else [], content)
    back: dict[str, object] = {"role": "assistant", "content": content or ""}
    return Said(
        message={**back, "tool_calls": sent} if sent else back,
        reading=reading,
        num_tokens=_count(usage, "completion_tokens"),
        num_prompt_tokens=_count(usage, "prompt_tokens"),
        num_cached_tokens=_count(details, "cached_tokens") if isinstance(details, Mapping) else 0,
    )


def _structured(calls: Sequence[object], content: str) -> tuple[Reading, list[dict[str, object]]]:
    """The calls of a reply, and the form in which they go back: servers refuse arguments that are no JSON.

    Without structured calls, what a server could not read of the text is looked for there.
    """
    if not calls:
        found = tagged_json(content)
        return Reading(found.text, (), found.mistakes), []
    read: list[Call] = []
    mistakes: list[Mistake] = []
    sent: list[dict[str, object]] = []
    for number, one in enumerate(calls):
        call = _call_of(one, number)
        arguments: Mapping[str, object] = {}
        if isinstance(call, Call):
            read.append(call)
            arguments = call.arguments
        else:
            mistakes.append(call)
        function = {"name": call.name or "unknown", "arguments": json.dumps(arguments, ensure_ascii=False)}
        sent.append({"id": call.id, "type": "function", "function": function})
    return Reading(content, tuple(read), tuple(mistakes)), sent


def _call_of(one: object, number: int) -> Call | Mistake:
    record = one if isinstance(one, Mapping) else {}
    function = record.get("function")
    function = function if isinstance(function, Mapping) else {}
    id, name = str(record.get("id") or f"call_{number}"), function.get("name")
    if not isinstance(name, str) or not name:
        return Mistake("the call has no name", "", id)
    name = _clean(name)
    try:
        return Call(name, _clean_all(arguments_of(function.get("arguments"), name=name)), id)
    except ValueError as error:
        return Mistake(str(error), name, id)


def _count(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _clean(text: object) -> str:
    """Text without lone surrogates, which JSON can carry and files cannot."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else ""


def _clean_all(arguments: Mapping[str, object]) -> Mapping[str, object]:
    found: dict[str, object] = json.loads(_clean(json.dumps(arguments, ensure_ascii=False)))
    return found
