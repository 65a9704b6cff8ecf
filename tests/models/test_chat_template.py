"""Chat templates are programs of strangers: they may not loop for ever, eat memory, or read what is not theirs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.models.test_chat import CHATML, make_tokenizer
from understudy.errors import DataError
from understudy.models import chat_template
from understudy.models.chat import decode, encode_prompt
from understudy.models.chat_template import render

PROMPT = [{"role": "user", "content": "hi"}]


def refused(template: str, prompt: Any = PROMPT, **kwargs: object) -> str:
    with pytest.raises(DataError) as caught:
        encode_prompt(make_tokenizer(template=template), prompt, chat_template_kwargs=kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
        "{% endfor %}",
        "{{ 9 ** (9 ** (9 ** 9)) }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% if messages[0].content == 'hi' %}{% for a in range(99999) %}{% for b in range(99999) %}"
        "{% endfor %}{% endfor %}{% endif %}",
    ],
)
def test_a_template_that_does_not_end_is_ended(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "SECONDS", 1.0)
    encode_prompt(make_tokenizer(), PROMPT)  # the worker is there
    started = time.monotonic()
    assert "the chat template does not end; got no text after 1 s. Look for loops" in refused(template)
    assert time.monotonic() - started < 5
    encode_prompt(make_tokenizer(), PROMPT)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10 ** 10 }}",
        "{% set ns = namespace(t='x' * 10 ** 6) %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{{ '%9999999999d' % 1 }}",
    ],
)
def test_a_template_that_eats_memory_is_ended(template: str) -> None:
    assert "MemoryError" in refused(template)


def test_a_text_out_of_all_proportion_is_refused_and_a_long_message_is_not() -> None:
    """A second of time and a gigabyte of memory are room for much text, which would be tokenised in this process."""
    said = refused("{% for i in range(99999) %}{{ 'x' * 200 }}{% endfor %}")
    assert "the text has 19,999,800 characters; at most 1," in said
    long = [{"role": "user", "content": "x" * 3_000_000}]
    doubled = render(make_tokenizer(template="{{ messages[0].content }}{{ messages[0].content }}"), long, {})
    assert len(doubled) == 6_000_000


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% import '/etc/passwd' as x %}", "no loader"),
        ("{% extends '/etc/passwd' %}", "no loader"),
        ("{{ open('/etc/passwd').read() }}", "'open' is undefined"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.__class__ }}{{ messages.__class__.__base__ }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "unsafe"),
        ("{{ raise_exception.__globals__ }}{{ raise_exception.__globals__['os'] }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{% for x in range(10 ** 9) %}{% endfor %}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ messages[0].content.nothing.at_all }}", "UndefinedError"),
    ],
)
def test_what_the_sandbox_forbids_is_said(template: str, said: str) -> None:
    message = refused(template)
    assert "the chat template refuses the messages; got roles user. The template says:" in message and said in message
    assert "root:" not in message


def test_hostile_messages_stay_text(tmp_path: Path) -> None:
    for text in ("{{ 7 * 7 }}", "{% for x in range(9) %}", "<b>\x1b[31m\x00", "x" * 1_000_000, "\u202e"):
        rendered = render(make_tokenizer(), [{"role": "user", "content": text}], {"add_generation_prompt": False})
        assert rendered == f"<|im_start|>user\n{text}<|im_end|>\n"


def test_rendering_is_that_of_the_tokenizer_itself() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]
    template = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}|{{ m.tool_calls is defined }}\n"
        "{% endfor %}{{ tools | tojson }}{{ documents }}{% if add_generation_prompt %}>{% endif %}{{ x }}{{ y.z }}"
    )
    tokenizer = make_tokenizer(template=template)
    messages = [
        {"role": "user", "content": "é"},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]},
        {"role": "assistant", "content": "b", "tool_calls": None},
    ]
    options = {"tools": tools, "x": 3, "y": {"z": [1, None, True]}, "add_generation_prompt": True}
    expected = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    assert render(tokenizer, messages, options) == expected


def test_named_templates_and_one_given_with_the_arguments_are_found() -> None:
    tokenizer = make_tokenizer(template={"default": "{{ messages[0].content }}", "short": "s"})  # type: ignore[arg-type]
    assert render(tokenizer, PROMPT, {}) == "hi"
    assert render(tokenizer, PROMPT, {"chat_template": "short"}) == "s"
    assert render(tokenizer, PROMPT, {"chat_template": "{{ messages | length }}"}) == "1"


def test_a_tokenizer_with_its_own_way_renders_itself() -> None:
    tokenizer = make_tokenizer()

    class Own(type(tokenizer)):  # type: ignore[misc]
        def apply_chat_template(self, conversation: Any, **kwargs: Any) -> str:
            if kwargs.get("broken"):
                raise KeyError("broken")
            return f"{len(conversation)} messages"

    tokenizer.__class__ = Own
    assert decode(tokenizer, encode_prompt(tokenizer, PROMPT)) == "1 messages"
    with pytest.raises(DataError, match="KeyError: 'broken'"):
        encode_prompt(tokenizer, PROMPT, chat_template_kwargs={"broken": True})


def test_template_arguments_decide_as_they_stand_in_a_recipe() -> None:
    tokenizer = make_tokenizer(template=CHATML)
    plain, other = (
        render(tokenizer, PROMPT, {"add_generation_prompt": True, "no_think": one}) for one in (False, True)
    )
    assert other == plain + "<x>"
