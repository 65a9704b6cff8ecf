"""What the user sees, on a terminal and in a log."""

from __future__ import annotations

import contextlib
import io
import os
import pty

import pytest

from understudy.training.progress import Bar, Lines, Silent, display_on, shown

FIGURES = {"loss": 0.25, "kl/reverse_k1": 1.5, "reward": 0.75, "completions/mean_length": 43.2}


def follow(display: Lines | Bar | Silent, *, steps: int = 100) -> None:
    display.begin(done=0, total=steps)
    for step in range(steps):
        display.phase("sample", size=8)
        for _ in range(4):
            display.advance(2)
        display.phase("update")
        display.step(step + 1, FIGURES)
    display.notice("Saved [bold]here[/bold].")
    display.end()


def test_a_log_has_few_lines_and_the_key_figures() -> None:
    out = io.StringIO()
    follow(display_on(out))  # type: ignore[arg-type]
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("step 1/100  loss 0.25  kl 1.5  reward 0.75  length 43.2  ")
    assert lines[-2].startswith("step 100/100") and lines[-2].endswith("0:00:00 left")
    assert lines[-1] == "Saved [bold]here[/bold]."
    assert 20 <= len(lines) <= 35


def test_a_long_phase_gives_signs_of_life() -> None:
    out = io.StringIO()
    lines = Lines(out, quiet_seconds=-1)
    lines.phase("make_teacher")
    lines.advance(1)
    lines.begin(done=4, total=10)
    lines.phase("sample", size=8)
    lines.advance(3)
    assert out.getvalue() == "make teacher: 1 done\nstep 4/10  sample: 3 of 8 done, about 0:00:00 left\n"


class Gone(io.StringIO):
    """A stream whose reader has left."""

    def __init__(self, error: type[OSError]) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error("gone")

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("make", [Lines, Bar])
@pytest.mark.parametrize("error", [BrokenPipeError, OSError])
def test_a_reader_that_leaves_stops_nothing(make: type[Lines] | type[Bar], error: type[OSError]) -> None:
    follow(make(Gone(error)), steps=3)


def test_a_closed_stream_stops_nothing() -> None:
    out = io.StringIO()
    display = Lines(out)
    out.close()
    follow(display, steps=3)
    assert isinstance(display_on(out), Silent)


def test_a_phase_before_the_run_is_shown_too() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        display = Bar(terminal)
        display.phase("make_teacher", size=4)
        display.advance(4)
        follow(display, steps=1)
    shown = everything_from(reader)
    assert "make teacher" in shown and "1/1" in shown


def test_a_bar_gives_the_cursor_back_whatever_ends_it() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        with pytest.raises(ZeroDivisionError), shown(Bar(terminal)) as display:
            display.phase("teacher on exam", size=4)
            raise ZeroDivisionError
        terminal.flush()
    told = everything_from(reader)
    assert "\x1b[?25l" in told, "hidden while bars are drawn"
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l")


class Terminal(io.StringIO):
    """A terminal that takes any amount before somebody reads."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar there is silent until all is over."""
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    follow(display_on(out))  # type: ignore[arg-type]
    assert out.getvalue().startswith("step 1/100  loss 0.25")
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display_on(Terminal()), Bar)


def test_a_second_run_wipes_nothing_that_was_written_before_it() -> None:
    terminal = Terminal()
    display = Bar(terminal)
    follow(display, steps=2)
    display.notice("The second run:")
    follow(display, steps=4)
    since = terminal.getvalue().split("The second run:")[1]
    assert "\x1b[1A" not in since.split("0/4")[0], "the cursor goes up over what stands above"
    assert "2/2" not in since, "the bar of the first run stays where it ended"


def everything_from(reader: int) -> str:
    parts = []
    with contextlib.suppress(OSError):  # a terminal whose writer has closed has no end but an error
        while part := os.read(reader, 10_000):
            parts.append(part)
    os.close(reader)
    return b"".join(parts).decode()


def test_a_terminal_shows_bars_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        display = display_on(terminal)
        assert isinstance(display, Bar)
        follow(display, steps=3)
    shown = everything_from(reader)
    assert "steps" in shown and "3/3" in shown and "loss 0.25" in shown and "sample" in shown
    assert "0:00:00 left" in shown, "which of two times is which"
    assert "Saved [bold]here[/bold]." in shown
