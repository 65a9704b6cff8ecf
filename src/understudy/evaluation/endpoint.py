"""Puts questions to any OpenAI-compatible server: chat or plain completions over HTTP, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from typing import Any

from understudy.errors import ServerAnswerError, ServerDownError, ServerError
from understudy.protocols import Prompt
from understudy.randomness import bits
from understudy.rollouts import FinishReason
from understudy.servers.background import background
from understudy.servers.http import Call
from understudy.servers.patience import PatientClient

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_FINISHED = {"length": FinishReason.LENGTH, "max_tokens": FinishReason.LENGTH}


@dataclass(frozen=True)
class Drawing:
    """How completions are drawn: temperature (0 is greedy), nucleus mass, and the most new tokens."""

    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True)
class Reply:
    """What a server wrote to one question.

    Args:
        text: its words. num_tokens: of them, 0 where the server does not count. finish_reason: STOP, LENGTH or FAILED.
        error: why there is no answer; None where there is one.
    """

    text: str
    num_tokens: int
    finish_reason: FinishReason
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A model behind an address.

    Args:
        client: asks it. model: its served name. max_length: of its context in tokens, where it says so.
        chat_template_kwargs: sent along where there are any.
    """

    client: PatientClient
    model: str
    max_length: int | None = None
    chat_template_kwargs: Mapping[str, object] = field(default_factory=dict)

    def replies(
        self,
        prompts: Mapping[int, Prompt],
        drawing: Drawing,
        *,
        seed: int,
        ended: Callable[[int, Reply], None],
    ) -> None:
        """Ask all; ``ended`` is given each number and its reply, in this thread, as soon as it is there.

        A question that never gets an answer that can be used ends FAILED with the reason.

        Args:
            prompts: text, for plain completions, or messages, by the number that keys the draw.
        Raises:
            ServerDownError: nobody is there. ServerKeyError: the server wants another key.
        """
        futures: dict[Future[Reply], int] = {}
        try:
            for number, prompt in prompts.items():
                futures[background().submit(self.client.ask(self._call(prompt, drawing, seed, number)))] = number
            for future in as_completed(futures):
                ended(futures[future], _reply(future))
        finally:
            for future in futures:
                future.cancel()

    def _call(self, prompt: Prompt, drawing: Drawing, seed: int, number: int) -> Call[Reply]:
        word = bits(seed=seed, step=0, purpose="endpoint", rollout=number, index=0)
        body: dict[str, object] = {
            "model": self.model,
            "temperature": drawing.temperature,
            "top_p": drawing.top_p,
            "max_tokens": None if self._fills_context(drawing) else drawing.max_tokens,
            "seed": int(word) >> 33,
        }
        if self.chat_template_kwargs:
            body["chat_template_kwargs"] = dict(self.chat_template_kwargs)
        if isinstance(prompt, str):
            return Call(COMPLETIONS, _completion, {**body, "prompt": prompt})
        return Call(CHAT, _message, {**body, "messages": _plain(prompt)})

    def _fills_context(self, drawing: Drawing) -> bool:
        """Servers refuse to be asked for more than their context; without a number they go on to its end."""
        return self.max_length is not None and drawing.max_tokens >= self.max_length


def _plain(messages: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    return [dict(message) for message in messages]


def _reply(future: Future[Reply]) -> Reply:
    try:
        return future.result()
    except ServerDownError:
        raise
    except ServerError as error:
        return Reply("", 0, FinishReason.FAILED, error=str(error))


def _completion(answer: Any) -> Reply:
    choice = _choice(answer)
    return _read(answer, choice, choice.get("text"), name="choices.0.text")


def _message(answer: Any) -> Reply:
    choice = _choice(answer)
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    return _read(answer, choice, content, name="choices.0.message.content")


def _choice(answer: Any) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise ServerAnswerError("the answer has no choices", got=repr(answer)[:120], expected="choices.0")
    return choices[0]


def _read(answer: Mapping[str, Any], choice: Mapping[str, Any], text: object, *, name: str) -> Reply:
    reason = _FINISHED.get(str(choice.get("finish_reason")), FinishReason.STOP)
    if text is None and reason is FinishReason.LENGTH:
        text = ""  # all room went into thinking that the server does not show
    if not isinstance(text, str):
        raise ServerAnswerError(f"the answer has no {name}", got=repr(choice)[:120], expected="text")
    usage = answer.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return Reply(text, count if isinstance(count, int) and not isinstance(count, bool) else 0, reason)
