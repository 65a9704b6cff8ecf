"""Replies of different families, read into calls."""

from __future__ import annotations

import pytest

from tests.environments.tools.speaking import TEMPLATE
from understudy.environments.tools import Call, Reading, bare_json, reader_for, tagged_json


def test_several_calls_and_words_around_them() -> None:
    reply = (
        'First <tool_call>{"name": "a", "arguments": {"x": [1]}}</tool_call> then <tool_call>{"name":"b"}</tool_call>.'
    )
    assert tagged_json(reply) == Reading("First  then .", (Call("a", {"x": [1]}), Call("b", {})))


@pytest.mark.parametrize(
    "reply",
    [
        '<think>I could <tool_call>{"name": "a"}</tool_call></think>Nothing.',
        'I could <tool_call>{"name": "a"}</tool_call></think>Nothing.',
        '<think>I could <tool_call>{"name": "a"}</tool_call> and then',
    ],
)
def test_a_call_in_a_thought_is_no_call(reply: str) -> None:
    assert tagged_json(reply).calls == ()
    assert tagged_json(reply).mistakes == ()


def test_an_argument_may_hold_a_thoughts_tags() -> None:
    reply = '<tool_call>{"name": "a", "arguments": {"cmd": "echo </think> <think>"}}</tool_call>'
    assert tagged_json(reply).calls == (Call("a", {"cmd": "echo </think> <think>"}),)


def test_arguments_as_json_in_json_and_as_parameters() -> None:
    assert tagged_json('<tool_call>{"name": "a", "arguments": "{\\"x\\": 1}"}</tool_call>').calls[0].arguments == {
        "x": 1
    }
    given = "<parameter=x>\n3\n</parameter>\n<parameter=cmd>\nls -l\n</parameter>"
    reply = f"<tool_call>\n<function=a>\n{given}\n</function>\n</tool_call>"
    assert tagged_json(reply).calls == (Call("a", {"x": 3, "cmd": "ls -l"}),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"name": "a"', "no JSON"),
        ("[1]", "no name"),
        ('{"name": 3}', "no name"),
        ('{"name": "a", "arguments": 4}', "no object"),
        ('{"name": "a", "arguments": "{"}', "no JSON"),
        ("[" * 100_000, "too deep"),
        ("<function=a><parameter=x>1</parameter>", "</function> is missing"),
    ],
)
def test_what_cannot_be_read_is_said(body: str, words: str) -> None:
    (mistake,) = tagged_json(f"<tool_call>{body}</tool_call>").mistakes
    assert words in mistake.message
    assert len(mistake.message) < 300


def test_a_call_that_was_cut_off_is_a_mistake_unless_it_is_whole() -> None:
    (mistake,) = tagged_json('<tool_call>{"name": "a", "arg').mistakes
    assert "</tool_call> is missing" in mistake.message
    assert tagged_json('<tool_call>{"name": "a"}').calls == (Call("a", {}),)


def test_bare_json_is_a_call_or_several() -> None:
    assert bare_json('[{"name": "a", "arguments": {}}, {"name": "b"}]').calls == (Call("a", {}), Call("b", {}))
    assert bare_json("It is 5.").text == "It is 5."
    assert len(bare_json('{"name": ').mistakes) == 1


def test_the_template_says_how_calls_are_written() -> None:
    assert reader_for(TEMPLATE) is tagged_json
    assert reader_for("{% for m in messages %}{{ m.content }}{% endfor %}") is None
    assert reader_for("{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]") is bare_json
