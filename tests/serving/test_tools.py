"""Tools of a chat: rendered, read out of what a real model says, and refused where the template knows none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.environments.tools.scripted_model import scripted
from tests.environments.tools.speaking import call
from tests.serving.asking import refused
from tests.serving.served import running_server
from understudy.models.load import describe

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "What is 2 + 3?"}
SCRIPT = ["Adding. " + call("add", a="2", b="3") + call("add", a="1"), "<tool_call>{</tool_call>", "It is 5."]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    model, tokenizer = scripted(SCRIPT)
    with running_server(replace(describe(model, tokenizer, name="tiny"), max_length=4096)) as server:
        yield httpx.Client(base_url=server.url, timeout=30)


def said(client: httpx.Client, messages: list[object], **body: object) -> dict[str, object]:
    response = client.post(
        "/v1/chat/completions", json={"messages": messages, "temperature": 0, "tools": [TOOL], **body}
    )
    assert response.status_code == 200, response.text
    (choice,) = response.json()["choices"]
    return choice


def test_calls_come_back_as_calls_and_are_taken_back_as_history(client: httpx.Client) -> None:
    choice = said(client, [ASKED])
    message = choice["message"]
    assert isinstance(message, dict)
    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] == "Adding."
    functions = [one["function"] for one in message["tool_calls"]]
    assert [(one["name"], json.loads(one["arguments"])) for one in functions] == [
        ("add", {"a": "2", "b": "3"}),
        ("add", {"a": "1"}),
    ]
    ids = [one["id"] for one in message["tool_calls"]]
    assert len(set(ids)) == 2
    results = {"role": "tool", "tool_call_id": ids[0], "content": "5"}
    unread = said(client, [ASKED, message, results])
    assert unread["message"] == {"role": "assistant", "content": SCRIPT[1]}
    assert unread["finish_reason"] == "stop"


def test_a_chat_without_tools_reads_no_calls(client: httpx.Client) -> None:
    for body in ({"tools": []}, {"tool_choice": "none"}):
        assert said(client, [ASKED], **body)["message"] == {"role": "assistant", "content": SCRIPT[0]}


def test_calls_in_the_history_must_be_calls(client: httpx.Client) -> None:
    for calls in ("add", [{"name": "add"}], [{"function": {"name": "add", "arguments": "{"}}]):
        body = {"messages": [ASKED, {"role": "assistant", "tool_calls": calls}], "tools": [TOOL]}
        refused(client.post("/v1/chat/completions", json=body), 400, "tool")
