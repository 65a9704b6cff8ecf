"""From a reply to the calls in it. Every family of models writes them its own way; this page knows some of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_THOUGHT = r"<think>.*?(?:</think>|\Z)"
_PART = re.compile(_THOUGHT + r"|(<tool_call>)(.*?)(</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([^<>\s]+)\s*>")
_PARAMETER = re.compile(r"<parameter=([^<>\s]+)\s*>")
_SHOWN = 80


@dataclass(frozen=True)
class Call:
    """One call as it was meant.

    Args:
        name: of the tool. arguments: as they were given, not yet checked. id: where the speaker numbers its calls.
    """

    name: str
    arguments: Mapping[str, object]
    id: str = ""


@dataclass(frozen=True)
class Mistake:
    """An attempt at a call that cannot be read.

    Args:
        message: what is wrong with it, for the agent. name, id: as far as they are known.
    """

    message: str
    name: str = ""
    id: str = ""


@dataclass(frozen=True)
class Reading:
    """A reply, understood.

    Args:
        text: what was said beside the calls, without thoughts. calls: in order. mistakes: calls that cannot be read.
    """

    text: str
    calls: tuple[Call, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


Reader = Callable[[str], Reading]


def tagged_json(reply: str) -> Reading:
    """Calls as JSON between tags, Qwen's and Hermes' form: ``<tool_call>{"name": .., "arguments": ..}</tool_call>``.

    What stands in ``<think>`` is not read. Qwen's later form, ``<function=name><parameter=key>``, is read as well.

    >>> tagged_json('Let me see. <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>').calls
    (Call(name='add', arguments={'a': 1}, id=''),)
    >>> tagged_json('<tool_call>{"name": "add", </tool_call>').mistakes[0].message
    'the call {"name": "add", is no JSON: Expecting property name enclosed in double quotes'
    """
    said = _after_thought(reply)
    calls: list[Call] = []
    mistakes: list[Mistake] = []
    for opened, body, end in _PART.findall(said):
        if not opened:
            continue
        if not end and "</function>" not in body and not _is_whole(body):
            mistakes.append(Mistake(f"the call {_short(body)} has no end: </tool_call> is missing"))
            continue
        try:
            calls.append(_in_tags(body) if "<function=" in body else call_of(body))
        except ValueError as error:
            mistakes.append(Mistake(str(error)))
    return Reading(_PART.sub("", said).strip(), tuple(calls), tuple(mistakes))


def bare_json(reply: str) -> Reading:
    """The whole reply is a call, or a list of calls, as JSON: Llama's and Mistral's form; any other reply is words.

    >>> bare_json('{"name": "add", "parameters": {"a": 1}}').calls
    (Call(name='add', arguments={'a': 1}, id=''),)
    >>> bare_json("I am done.").calls
    ()
    """
    said = re.sub(_THOUGHT, "", _after_thought(reply), flags=re.DOTALL).strip()
    body = said.removeprefix("<|python_tag|>").removeprefix("[TOOL_CALLS]").strip()
    if not body.startswith(("{", "[")):
        return Reading(said)
    try:
        found = json.loads(body)
        calls = [call_of(json.dumps(one)) for one in (found if isinstance(found, list) else [found])]
    except (ValueError, RecursionError) as error:
        return Reading("", mistakes=(Mistake(f"the call {_short(body)} cannot be read: {error}"),))
    return Reading("", tuple(calls))


def reader_for(template: str) -> Reader | None:
    """The reader of the calls that a chat template asks for; None where it speaks of no tools."""
    if "tools" not in template:
        return None
    if "<tool_call>" in template:
        return tagged_json
    return bare_json if "[TOOL_CALLS]" in template or "python_tag" in template or '"name"' in template else None


def call_of(body: str) -> Call:
    """A call of its JSON; raises ValueError, in words for the agent, where it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "it nests too deep"
        raise ValueError(f"the call {_short(body)} is no JSON: {why}") from error
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise ValueError(f"the call {_short(body)} has no name")
    arguments = found.get("arguments", found.get("parameters", {}))
    return Call(found["name"], arguments_of(arguments, name=found["name"]))


def arguments_of(given: object, *, name: str) -> Mapping[str, object]:
    """The arguments of a call, which some write as JSON within JSON; raises ValueError where they are no object."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the arguments of {name} are no JSON: {_short(str(error))}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"the arguments of {name} are no object: {_short(json.dumps(given))}")
    return given


def _after_thought(reply: str) -> str:
    """The reply without a thought that the template has begun; an argument may hold the tag as well."""
    head, tag, tail = reply.partition("</think>")
    is_thought = tag and "<think>" not in head and head.count("<tool_call>") == head.count("</tool_call>")
    return tail if is_thought else reply


def _in_tags(body: str) -> Call:
    found = _FUNCTION.search(body)
    inside, end, _ = body[found.end() :].partition("</function>") if found else ("", "", "")
    if found is None or not end:
        raise ValueError(f"the call {_short(body)} has no end: </function> is missing")
    return Call(found.group(1), dict(_parameters(inside)))


def _parameters(text: str) -> Iterator[tuple[str, object]]:
    """Each parameter's name and value, in one pass: a search for each pair of tags takes the square of the time."""
    for part in text.split("</parameter>")[:-1]:
        opened = _PARAMETER.search(part)
        if opened:
            yield opened.group(1), _value(part[opened.end() :].removeprefix("\n").removesuffix("\n"))


def _value(text: str) -> object:
    """Numbers, lists and objects as JSON has them; everything else is text."""
    if text.strip()[:1] not in ("[", "{") and not re.fullmatch(r"-?\d+(\.\d+)?|true|false|null", text.strip()):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_whole(body: str) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
