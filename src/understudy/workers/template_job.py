"""Job ``template``: a chat template of a tokenizer, rendered in the sandbox of ``transformers``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_FREE_CHARACTERS = 1 << 20
_TIMES_WHAT_IT_IS_GIVEN = 8
"""A longer text than both together allow is no prompt: real templates add a few words to each message."""


def preload() -> None:
    """Load the renderer once; it needs no torch."""
    import transformers.utils.chat_template_utils  # noqa: F401


def prepare(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:  # noqa: ARG001
    """Work on ``{template: text, messages: [...], arguments: {...}}``; the result is the rendered text."""
    from transformers.utils.chat_template_utils import render_jinja_template

    def work(payload: Mapping[str, Any]) -> str:
        rendered: Any = render_jinja_template(
            conversations=[payload["messages"]], chat_template=payload["template"], **payload["arguments"]
        )
        texts, _ = rendered
        check_length(len(texts[0]), payload)
        return texts[0]

    return work


def check_length(length: int, payload: Mapping[str, Any]) -> None:
    """Raise ValueError where a text has many times the characters of its template, messages and arguments."""
    if length > _FREE_CHARACTERS:
        most = _FREE_CHARACTERS + _TIMES_WHAT_IT_IS_GIVEN * len(json.dumps(payload))
        if length > most:
            raise ValueError(f"the text has {length:,} characters; at most {most:,} are taken for these messages")
