"""Any OpenAI-compatible ``/v1/completions`` that takes token ids and scores its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.errors import ServerAnswerError
from understudy.servers import prompt_logprobs
from understudy.servers.decoding import entry, listed, logprobs, numbers
from understudy.servers.http import Call
from understudy.servers.rows import Ask, Rows

COMPLETIONS = "/v1/completions"


@dataclass(frozen=True)
class CompletionsForm:
    """Implements ``WireForm``.

    Args:
        model: served name.
        echo: scores come by ``echo`` and ``logprobs`` as with the first OpenAI models, in place of vLLM's
            ``prompt_logprobs``; token ids of the most likely are then told only as ``token_id:N``.
    """

    model: str
    echo: bool = False

    def calls(self, ask: Ask) -> list[Call[Rows]]:
        """One request."""
        body: dict[str, object] = {
            "model": self.model,
            "prompt": ask.tokens.tolist(),
            "max_tokens": 1,
            "temperature": 1.0,
            "add_special_tokens": False,
        }
        if not self.echo:
            body |= {"prompt_logprobs": ask.top_k}
            return [Call(COMPLETIONS, lambda answer: _classic(answer, ask), body)]
        body |= {"echo": True, "logprobs": ask.top_k, "return_tokens_as_token_ids": True}
        return [Call(COMPLETIONS, lambda answer: _echoed(answer, ask), body)]


def _classic(answer: Any, ask: Ask) -> Rows:
    return prompt_logprobs.rows_of(
        entry(answer, "choices", 0, "prompt_logprobs"), ask, name="choices.0.prompt_logprobs"
    )


def _echoed(answer: Any, ask: Ask) -> Rows:
    """Scores of the prompt, with which the generated tokens stand in one list."""
    found = entry(answer, "choices", 0, "logprobs")
    count = len(ask.tokens)
    own = listed(entry(found, "token_logprobs"), name="logprobs.token_logprobs")[:count]
    if len(own) < count:
        raise ServerAnswerError(
            "the server does not echo the prompt's scores",
            got=f"{len(own)} entries",
            expected=f"at least {count}",
            remedy="It cannot teach; use vLLM, SGLang or understudy serve.",
        )
    sampled = logprobs(np.array(numbers(own[ask.start + 1 :], name="logprobs.token_logprobs")), name="token_logprobs")
    if not ask.top_k:
        return Rows(sampled=sampled)
    top = listed(entry(found, "top_logprobs"), name="logprobs.top_logprobs")[:count]
    listed(top, name="logprobs.top_logprobs", count=count)
    own_ids = [{str(token): value} for token, value in zip(ask.tokens.tolist(), own, strict=True)]
    entries = [None, *({**mine, **_by_id(one)} for mine, one in zip(own_ids[1:], top[1:], strict=True))]
    return prompt_logprobs.rows_of(entries, ask, name="logprobs.top_logprobs")


def _by_id(value: object) -> dict[str, object]:
    """An object keyed by ``token_id:N``, keyed by N."""
    if not isinstance(value, dict) or not all(str(key).startswith("token_id:") for key in value):
        raise ServerAnswerError(
            "the most likely tokens are told as text, which is not enough to know their ids",
            remedy="Use a method that needs the sampled token only, or vLLM, SGLang or understudy serve.",
        )
    return {str(key).removeprefix("token_id:"): each for key, each in value.items()}
