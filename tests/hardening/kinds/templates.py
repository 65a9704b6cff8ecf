"""Chat templates as programs of strangers: they render, or are refused, in bounded time, memory and length."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.tiny import tiny_tokenizer
from tests.hardening.mutating import broken
from tests.hardening.target import Target
from understudy.models.chat_template import render

GOOD = (
    b"{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}{% endfor %}"
    b"{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
HOSTILE = (
    b"{{ ''.__class__.__mro__[1].__subclasses__() }}",
    b"{{ messages.__init__.__globals__['os'].system('true') }}",
    b"{{ cycler.__init__.__globals__.os.popen('true').read() }}",
    b"{{ lipsum.__globals__ }}",
    b"{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
    b"{{ 'a' * 10**9 }}",
    b"{{ 'a' * 10**12 }}",
    b"{% set x = namespace(y='ab') %}{% for i in range(60) %}{% set x.y = x.y + x.y %}{% endfor %}{{ x.y }}",
    b"{{ '%099999999d' % 1 }}",
    b"{{ '{0.__class__}'.format(messages) }}",
    b"{% include '/etc/passwd' %}",
    b"{% import 'os' as os %}",
    b"{{ raise_exception('no') }}",
    b"{{ 9 ** 9 ** 9 }}",
    b"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    b"{{ messages | tojson(indent=10**9) }}",
    b"{{ strftime_now('%' * 100000) }}",
    b"{% generation %}{{ 1 }}{% endgeneration %}",
)
_MESSAGES = [{"role": "user", "content": "hello"}]
_PIECES = (GOOD, *HOSTILE[:4], *HOSTILE[9:13], *HOSTILE[17:])
"""Those that take their time stand in the suite once each (``test_templates.py``)."""


def chat_templates(folder: Path) -> Target:
    """A template's text."""
    tokenizer = tiny_tokenizer()

    def attempt(content: bytes) -> None:
        tokenizer.chat_template = content.decode("utf-8", "replace")
        text = render(tokenizer, _MESSAGES, {"add_generation_prompt": True})
        if "root:" in text or "<class " in text or "<function" in text or len(text) > 1 << 25:
            raise AssertionError(f"a template got out of its sandbox: {text[:200]}")

    return Target("chat template", lambda random: broken(random, random.choice(_PIECES), others=_PIECES), attempt)
