"""Every check of a task against a workspace: what is met, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import DataError, DeliverableError
from understudy.evaluation.programs.calendars import calendar_no_overlap
from understudy.evaluation.programs.tables import exact_match, excel_cell_value
from understudy.evaluation.programs.texts import contain, diff_contain_text, file_exist, file_not_exist, not_contain
from understudy.tasks.office import Check, Criterion, Scoring

KINDS: Mapping[str, Callable[[Path, Mapping[str, object], Mapping[str, Path]], str | None]] = {
    "calendar_no_overlap": calendar_no_overlap,
    "contain": contain,
    "diff_contain_text": diff_contain_text,
    "exact_match": exact_match,
    "excel_cell_value": excel_cell_value,
    "file_exist": file_exist,
    "file_not_exist": file_not_exist,
    "not_contain": not_contain,
}
"""Each gives why it is not met, or None; a check that runs a program of the task's own is not among them."""


@dataclass(frozen=True)
class Verdict:
    """What a check says.

    Args:
        id: of the criterion. met: None where a grader has to decide. why: not, where it is not.
    """

    id: str
    met: bool | None
    why: str = ""


def judge(rubric: Sequence[Criterion], workspace: Path, files: Mapping[str, Path]) -> list[Verdict]:
    """One verdict a criterion, in order.

    Args:
        workspace: as the agent left it. files: what checks compare with, by the name they use.
    Raises:
        DataError: a check of the task cannot be carried out, whatever the agent did.
    """
    return [_verdict(line, workspace, files) for line in rubric]


def score_of(rubric: Sequence[Criterion], verdicts: Sequence[Verdict], scoring: Scoring) -> float | None:
    """0 to 1; None while a criterion is undecided.

    ``points``: what was earned over what could be, at least 0. ``all``: 1 where every criterion is met.
    """
    if not rubric or any(verdict.met is None for verdict in verdicts):
        return None
    if scoring == "all":
        return float(all(verdict.met for verdict in verdicts))
    possible = sum(line.points for line in rubric if line.points > 0)
    earned = sum(line.points for line, verdict in zip(rubric, verdicts, strict=True) if verdict.met)
    return min(1.0, max(0.0, earned / possible)) if possible else None


def _verdict(line: Criterion, workspace: Path, files: Mapping[str, Path]) -> Verdict:
    if line.check is None:
        return Verdict(line.id, None)
    check = line.check
    function = KINDS.get(check.kind)
    if function is None:
        raise DataError("no program knows this check", got=check.kind, expected=", ".join(KINDS))
    try:
        why = function(workspace, _with_files(check, files), files)
    except DeliverableError as error:
        why = str(error)
    return Verdict(line.id, why is None, why or "")


def _with_files(check: Check, files: Mapping[str, Path]) -> Mapping[str, object]:
    """The arguments; raises DataError where they name a file to compare with that the task does not have."""
    for name in ("input_file", "expected_file"):
        named = check.arguments.get(name)
        if named is not None and (named not in files or not files[str(named)].is_file()):
            raise DataError("the file that a check compares with is missing", got=named)
    return check.arguments
