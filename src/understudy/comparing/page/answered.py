"""The leaf of a suite's problem: the answers of both sides, sample beside sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from understudy.comparing.page.leaf import Attempt, Leaf, shortened
from understudy.comparing.page.text_diff import mark
from understudy.comparing.reading import Side
from understudy.evaluation import SampleRecord

MAX_SAMPLES = 4
"""Answers of each side that a leaf shows."""


def with_answers(leaf: Leaf, a: Side, b: Side) -> Leaf:
    """The leaf with what both sides answered."""
    ours, theirs = (side.samples.get((leaf.suite, leaf.problem), ()) for side in (a, b))
    shown = list(zip_longest(ours, theirs))[:MAX_SAMPLES]
    return replace(
        leaf,
        attempt_a=_attempt(ours),
        attempt_b=_attempt(theirs),
        answers=tuple(mark(_text(one), _text(other)) for one, other in shown),
    )


def _attempt(samples: Sequence[SampleRecord]) -> Attempt | None:
    if not samples:
        return None
    cut = sum(sample.finish_reason.value == "length" for sample in samples)
    unread = sum(sample.parsed is False for sample in samples)
    facts = [
        f"{len(samples)} answers" if len(samples) > 1 else "",
        f"{sum(sample.num_tokens for sample in samples):,} tokens",
        f"{cut} cut off" if cut else "",
        f"{unread} without a readable answer" if unread else "",
    ]
    return Attempt(tuple(filter(None, facts)))


def _text(sample: SampleRecord | None) -> str:
    if sample is None:
        return ""
    turns = sample.completions
    text = turns[0] if len(turns) == 1 else "\n\n".join(f"[turn {n}]\n{turn}" for n, turn in enumerate(turns, 1))
    return shortened(text)
