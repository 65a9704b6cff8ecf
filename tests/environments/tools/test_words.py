"""What an agent is told where the template knows no tools, and where there is no chat at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tests.environments.tools.speaking import SUM, calculator, call
from understudy.environments.tools import Answer, Call, ChatWords, Picture, Reading, Rules, Tool, ToolUse
from understudy.protocols import Prompt, Task


def test_tools_are_described_in_words_for_a_template_that_has_none() -> None:
    subject = ToolUse(calculator, rules=Rules(words=ChatWords(in_text=True)))
    first = subject.reset(SUM, 0).prompt
    assert isinstance(first, list)
    assert [message["role"] for message in first] == ["system", "user"]
    assert all("tools" not in message for message in first)
    assert '"name": "add"' in str(first[0]["content"])
    (result,) = subject.step(call("add", a="2", b="3")).prompt
    assert result == {"role": "user", "content": "<tool_response>\n5\n</tool_response>"}


def test_a_task_of_messages_keeps_them() -> None:
    task = replace(SUM, prompt=[{"role": "user", "content": "hello"}, {"role": "user", "content": "2 + 3?"}])
    prompt = ToolUse(calculator, rules=Rules(max_turns=5)).reset(task, 0).prompt
    assert [message["content"] for message in prompt][1:] == ["hello", "2 + 3?\n\nTurns remaining: 5"]  # type: ignore[index]


class Plain:
    """A student of a few words: text in, text out."""

    def opening(self, task: Task, tools: Sequence[Tool], *, remaining: int | None, summary: str | None) -> Prompt:
        return f"task {task.prompt} :"

    def answers(self, answers: Sequence[Answer], *, remaining: int | None, summarise: bool) -> Prompt:
        return " " + " ".join(answer.text for answer in answers) + " :"


def in_words(reply: str) -> Reading:
    name, *given = reply.split()
    keys = ("a", "b") if name == "add" else ("answer",)
    return Reading(reply, (Call(name, dict(zip(keys, given, strict=False))),))


def test_a_tiny_student_without_a_chat_template_has_words_of_its_own() -> None:
    subject = partial(ToolUse, calculator, read=in_words, rules=Rules(words=Plain()))()
    assert subject.reset(SUM, 0).prompt == "task What is 2 + 3? :"
    assert subject.step("add 2 3").prompt == " 5 :"
    assert subject.step("finish 5").correct is True


def test_a_server_is_told_results_by_the_id_of_their_call_and_shown_pictures() -> None:
    picture = Picture("image/png", b"\x89PNG")
    answers = [Answer("unread", fault="unread"), Answer("seen", "view", "c1", (picture,))]
    told = ChatWords(by_id=True, sees=True).answers(answers, remaining=3, summarise=False)
    result, mistake, shown = told
    assert result == {"role": "tool", "content": "seen", "name": "view", "tool_call_id": "c1"}
    assert mistake == {"role": "user", "content": "unread\n\nTurns remaining: 3"}
    assert shown["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}]  # type: ignore[index]
