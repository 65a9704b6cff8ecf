"""``tools`` of a chat: rendered by the model's template, and read again out of what the model says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence

from understudy.environments.tools import Call, Reader, reader_for
from understudy.serving.refusal import bad_request
from understudy.serving.wire import ChatBody
from understudy.serving.words import Words


def reader_of(words: Words, body: ChatBody) -> Reader | None:
    """What reads calls out of the replies to this chat; None where it offers no tools.

    Raises:
        Refusal: 400: a tool is malformed, the choice of one is forced, or the model's template knows no tools.
    """
    if not body.tools:
        return None
    for tool in body.tools:
        function = tool.get("function")
        if (
            tool.get("type") != "function"
            or not isinstance(function, dict)
            or not isinstance(function.get("name"), str)
        ):
            raise bad_request("a tool is {type: function, function: {name, description, parameters}}", param="tools")
    if body.tool_choice not in (None, "auto", "none"):
        raise bad_request("tool_choice can be auto or none: this server forces no call", param="tool_choice")
    reader = reader_for(words.template(body.tools))
    if reader is None:
        raise bad_request("the model's chat template knows no tools", param="tools")
    return None if body.tool_choice == "none" else reader


def with_arguments(messages: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Messages whose earlier calls have their arguments as objects, as templates expect them, and not as JSON text."""
    return [{**message, **_calls_of(message)} for message in messages]


def message_of(text: str | None, reader: Reader | None) -> dict[str, object]:
    """The assistant's message; ``tool_calls`` where it holds calls, the text beside them as its content.

    A call that cannot be read stays in the content, where the client finds it as it was written.
    """
    reading = None if reader is None or text is None else reader(text)
    if reading is None or not reading.calls or reading.mistakes:
        return {"role": "assistant", "content": text}
    calls = [_call_json(call) for call in reading.calls]
    return {"role": "assistant", "content": reading.text or None, "tool_calls": calls}


def _call_json(call: Call) -> dict[str, object]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}


def _calls_of(message: Mapping[str, object]) -> dict[str, object]:
    calls = message.get("tool_calls")
    if not calls:
        return {}
    if not isinstance(calls, list):
        raise bad_request("tool_calls is a list", param="messages")
    return {"tool_calls": [_with_object(call) for call in calls]}


def _with_object(call: object) -> dict[str, object]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise bad_request("a tool call is {id, type, function: {name, arguments}}", param="messages")
    arguments = function.get("arguments")
    try:
        read = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise bad_request("the arguments of a tool call are the JSON of an object", param="messages")
    return {**call, "function": {**function, "arguments": read}}
