"""Chat templates are programs that come with a model: rendered in a sandbox, by a deadline, with bounded memory.

The sandbox of ``transformers`` (immutable Jinja) refuses files, imports and Python's internals; it bounds neither time
nor memory, so the rendering happens in a worker process that is killed when it takes too much. A text out of all
proportion to its messages is refused there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from transformers import PreTrainedTokenizerBase

from understudy.errors import DataError
from understudy.workers import JobFailedError, OvertimeError, RefusedError, shared

SECONDS = 10.0
"""A template that takes longer never ends; real ones take a millisecond."""

_MEMORY_BYTES = 1 << 30


class TemplateRefusalError(JobFailedError):
    """The template, or the sandbox it runs in, refuses; ``got`` says what."""


def render(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, object]], options: Mapping[str, Any]
) -> str:
    """What ``tokenizer.apply_chat_template(messages, tokenize=False, **options)`` gives.

    A tokenizer with a method of its own, whose code the user trusts, renders in this process.

    Raises:
        TemplateRefusalError: the template raises, does what the sandbox forbids, or makes far too long a text.
        DataError: it does not end in time.
    """
    return begin(tokenizer, messages, options)()


def begin(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, object]], options: Mapping[str, Any]
) -> Callable[[], str]:
    """Have it rendered; what is returned waits for the text, or raises as ``render`` does. Many go on side by side."""
    method = PreTrainedTokenizerBase.apply_chat_template
    if type(tokenizer).apply_chat_template is not method:
        try:
            conversation: Any = [dict(one) for one in messages]
            text = str(tokenizer.apply_chat_template(conversation, tokenize=False, **options))
        except Exception as error:
            raise TemplateRefusalError("a chat template refuses", got=f"{type(error).__name__}: {error}") from error
        return lambda: text
    template = tokenizer.get_chat_template(options.get("chat_template"), options.get("tools"))
    rest = {key: value for key, value in options.items() if key != "chat_template"}
    payload = {
        "template": template,
        # As transformers does: templates find a key missing where its value is None.
        "messages": [{key: value for key, value in one.items() if value is not None} for one in messages],
        "arguments": {**tokenizer.special_tokens_map, **rest},
    }
    rendering = shared("template", seconds=SECONDS, memory_bytes=_MEMORY_BYTES).submit(payload)
    return lambda: _text_of(rendering)


def _text_of(rendering: Future[Any]) -> str:
    try:
        return str(rendering.result())
    except OvertimeError as error:
        raise DataError(
            "the chat template does not end",
            got=f"no text after {SECONDS:g} s",
            remedy="Look for loops in the tokenizer's chat_template, or take another model's.",
        ) from error
    except RefusedError as error:
        raise DataError("chat templates cannot be rendered", got=error.got) from error
    except JobFailedError as error:
        raise TemplateRefusalError("a chat template refuses", got=error.got) from error
