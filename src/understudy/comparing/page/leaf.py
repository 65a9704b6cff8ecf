"""One leaf of the page: one problem, who won it, what both said and handed in, and how it was judged."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from understudy.comparing.contest import Outcome
from understudy.comparing.page.text_diff import Marked
from understudy.comparing.page.transcripts import Turn
from understudy.comparing.page.views import FilePair

MAX_CHARACTERS = 30_000
"""Shown of each answer and each task."""


@dataclass(frozen=True)
class Attempt:
    """How one side's attempt went: short facts, and what broke it."""

    facts: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True)
class Judgement:
    """One line of the rubric: what each side got for it, how the graders voted, and why."""

    criterion: str
    points: float
    met_a: bool | None
    met_b: bool | None
    votes_a: str
    votes_b: str
    why_a: str = ""
    why_b: str = ""

    @property
    def differs(self) -> bool:
        """Whether the two sides got something else for it."""
        return self.met_a != self.met_b


@dataclass(frozen=True)
class Check:
    """A grader-free figure of both sides' deliverables."""

    name: str
    a: float | None
    b: float | None


@dataclass(frozen=True)
class Leaf:
    """One problem.

    Args:
        verdict: of the first side; ``none`` where nothing could be compared, and ``why`` says why.
        score_a, score_b: None where there is none. answers: of each sample. swapped: sides changed in blind
            reading. turns_a, turns_b: of the transcripts.
    """

    suite: str
    problem: str
    verdict: Outcome
    why: str
    score_a: float | None
    score_b: float | None
    prompt: str = ""
    attempt_a: Attempt | None = None
    attempt_b: Attempt | None = None
    answers: tuple[Marked, ...] = ()
    files: tuple[FilePair, ...] = ()
    rubric: tuple[Judgement, ...] = ()
    checks: tuple[Check, ...] = ()
    turns_a: tuple[Turn, ...] = ()
    turns_b: tuple[Turn, ...] = ()

    @property
    def swapped(self) -> bool:
        """The same for every reader, and no pattern in it."""
        return bool(crc32(f"{self.suite}/{self.problem}".encode("utf-8", "replace")) & 1)


def shortened(text: str) -> str:
    """The beginning of a long text, and how much is not shown."""
    left = len(text) - MAX_CHARACTERS
    return text if left <= 0 else f"{text[:MAX_CHARACTERS]}\n[{left:,} characters are not shown]"
