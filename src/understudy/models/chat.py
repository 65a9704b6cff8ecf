"""Prompts to token ids and completions to text: the only place where text becomes ids or ids become text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.errors import DataError
from understudy.models.chat_template import TemplateRefusalError, begin
from understudy.protocols import Message, Prompt

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

# Stands for the assistant's words when only what a template puts after them is wanted; no template touches it.
_SPOKEN = "understudy:spoken"


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    *,
    chat_template_kwargs: Mapping[str, object] | None = None,
    add_generation_prompt: bool = True,
) -> Tensor:
    """[P] int64 ids of a prompt: text with the tokenizer's opening special tokens, or messages by its chat template.

    Args:
        tokenizer: of the student. prompt: text, or a list of messages with ``role`` and ``content``; ``tools`` in a
            message, in OpenAI's form, go to the template for the whole prompt.
        chat_template_kwargs: passed to the chat template (e.g. ``enable_thinking``).
        add_generation_prompt: end messages with the opening of the assistant's turn.
    Raises:
        DataError: no chat template, a message of the wrong shape, or a template that refuses the messages.
    """
    if isinstance(prompt, str):
        return _encode_texts(tokenizer, [prompt])[0]
    text = _render(tokenizer, prompt, chat_template_kwargs, add_generation_prompt=add_generation_prompt)
    return _encode_exactly(tokenizer, text)


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    *,
    chat_template_kwargs: Mapping[str, object] | None = None,
) -> list[Tensor]:
    """What ``encode_prompt`` gives for each, at a fraction of its price: the tokenizer is called once for all texts."""
    texts = _encode_texts(tokenizer, [one for one in prompts if isinstance(one, str)])
    waiting = [
        _rendering(tokenizer, one, chat_template_kwargs, add_generation_prompt=True)
        for one in prompts
        if not isinstance(one, str)
    ]
    rendered = [text() for text in waiting]
    opened, exact = iter(texts), iter(_encode_all(tokenizer, rendered))
    return [next(opened if isinstance(one, str) else exact) for one in prompts]


def encode_continuation(
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    *,
    last_id: int | None,
    chat_template_kwargs: Mapping[str, object] | None = None,
) -> Tensor:
    """[E] int64 ids to add to a context that goes on: what the environment says after the student's completion.

    Messages become what the chat template writes between the assistant's words and its next turn. A closing token that
    the student already wrote is not written twice.

    Args:
        tokenizer: of the student. prompt: text, taken as it is, or messages.
        last_id: last id of the context so far. chat_template_kwargs: as in ``encode_prompt``.
    Raises:
        DataError: as in ``encode_prompt``.
    """
    last_ids = [last_id]
    return encode_continuations(tokenizer, [prompt], last_ids=last_ids, chat_template_kwargs=chat_template_kwargs)[0]


def encode_continuations(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    *,
    last_ids: Sequence[int | None],
    chat_template_kwargs: Mapping[str, object] | None = None,
) -> list[Tensor]:
    """What ``encode_continuation`` gives for each, the tokenizer called once for all."""
    opening: list[Message] = [{"role": "user", "content": "."}, {"role": "assistant", "content": _SPOKEN}]
    waiting = [
        None
        if isinstance(one, str)
        else _rendering(tokenizer, [*opening, *one], chat_template_kwargs, add_generation_prompt=True)
        for one in prompts
    ]
    texts = [str(one) if text is None else _after_words(text()) for one, text in zip(prompts, waiting, strict=True)]
    return [
        ids[1:] if not isinstance(one, str) and ids.numel() and ids[0] == last else ids
        for one, ids, last in zip(prompts, _encode_all(tokenizer, texts), last_ids, strict=True)
    ]


def _after_words(text: str) -> str:
    """What a template wrote after the assistant's words; raises DataError where it left them out."""
    before, words, after = text.partition(_SPOKEN)
    if not words:
        raise DataError(
            "the chat template does not write what the assistant said before, so that a dialogue cannot go on in it",
            got=before[:80],
            expected="every message of the dialogue, in its order",
            remedy="Take a model whose template keeps them, or let the environment begin each turn afresh.",
        )
    return after


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str, *, stop_id: int) -> Tensor:
    """[C] int64 ids of a written completion with the id that ends it: what a student should have said.

    Args:
        tokenizer: of the student. text: the completion. stop_id: appended unless the text already ends with it.
    """
    ids = _encode_exactly(tokenizer, text)
    if ids.numel() and ids[-1] == stop_id:
        return ids
    return torch.cat([ids, torch.tensor([stop_id])])


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, *, skip_special_tokens: bool = True) -> str:
    """The text of ids, with its spaces left as they are."""
    text = tokenizer.decode(ids.tolist(), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text


def _encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Tensor]:
    """Texts with the tokenizer's opening special tokens."""
    return [
        torch.tensor(_unclosed(tokenizer, text, ids), dtype=torch.int64)
        for text, ids in zip(texts, _encode(tokenizer, texts, add_special_tokens=True), strict=True)
    ]


