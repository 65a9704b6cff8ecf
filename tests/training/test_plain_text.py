"""What models and data write is shown, never obeyed."""

from __future__ import annotations

import io
import os
import pty

from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_progress import everything_from
from understudy.training.plain_text import printable, shortened
from understudy.training.progress import Bar, Lines

HOSTILE = "\x1b[2J\x1b]0;title\x07a\rb\x08\u202e\u200b\ud800\x9b31m"


def test_controls_become_visible() -> None:
    assert printable(HOSTILE) == r"\x1b[2J\x1b]0;title\x07a\rb\x08\u202e\u200b\ud800\x9b31m"
    assert printable("two\nlines\tand é, 漢字, 😀") == "two\nlines\tand é, 漢字, 😀"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    shown.encode()  # no half pairs either
    assert all(one.isprintable() or one in "\n\t" or one.isspace() for one in shown)
    assert not set(shown) & set("\x1b\x07\x08\r\x9b\x7f\x00")


def test_long_texts_keep_their_ends() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("a" * 600 + "b" * 600, 100) == "a" * 50 + " ... 1,100 characters ... " + "b" * 50


def test_a_log_shows_hostile_notices_as_text() -> None:
    out = io.StringIO()
    Lines(out).notice(f"said: {HOSTILE}[bold]")
    assert out.getvalue() == f"said: {printable(HOSTILE)}[bold]\n"


def test_a_terminal_shows_hostile_notices_as_text() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        display = Bar(terminal)
        display.notice(f"said: {HOSTILE}[bold]")
        display.end()
    shown = everything_from(reader)
    assert r"\x1b[2J\x1b]0;title\x07a\rb\x08" in shown and "[bold]" in shown
    assert "\x1b[2J" not in shown and "\x07" not in shown
