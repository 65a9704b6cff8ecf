"""Votes on disk, one file for each task and grader, so that a grading that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from understudy.evaluation.grading.marking import Marked
from understudy.evaluation.grading.prompts import VERSION
from understudy.evaluation.grading.settings import GraderSettings
from understudy.evaluation.grading.showing import HandedIn
from understudy.evaluation.grading.votes import PASSING, Reason, Vote
from understudy.evaluation.suites import write_json
from understudy.tasks.office import Criterion


def fingerprint(settings: GraderSettings, task: str, rubric: Sequence[Criterion], files: Sequence[HandedIn]) -> str:
    """Of all that a vote depends on: the grader, the wording, the task, the criteria and what was read of the files."""
    about = [settings.identity(), VERSION, task, [asdict(criterion) for criterion in rubric]]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for file in files:
        digest.update(repr((file.name, file.problem, file.read.text if file.read else None)).encode(errors="replace"))
        for image in file.read.images if file.read else ():
            digest.update(image.content)
    return digest.hexdigest()[:32]


def stored(path: Path, mark: str) -> Marked | None:
    """The votes that were kept under this fingerprint; None where there are none that stand.

    A file with a vote missing for a reason of the connection does not stand: the next run asks again.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        votes = tuple(Vote(one["met"], one["why"], one["reason"]) for one in record["votes"])
        marked = Marked(votes, record["input_tokens"], record["output_tokens"], record["num_cut"])
        _check_kinds(marked)
        does_stand = record["fingerprint"] == mark and not any(vote.reason in PASSING for vote in votes)
        return marked if does_stand else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _check_kinds(marked: Marked) -> None:
    """Raise a ValueError where a field is of another kind: the file may have been changed since."""
    votes, counts = marked.votes, (marked.input_tokens, marked.output_tokens, marked.num_cut)
    reasons = (None, *get_args(Reason))
    is_good = all(vote.met is None or isinstance(vote.met, bool) for vote in votes)
    is_good = is_good and all(isinstance(vote.why, str) and vote.reason in reasons for vote in votes)
    if not is_good or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("no votes")


def store(path: Path, mark: str, *, marked: Marked, task_id: str, settings: GraderSettings) -> None:
    """Keep the votes; the file is written beside and renamed."""
    about = {"task_id": task_id, "grader": settings.name, "model": settings.model, "fingerprint": mark}
    write_json({**about, **asdict(marked)}, path)
