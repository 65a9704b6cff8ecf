"""Text in and out: one tokenizer for many threads, and texts that end a completion."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.models.chat import decode, encode_prompt
from understudy.serving.refusal import bad_request


class Words:
    """A tokenizer behind a lock, since its own state is not made for several threads; without one, text is refused.

    Args:
        tokenizer: None where the model's folder holds none.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._piece = lru_cache(maxsize=1 << 17)(lambda id: self.text([id], skip_special_tokens=False))

    @property
    def known(self) -> bool:
        """Whether there is a tokenizer."""
        return self._tokenizer is not None

    def ids(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The ids of a text."""
        with self._lock:
            return list(self._needed()(text, add_special_tokens=add_special_tokens, verbose=False)["input_ids"])

    def chat_ids(
        self, messages: Sequence[Mapping[str, object]], kwargs: Mapping[str, object], *, add_generation_prompt: bool
    ) -> list[int]:
        """The ids of messages under the chat template; raises DataError where it refuses them."""
        plain = [{**message, "content": _plain(message.get("content"))} for message in messages]
        with self._lock:
            ids = encode_prompt(
                self._needed(), plain, chat_template_kwargs=kwargs, add_generation_prompt=add_generation_prompt
            )
        return ids.tolist()

    def template(self, tools: list[dict[str, object]]) -> str:
        """The chat template that renders these tools; empty where the tokenizer has none."""
        tokenizer = self._needed()
        return tokenizer.get_chat_template(tools=tools) if tokenizer.chat_template else ""

    def text(self, ids: Sequence[int] | Tensor, *, skip_special_tokens: bool) -> str:
        """The text of ids."""
        with self._lock:
            return decode(self._needed(), torch.as_tensor(ids).long(), skip_special_tokens=skip_special_tokens)

    def piece(self, id: int) -> str:
        """The text of one id, special or not."""
        return self._piece(id)

    def end_at(self, ids: Sequence[int], stops: Sequence[str], *, skip_special_tokens: bool) -> tuple[int, str] | None:
        """How many ids it takes until one of the texts stands there, and which; None where none ever does."""

        def found(count: int) -> str | None:
            text = self.text(ids[:count], skip_special_tokens=skip_special_tokens)
            return min((stop for stop in stops if stop in text), key=text.index, default=None)

        if not stops or found(len(ids)) is None:
            return None
        low, high = 1, len(ids)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if found(middle) is not None else (middle + 1, high)
        stop = found(low)
        return None if stop is None else (low, stop)

    def _needed(self) -> PreTrainedTokenizerBase:
        if self._tokenizer is None:
            raise bad_request("this server has no tokenizer: send and take token ids")
        return self._tokenizer


def _plain(content: object) -> object:
    """Content in parts as one text; raises Refusal (400) for parts that are not text."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    if any(not isinstance(text, str) for text in texts):
        raise bad_request("only text can stand in a message's content", param="messages")
    return "".join(str(text) for text in texts)
