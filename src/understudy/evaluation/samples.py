"""One attempt at one problem, as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from understudy.rollouts import FinishReason

_MOST = 1e15
"""Beyond it, and for NaN, a figure is none; sums of such are still floats."""
_RARE = ("answer", "shares", "error", "domain", "actions")


@dataclass(frozen=True)
class SampleRecord:
    """One attempt at one problem.

    Args:
        problem: identifier. completions: text of each turn. reward: of the whole attempt.
        correct: whether it solved the problem; None where nothing decides that.
        finish_reason: why it ended. num_tokens: that the model wrote.
        parsed: whether an answer could be read from it; None where nobody looked.
        answer: the answer as read, one spelling for equal answers; None where none was read, or answers are no votes.
        shares: further counts by name: how many, of how many (instructions followed, tests passed).
        error: why there is no answer, for an attempt that failed.
        domain: sort of task or question set. actions: an agent's counts of the attempt; None where nobody tallied.
    """

    problem: str
    completions: tuple[str, ...]
    reward: float
    correct: bool | None
    finish_reason: FinishReason
    num_tokens: int
    parsed: bool | None = None
    answer: str | None = None
    shares: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    error: str | None = None
    domain: str = ""
    actions: Mapping[str, float] | None = None

    @property
    def score(self) -> float:
        """1 or 0 where correctness is decided, else the reward."""
        return self.reward if self.correct is None else float(self.correct)

    def to_json(self) -> dict[str, object]:
        """The record as JSON; what the last fields, from ``answer`` on, do not have has no key."""
        return {key: value for key, value in asdict(self).items() if key not in _RARE or value}


def sample_of(entry: Mapping[str, Any]) -> SampleRecord:
    """Read back what ``SampleRecord.to_json`` gave; raises TypeError, ValueError or KeyError for anything else."""
    completions, reason, shares = entry["completions"], entry["finish_reason"], entry.get("shares", {})
    if not isinstance(completions, list) or not isinstance(reason, str) or not isinstance(shares, dict):
        raise TypeError("a sample's completions are a list and its finish reason is a word")
    fields = {
        **entry,
        "completions": tuple(completions),
        "finish_reason": FinishReason(reason),
        "shares": {name: (count, of) for name, (count, of) in shares.items()},
    }
    record = SampleRecord(**fields)
    _check_kinds(record)
    return record


def _check_kinds(record: SampleRecord) -> None:
    """A stored file is a stranger's until it is looked at."""
    texts = (record.problem, record.domain, *record.completions, record.answer or "", record.error or "")
    numbers = (record.reward, *(record.actions or {}).values())
    counts = (record.num_tokens, *(count for pair in record.shares.values() for count in pair))
    is_good = (
        all(isinstance(text, str) for text in texts)
        and all(flag is None or isinstance(flag, bool) for flag in (record.correct, record.parsed))
        and all(isinstance(number, int | float) and abs(number) < _MOST for number in numbers)
        and all(isinstance(count, int) and 0 <= count < _MOST for count in counts)
    )
    if not is_good:
        raise TypeError("a sample has a field of another kind")


def lost_sample(problem: str, error: str, *, text: str = "", num_tokens: int = 0) -> SampleRecord:
    """The record of an attempt that never got an answer that can be used: wrong, unread, and named."""
    return SampleRecord(
        problem=problem,
        completions=(text,) if text else (),
        reward=0.0,
        correct=False,
        finish_reason=FinishReason.FAILED,
        num_tokens=num_tokens,
        parsed=False,
        error=error,
    )
