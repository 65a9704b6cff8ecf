"""Job ``template``: a chat template of a tokenizer, rendered in the sandbox of ``transformers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


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
        return texts[0]

    return work