def _unclosed(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> list[int]:
    """Some tokenizers close every text; a prompt that ends is a prompt nobody goes on with."""
    if not ids or ids[-1] != tokenizer.eos_token_id:
        return ids
    (bare,) = _encode(tokenizer, [text], add_special_tokens=False)
    return ids if bare[-1:] == ids[-1:] else ids[:-1]


def _encode_exactly(tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
    return _encode_all(tokenizer, [text])[0]


def _encode_all(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Tensor]:
    return [torch.tensor(ids, dtype=torch.int64) for ids in _encode(tokenizer, texts, add_special_tokens=False)]


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[int]]:
    if not texts:
        return []
    # The context's bound is the sampler's to check: silence the tokenizer's own warning.
    found = tokenizer(list(texts), add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
    return [list(ids) for ids in found]


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    kwargs: Mapping[str, object] | None,
    *,
    add_generation_prompt: bool,
) -> str:
    return _rendering(tokenizer, messages, kwargs, add_generation_prompt=add_generation_prompt)()


def _rendering(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    kwargs: Mapping[str, object] | None,
    *,
    add_generation_prompt: bool,
) -> Callable[[], str]:
    """Have the messages rendered; what is returned waits for the text, so that many are rendered side by side."""
    if not tokenizer.chat_template:
        raise DataError(
            "the prompt is a list of messages, but the tokenizer has no chat template",
            got=tokenizer.name_or_path or type(tokenizer).__name__,
            expected="a tokenizer with a chat template, or a prompt of text",
            remedy="Give `prompt` as text or a template over columns, or use an instruction-tuned model.",
        )
    checked = [_checked(message, place) for place, message in enumerate(messages)]
    if not checked:
        raise DataError("the prompt is an empty list of messages", remedy="Give it at least one message.")
    options: dict[str, Any] = {**_tools_of(checked), **(kwargs or {}), "add_generation_prompt": add_generation_prompt}
    _check_knows_tools(tokenizer, options)
    with _saying_roles(checked):
        waiting = begin(tokenizer, checked, options)

    def text() -> str:
        with _saying_roles(checked):
            return waiting()

    return text


@contextmanager
def _saying_roles(messages: Sequence[Mapping[str, object]]) -> Iterator[None]:
    try:
        yield
    except TemplateRefusalError as error:
        roles = ", ".join(str(message["role"]) for message in messages)
        raise DataError(
            "the chat template refuses the messages", got=f"roles {roles}", remedy=f"The template says: {error.got}"
        ) from error


def _tools_of(messages: Sequence[dict[str, object]]) -> dict[str, object]:
    """Take the tools, which stand beside messages, out of them: a template is given all of them as ``tools``."""
    tools: list[object] = []
    for message in messages:
        offered = message.pop("tools", None) or []
        if not isinstance(offered, list):
            raise DataError("`tools` of a message is no list", got=repr(offered), expected="tools in OpenAI's form")
        tools += offered
    return {"tools": tools} if tools else {}


def _check_knows_tools(tokenizer: PreTrainedTokenizerBase, options: Mapping[str, Any]) -> None:
    """A template without tools would leave them out without a word: the model would be asked to call what it cannot."""
    tools = options.get("tools")
    if tools and "tools" not in tokenizer.get_chat_template(options.get("chat_template"), tools):
        raise DataError(
            "the prompt offers tools, and the chat template knows none",
            got=tokenizer.name_or_path or type(tokenizer).__name__,
            expected="a chat template that renders `tools`",
            remedy="Take a model made for tools, or describe them in words (environment.calls: text).",
        )


def _checked(message: object, place: int) -> dict[str, object]:
    """The message as a dict; raises DataError unless its role and content are what a template can take."""
    where = f"message {place + 1} of a prompt"
    if not isinstance(message, Mapping):
        raise DataError(f"{where} is not a mapping", got=repr(message), expected="role and content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES:
        raise DataError(f"{where} has a wrong role", got=repr(role), expected=f"one of {', '.join(sorted(ROLES))}")
    calls_only = content is None and role == "assistant" and message.get("tool_calls")
    if not (isinstance(content, str) or calls_only):
        raise DataError(f"{where} has no text", got=repr(content), expected="`content` as text")
    return dict(message)
