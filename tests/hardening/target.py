"""What a hostile input may do to a reader: be read, or be refused in a sentence, soon and in little memory."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType

from understudy.errors import UnderstudyError
from understudy.serving.refusal import Refusal

DEADLINE_SECONDS = 10.0
MOST_BYTES = 1 << 30
_LONGEST_MESSAGE = 20_000


@dataclass(frozen=True)
class Target:
    """One reader of what others wrote.

    Args:
        name: of the kind of input. make: an input from a stream of random numbers.
        attempt: read it; returns if it was taken, raises UnderstudyError (or the server's Refusal) if it was not.
    """

    name: str
    make: Callable[[Random], bytes]
    attempt: Callable[[bytes], None]


Opened = Callable[[Path], Target]
"""A target whose files stand in this folder."""


@dataclass(frozen=True)
class Finding:
    """An input that did what none may do.

    Args:
        target: name. content: the input. what: the exception and where it came from, one line for equal faults.
        trace: the whole of it.
    """

    target: str
    content: bytes
    what: str
    trace: str


@dataclass(frozen=True)
class Verdict:
    """What came of one input: taken, or refused with a sentence, or a finding; and the seconds it took."""

    taken: bool
    seconds: float
    finding: Finding | None = None


class HungError(BaseException):
    """The deadline is over; no reader may catch it."""


def judge(target: Target, content: bytes, *, deadline_seconds: float = DEADLINE_SECONDS) -> Verdict:
    """Give a reader an input, and look at what it does."""
    quiet()
    began, before = time.perf_counter(), _peak_bytes()
    taken, fault, trace = True, "", ""
    try:
        with _deadline(deadline_seconds):
            target.attempt(content)
    except (UnderstudyError, Refusal) as error:
        taken, fault = False, _fault_of(str(error))
    except HungError as error:
        fault, trace = f"hangs in {_place(error)}", traceback.format_exc()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        fault, trace = f"{type(error).__name__} in {_place(error)}", traceback.format_exc()
    seconds, grown = time.perf_counter() - began, _peak_bytes() - before
    if not fault and grown > MOST_BYTES:
        fault = f"takes {grown:,} bytes"
    return Verdict(taken, seconds, Finding(target.name, content, fault, trace) if fault else None)


@cache
def quiet() -> None:
    """Keep libraries from telling of every file they read."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)


def _fault_of(message: str) -> str:
    """What is wrong with a refusal; nothing if it is a sentence that a person can read."""
    if not message.strip():
        return "refuses without a word"
    if len(message) > _LONGEST_MESSAGE:
        return f"refuses in {len(message) // 1000 * 1000:,} characters or more"
    return "refuses with a traceback" if "Traceback (most recent" in message else ""


def _place(error: BaseException) -> str:
    """The last line of our own code that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/understudy/" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{frame.filename.rpartition('/understudy/')[2]}:{frame.lineno}"


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
