"""The three ways in which on-policy distillation fails (Revisiting OPD, arXiv:2603.25562), each as a finding.

The bounds are ours. They are chosen so that the testbed's pairs, which train well, stay below them
(docs/design/016-doctor.md); an injected failure of each kind is above them (tests/doctor/test_failures.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.doctor.findings import Finding, ok, warn
from understudy.doctor.measures import Decile, Measures
from understudy.evaluation.statistics import Estimate

LARGEST_SHARE = 0.5
NEGATIVE_SHARE = 0.9
SPECIAL_SHARE = 0.3
RATIO_FALL = 1.0
OVERLAP_FALL = 0.25
ENTROPY_RISE = 1.0
REPETITION = 0.3
LOST_SHARE = 0.3
LEAST_SOLVED = 5
LEAST_TOKENS = 200


@dataclass(frozen=True)
class Continued:
    """How often the teacher succeeds when it goes on with the student's answers.

    Args:
        share: of each answer that was given. success: share of problems solved, with its interval.
        lost: share of the problems that the student had solved and the teacher then does not; None where it solved too
            few to say.
    """

    share: float
    success: Estimate
    lost: Estimate | None = None


def imbalance_finding(measures: Measures) -> Finding:
    """Failure 1: a few tokens carry the whole signal, or nearly every token is told to become less likely."""
    what = (
        f"the largest hundredth of the tokens has {_percent(measures.largest)} of sum |A|, "
        f"{_percent(measures.negative)} of the tokens have A < 0"
    )
    if measures.num_tokens < LEAST_TOKENS:
        return ok("signal balance", f"{what}; {measures.num_tokens} tokens are too few to judge by")
    if measures.largest > LARGEST_SHARE or measures.negative > NEGATIVE_SHARE:
        return warn(
            "signal balance",
            f"{what}: single tokens decide each step",
            "Use a method that bounds or replaces them: reopold (floor), tropd (outliers), or local_support.",
        )
    return ok("signal balance", what)


def drift_finding(measures: Measures, continued: Sequence[Continued] = ()) -> Finding:
    """Failure 2: the teacher knows less and less of what the student has begun."""
    signs = [*_along(measures.by_decile), *_continuing(continued)]
    seen = _described(measures.by_decile, continued)
    if not signs:
        return ok("teacher on the student's prefixes", seen)
    return warn(
        "teacher on the student's prefixes",
        f"{'; '.join(signs)} ({seen})",
        "Shorten rollout.max_completion_length, begin with sft or seq_kd, or let the teacher begin: tropd (guidance).",
    )


def special_finding(measures: Measures) -> Finding:
    """Failure 3: tokens of the format, and not of the answer, carry the signal."""
    what = f"tokens that are no text have {_percent(measures.special)} of sum |A|"
    if measures.special > SPECIAL_SHARE:
        return warn(
            "special tokens",
            what,
            "Compare the end tokens and templates of both; mask what differs: local_support with special_tokens.",
        )
    return ok("special tokens", what)


def _along(deciles: Sequence[Decile]) -> list[str]:
    """What gets worse from the first third of the answers to their last."""
    third = max(1, len(deciles) // 3)
    first, last = deciles[:third], deciles[-third:]
    signs = []
    if _mean(first, "ratio") - _mean(last, "ratio") > RATIO_FALL:
        signs.append("the log-ratio falls along the answers")
    if (
        all(one.overlap is not None for one in deciles)
        and _mean(first, "overlap") - _mean(last, "overlap") > OVERLAP_FALL
    ):
        signs.append("the overlap of both sides' top k falls along the answers")
    if all(one.teacher_entropy is not None for one in deciles):
        rise = _mean(last, "teacher_entropy") - _mean(first, "teacher_entropy")
        signs += ["the teacher's entropy rises along the answers"] if rise > ENTROPY_RISE else []
    if _mean(last, "repetition") > REPETITION:
        signs.append("the answers end in repetition")
    return signs


def _continuing(continued: Sequence[Continued]) -> list[str]:
    """A wrong beginning cannot be rescued, and that is no fault; what the student brings home, the teacher should."""
    worst = max((one.lost for one in continued if one.share and one.lost), key=lambda one: one.mean, default=None)
    if worst is None or worst.mean <= LOST_SHARE or worst.low <= LOST_SHARE / 3:
        return []
    return [f"going on with answers that the student solves, the teacher fails {_percent(worst.mean)} of them"]


def _described(deciles: Sequence[Decile], continued: Sequence[Continued]) -> str:
    parts = [f"log-ratio {deciles[0].ratio:.2f} at the start, {deciles[-1].ratio:.2f} at the end"] if deciles else []
    if continued:
        shown = ", ".join(f"{_percent(one.success.mean)} after {_percent(one.share)}" for one in continued)
        parts.append(f"the teacher going on with the student's answers solves {shown} of them")
    return "; ".join(parts)


def _mean(deciles: Sequence[Decile], name: str) -> float:
    weight = sum(one.num_tokens for one in deciles)
    return sum(float(getattr(one, name) or 0.0) * one.num_tokens for one in deciles) / max(1, weight)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
