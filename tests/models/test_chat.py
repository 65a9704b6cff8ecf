"""Prompts and completions between text and ids, with small tokenizers made here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from understudy.errors import DataError
from understudy.models.chat import (
    decode,
    encode_completion,
    encode_continuation,
    encode_continuations,
    encode_prompt,
    encode_prompts,
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if no_think %}<x>{% endif %}{% endif %}"
)
SPECIALS = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
PAD, BOS, EOS, IM_START, IM_END = range(5)


def make_tokenizer(*, template: str | None = CHATML, opening: bool = True, closing: bool = False) -> Any:
    characters = "abcdefghijklmnopqrstuvwxyz0123456789 .:<>+=?\n_"
    vocabulary = {symbol: index for index, symbol in enumerate([*SPECIALS, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    single = f"{'<s> ' if opening else ''}$A{' </s>' if closing else ''}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    fast.chat_template = template
    return fast


@pytest.fixture
def tokenizer() -> Any:
    return make_tokenizer()


def letters(tokenizer: Any, text: str) -> list[int]:
    return [tokenizer.convert_tokens_to_ids(c) for c in text]


def test_text_opens_with_the_special_token_and_never_ends_with_eos(tokenizer: Any) -> None:
    expected = [BOS, *letters(tokenizer, "a + b")]
    assert encode_prompt(tokenizer, "a + b").tolist() == expected
    assert encode_prompt(make_tokenizer(closing=True), "a + b").tolist() == expected
    assert encode_prompt(tokenizer, "a").dtype == torch.int64


def test_an_eos_that_the_text_holds_stays() -> None:
    for closing in (False, True):
        ids = encode_prompt(make_tokenizer(closing=closing), "a</s>").tolist()
        assert ids[-1] == EOS
        assert EOS not in ids[:-1] or closing


def test_messages_follow_the_template(tokenizer: Any) -> None:
    prompt = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    ids = encode_prompt(tokenizer, prompt)
    text = "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert decode(tokenizer, ids, skip_special_tokens=False) == text
    assert ids.tolist().count(IM_START) == 3
    assert BOS not in ids
    bare = encode_prompt(tokenizer, prompt, add_generation_prompt=False)
    assert bare.tolist() == ids[: bare.numel()].tolist()
    assert ids.tolist().count(IM_START) == bare.tolist().count(IM_START) + 1


def test_template_arguments_reach_the_template(tokenizer: Any) -> None:
    prompt = [{"role": "user", "content": "hi"}]
    ids = encode_prompt(tokenizer, prompt, chat_template_kwargs={"no_think": True})
    assert decode(tokenizer, ids).endswith("<x>")


def test_a_tokenizer_without_template_is_named() -> None:
    with pytest.raises(DataError, match=r"no chat template.*Give `prompt` as text"):
        encode_prompt(make_tokenizer(template=None), [{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    ("message", "match"),
    [
        ({"role": "robot", "content": "hi"}, "message 2 of a prompt has a wrong role; got 'robot'"),
        ({"content": "hi"}, "message 2 of a prompt has a wrong role; got None"),
        ({"role": ["user"], "content": "hi"}, r"message 2 of a prompt has a wrong role; got \['user'\]"),
        ({"role": "user"}, "message 2 of a prompt has no text; got None"),
        ({"role": "user", "content": 3}, "message 2 of a prompt has no text; got 3"),
        ("hi", "message 2 of a prompt is not a mapping"),
    ],
)
def test_messages_of_a_wrong_shape_are_named(tokenizer: Any, message: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        encode_prompt(tokenizer, [{"role": "user", "content": "a"}, message])


def test_no_messages_are_an_error(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="empty list"):
        encode_prompt(tokenizer, [])


def test_what_the_template_refuses_is_said() -> None:
    strict = make_tokenizer(template="{{ raise_exception('roles must alternate') }}")
    with pytest.raises(DataError, match=r"refuses.*roles user, user.*roles must alternate"):
        encode_prompt(strict, [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])


def test_a_completion_ends_with_its_stop_once(tokenizer: Any) -> None:
    assert encode_completion(tokenizer, "ab", stop_id=EOS).tolist() == [*letters(tokenizer, "ab"), EOS]
    assert encode_completion(tokenizer, "ab</s>", stop_id=EOS).tolist() == [*letters(tokenizer, "ab"), EOS]
    assert encode_completion(tokenizer, "", stop_id=IM_END).tolist() == [IM_END]


def test_decoding_leaves_spaces_and_hides_special_tokens(tokenizer: Any) -> None:
    ids = torch.tensor([BOS, *letters(tokenizer, " a . b"), EOS])
    assert decode(tokenizer, ids) == " a . b"
    assert decode(tokenizer, ids, skip_special_tokens=False) == "<s> a . b</s>"


def test_continued_text_has_no_opening(tokenizer: Any) -> None:
    assert encode_continuation(tokenizer, " ok:", last_id=EOS).tolist() == letters(tokenizer, " ok:")


@pytest.mark.parametrize("stopped", [True, False])
def test_a_continued_chat_is_the_chat_rendered_whole(tokenizer: Any, stopped: bool) -> None:
    """Also where the completion was cut before its closing token: the continuation then writes it."""
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": "hi"}])
    said = letters(tokenizer, "yes") + [IM_END] * stopped
    news = [{"role": "user", "content": "more"}]
    added = encode_continuation(tokenizer, news, last_id=said[-1])
    whole = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}, *news]
    assert [*prompt.tolist(), *said, *added.tolist()] == encode_prompt(tokenizer, whole).tolist()


def test_a_template_that_leaves_the_dialogue_out_is_refused() -> None:
    """What the environment says stands after words that are not there: it would be lost without a word."""
    last_only = make_tokenizer(template="{{ messages[-1]['content'] }}")
    with pytest.raises(DataError, match="does not write what the assistant said"):
        encode_continuation(last_only, [{"role": "user", "content": "hi"}], last_id=None)


def test_tools_beside_a_message_reach_the_template_for_the_whole_prompt() -> None:
    template = "{% for tool in tools or [] %}{{ tool['function']['name'] }} {% endfor %}" + CHATML
    tokenizer = make_tokenizer(template=template)
    tool = {"type": "function", "function": {"name": "add"}}
    prompt = [{"role": "system", "content": "be kind", "tools": [tool]}, {"role": "user", "content": "hi"}]
    assert decode(tokenizer, encode_prompt(tokenizer, prompt)).startswith("add system\n")
    with pytest.raises(DataError, match="no list"):
        encode_prompt(tokenizer, [{"role": "user", "content": "hi", "tools": "add"}])


def test_a_template_that_would_leave_tools_out_is_refused(tokenizer: Any) -> None:
    tool = {"type": "function", "function": {"name": "add"}}
    with pytest.raises(DataError, match="chat template knows none"):
        encode_prompt(tokenizer, [{"role": "user", "content": "hi", "tools": [tool]}])


@pytest.mark.parametrize("closes", [False, True])
def test_many_at_once_are_what_each_is_alone(tokenizer: Any, closes: bool) -> None:
    """Texts and messages mixed, texts that end with the end, a tokenizer that closes texts by itself."""
    chosen = make_tokenizer(closing=True) if closes else tokenizer
    said = [{"role": "user", "content": "b a"}]
    prompts: list[Any] = ["a b", "", f"a{chosen.eos_token}", "b" * 20, *([] if closes else [said, "a", said])]
    alone = [encode_prompt(chosen, prompt) for prompt in prompts]
    assert [ids.tolist() for ids in encode_prompts(chosen, prompts)] == [ids.tolist() for ids in alone]
    lasts = [None, EOS, 1, EOS, *([] if closes else [EOS, IM_END, IM_END])]
    each = [encode_continuation(chosen, prompt, last_id=last) for prompt, last in zip(prompts, lasts, strict=True)]
    found = encode_continuations(chosen, prompts, last_ids=lasts)
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in each]
    assert encode_prompts(chosen, []) == [] == encode_continuations(chosen, [], last_ids=[])
