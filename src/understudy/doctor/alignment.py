"""Can a teacher of another tokenizer be aligned with the student?"""

from __future__ import annotations

from understudy.build.aligned import Words, pair_of
from understudy.doctor.findings import Finding, ok, stop_for
from understudy.errors import UserMistakeError


def alignment_finding(student: Words, teacher: Words, *, name: str = "teacher") -> Finding:
    """Both tokenizers can be spelled in bytes; templates and ends need not be alike."""
    try:
        pair = pair_of(student, teacher)
    except UserMistakeError as error:
        return stop_for("tokenizer", error)
    how = (
        "read text as the same ids"
        if pair.is_same
        else "have tokenizers of their own, aligned by the bytes of the text"
    )
    return ok("tokenizer", f"student and {name} {how}")
