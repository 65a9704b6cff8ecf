"""Which method the pair asks for, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.doctor.findings import Finding
from understudy.doctor.measures import Measures
from understudy.protocols import Capabilities

FAR = 0.4
"""Overlap of the top k below which the two hardly meet (Rethinking OPD, arXiv:2604.13016, sees .72 and more)."""


@dataclass(frozen=True)
class Advice:
    """A method and the reason for it.

    Args:
        method: its name. why: one sentence.
    """

    method: str
    why: str


def advice_for(measures: Measures, findings: Sequence[Finding], *, capabilities: Capabilities, is_self: bool) -> Advice:
    """The recommended method, by what the probe found; the first reason that holds decides.

    Args:
        capabilities: of the teacher. is_self: the teacher is the student itself.
    """
    warned = {finding.check for finding in findings if finding.verdict != "ok"}
    wide = capabilities.top_k > 1
    if is_self:
        return Advice("opsd", "the teacher is the student itself, told more: compare whole distributions")
    if measures.overlap is not None and measures.overlap < FAR:
        return Advice(
            "seq_kd",
            f"the top tokens of both agree on {100 * measures.overlap:.0f} % only: learn the teacher's text first, "
            "then go on with opd",
        )
    if "special tokens" in warned and wide:
        return Advice("local_support", "tokens of the format carry the signal: mask them and match the teacher's top k")
    if "signal balance" in warned:
        if wide:
            return Advice("tropd", "single tokens carry the signal: learn them by forward KL on the teacher's top k")
        return Advice("reopold", "single tokens carry the signal and the teacher gives no top k: bound them from below")
    if "teacher on the student's prefixes" in warned:
        return Advice("tropd", "the teacher loses its way on the student's answers: let it begin them")
    if measures.truncated > 0.5:
        return Advice("opd", "nothing stands in the way of plain opd, except that most answers are cut at their limit")
    return Advice("opd", "the teacher knows what the student writes, and the signal is even: plain opd will do")
