"""One task judged: the votes of all graders, the verdict on each criterion, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.errors import DataError
from understudy.evaluation.grading.marking import Marked
from understudy.evaluation.grading.rubric import Score, score_of
from understudy.evaluation.grading.showing import well_formed
from understudy.evaluation.grading.votes import Vote, majority
from understudy.tasks.office import Criterion

NOTHING = "no file was handed in"
UNFINISHED = "the attempt did not finish"


@dataclass(frozen=True)
class Line:
    """A rubric's line in ``results.json``.

    Args:
        criterion: what it asks. decided: the verdict of a program, which no grader is asked about; None leaves it to
            them. record: the line as it stands in the file.
    """

    criterion: Criterion
    decided: bool | None
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """A task after grading.

    Args:
        task_id: of the task. lines: its rubric. marked: what each grader (by its name) made of the lines left to them;
            empty where nothing was handed in. met: the verdict on every line. score: what they add up to.
        by_rule: why the graders were not asked; None where they were.
    """

    task_id: str
    lines: tuple[Line, ...]
    marked: Mapping[str, Marked]
    met: tuple[bool | None, ...]
    score: Score
    by_rule: str | None = None

    @property
    def asked(self) -> list[Line]:
        """The lines left to graders, in order."""
        return [line for line in self.lines if line.decided is None]

    @property
    def votes(self) -> list[tuple[Vote, ...]]:
        """One row for each line left to graders, one vote a grader."""
        return list(zip(*(marked.votes for marked in self.marked.values()), strict=True))

    def rubric_json(self) -> list[dict[str, object]]:
        """The rubric as ``results.json`` keeps it: votes in the order of ``graders``, ungraded ones null."""
        rows, found = iter(self.votes), []
        for line, met in zip(self.lines, self.met, strict=True):
            own = {"id": line.criterion.id, "criterion": line.criterion.criterion, "points": line.criterion.points}
            if line.decided is not None:
                found.append({**line.record, **own, "met": met})
                continue
            votes = next(rows, ())
            whys = [vote.why for vote in votes if vote.met is not None and vote.met == met and vote.why]
            found.append(
                {
                    **line.record,
                    **own,
                    "met": met,
                    "votes": [vote.met for vote in votes],
                    "graders": list(self.marked),
                    "ungraded": [vote.reason for vote in votes],
                    "why": self.by_rule or (whys[0] if whys else ""),
                }
            )
        return found


def lines_of(task: Mapping[str, Any], rubric: Sequence[Criterion] | None) -> tuple[Line, ...]:
    """The lines to be judged: those of ``results.json``, or of a rubric from elsewhere in place of them.

    A line that a program decided stays decided: it has votes and names no graders. From elsewhere, a line with the same
    identifier and words takes its place.

    Raises:
        DataError: a line of the file is no criterion.
    """
    own = {line.criterion.id: line for line in map(_line, task.get("rubric") or [])}
    if rubric is None:
        return tuple(own.values())
    fresh = []
    for criterion in rubric:
        there = own.get(criterion.id)
        same = there is not None and _key(there.criterion) == _key(criterion)
        fresh.append(there if same and there is not None else Line(criterion, None, {}))
    return tuple(fresh)


def _key(criterion: Criterion) -> tuple[str, str, float]:
    return criterion.id, criterion.criterion, criterion.points


def judged(task_id: str, lines: Sequence[Line], marked: Mapping[str, Marked], *, scoring: str = "points") -> Judged:
    """The verdicts by majority of the graders, and the score.

    Args:
        scoring: ``points``, or ``all`` for 1 where every line is met, 0 where one is not, and None in between.
    """
    rows = iter(list(zip(*(one.votes for one in marked.values()), strict=True)))
    met = tuple(
        majority([vote.met for vote in next(rows, ())]) if line.decided is None else line.decided for line in lines
    )
    return Judged(task_id, tuple(lines), marked, met, _score(lines, met, scoring))


def nothing_to_judge(task_id: str, lines: Sequence[Line], *, why: str) -> Judged:
    """A task without a file, or whose attempt did not finish: it scores 0, as in ``understudy office run``.

    No criterion that graders decide is met, and none of them is asked; programs' verdicts stay as they are.
    """
    met = tuple(False if line.decided is None else line.decided for line in lines)
    return Judged(task_id, tuple(lines), {}, met, Score(0.0, 0.0, 0.0, 0), why)


def _score(lines: Sequence[Line], met: Sequence[bool | None], scoring: str) -> Score:
    if scoring != "all":
        return score_of([line.criterion for line in lines], met)
    known = None if None in met and False not in met else float(False not in met)
    low, high = float(all(verdict is True for verdict in met)), float(False not in met)
    return Score(known, low, high, sum(verdict is None for verdict in met))


def _line(record: Mapping[str, Any]) -> Line:
    try:
        criterion = Criterion(str(record["id"]), well_formed(str(record["criterion"])), float(record["points"]))
        by_program = bool(record.get("votes")) and not record.get("graders")
        return Line(criterion, record["met"] if by_program else None, record)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("a rubric's line in results.json is no criterion", got=repr(record)[:200]) from error
