"""What models write: tool calls, graders' verdicts, rubrics."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tests.hardening.mutating import HOSTILE_TEXTS, broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from understudy.environments.tools import Judgement, Tool, Toolbox
from understudy.environments.tools.calling import done
from understudy.environments.tools.reading import bare_json, tagged_json
from understudy.evaluation.grading.answers import Reply, better_in, votes_in
from understudy.evaluation.grading.rubric import rubric_of

_CALL: dict[str, Any] = {"name": "add", "arguments": {"a": 1, "b": [2.5, "x"], "c": {"d": None}}}
_TAGGED = f"Let me see.<think>no</think><tool_call>{json.dumps(_CALL)}</tool_call>".encode()
_LATER = (
    b"<tool_call><function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>[1, 2]</parameter></function></tool_call>"
)
_BARE = b'[TOOL_CALLS][{"name": "add", "parameters": {"a": 1}}]'
_PIECES = (
    _TAGGED,
    _LATER,
    _BARE,
    b"<think>",
    b"</think>",
    b"<tool_call>",
    b"</tool_call>",
    b"<function=",
    b"<parameter=a>",
)
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "b": {"type": "array", "items": {"type": "number"}},
        "c": {"type": "object", "properties": {"d": {"type": "null"}}},
    },
    "required": ["a"],
}


def tool_calls(folder: Path) -> Target:
    """A reply with calls in it, read and done."""
    tool = Tool("add", "adds", _SCHEMA, lambda given: str(given["a"])[:50])
    box = Toolbox((tool,), finish=None, judge=lambda _: Judgement(0.0))

    def make(random: Random) -> bytes:
        deed = random.random()
        if deed < 0.03:
            deep = random.choice((nested(), nested(b'{"a":', b"}")))
            return (
                random.choice(
                    (
                        b"<tool_call>%s</tool_call>",
                        b"%s",
                        b"<function=f><parameter=a>%s</parameter></function>",
                        b'<tool_call>{"name": "add", "arguments": %s}</tool_call>',
                    )
                )
                % deep
            )
        if deed < 0.06:
            return random.choice(_PIECES) * random.choice((100, 3000))
        if deed < 0.5:
            return b"<tool_call>" + json_bytes(twisted(random, _CALL)) + b"</tool_call>"
        return broken(random, random.choice(_PIECES[:3]), others=_PIECES)

    def attempt(content: bytes) -> None:
        reply = content.decode("utf-8", "replace")
        for read in (tagged_json, bare_json):
            for answer in done(read(reply), box, longest=200).answers:
                if len(answer.text) > 10_000:
                    raise AssertionError("an answer to a call is longer than it may be")

    return Target("tool calls", make, attempt)


def verdicts(folder: Path) -> Target:
    """What a grader answers: never a verdict that it did not give."""
    good: dict[str, Any] = {
        "verdicts": [{"id": "a", "met": True, "reason": "r"}, {"id": "b", "met": False, "reason": "s"}],
        "better": "X",
        "reason": "because",
    }
    text = b"<think>hm</think>```json\n" + json_bytes(good) + b"\n```"

    def make(random: Random) -> bytes:
        if random.random() < 0.02:
            return random.choice(
                (nested(), b"```" * 2000, b"<think>" * 3000, random.choice(HOSTILE_TEXTS).encode("utf-8", "replace"))
            )
        return json_bytes(twisted(random, good)) if random.random() < 0.6 else broken(random, text)

    def attempt(content: bytes) -> None:
        reply = Reply(content.decode("utf-8", "replace"), is_cut=len(content) % 2 == 0, input_tokens=0, output_tokens=0)
        votes = votes_in(reply, ["a", "b"])
        if set(votes) != {"a", "b"} or any(vote.met not in (True, False, None) for vote in votes.values()):
            raise AssertionError("other votes than were asked for")
        better_in(reply)

    return Target("grader's verdict", make, attempt)


def rubrics(folder: Path) -> Target:
    """GDPval's ``rubric_json``, as data or as text."""
    good = [{"score": 2, "criterion": "It has a total.", "rubric_item_id": f"r{n}"} for n in range(3)]

    def make(random: Random) -> bytes:
        return json_bytes(twisted(random, good)) if random.random() < 0.7 else broken(random, json_bytes(good))

    def attempt(content: bytes) -> None:
        rubric_of(content.decode("utf-8", "replace"))
        rubric_of(json.loads(content))

    def safely(content: bytes) -> None:
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            rubric_of(content.decode("utf-8", "replace"))
        else:
            attempt(content)

    return Target("rubric", make, safely)
