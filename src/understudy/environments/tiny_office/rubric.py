"""How work in the tiny office is graded: a few lines that programs decide, looking only at files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.environments.tiny_office.documents import (
    DATE,
    OVER,
    SIGN,
    TOTAL,
    Document,
    Line,
    count_formula,
    total_formula,
)
from understudy.environments.tiny_office.errands import Errand
from understudy.environments.tiny_office.wishes import Wish, Work
from understudy.environments.tiny_office.workspaces import Workspace

WORK_POINTS = 2.0


@dataclass(frozen=True)
class Criterion:
    """One line of a rubric and its verdict.

    Args:
        id: within its task. criterion: in words. points: what it is worth. met: the verdict.
    """

    id: str
    criterion: str
    points: float
    met: bool


def grade(errand: Errand, workspace: Workspace, handed_in: str | None) -> tuple[Criterion, ...]:
    """The rubric of an errand on the files as they are now; without a file handed in, no line is met.

    Args:
        handed_in: name of the file; None where there is none.
    """
    wish = errand.wish
    given = workspace.read(handed_in) if handed_in is not None else None
    found = [_named(wish, given, handed_in)]
    if wish.form == "move":
        found += [
            _line("moved", f"No file is called {wish.source} any more.", wish.source not in workspace.names(), 2.0),
            _line("rows", "The file is as it was.", given == errand.document, 2.0),
        ]
    else:
        found += [_work(work, errand, given) for work in wish.works]
        found += [_noted(errand, given)] if wish.form == "note" else []
        found += _ends(wish, given)
        if wish.form == "sheet":
            found.append(_line("rows", "All rows of the source are there.", given is not None and _kept(errand, given)))
        found.append(_line("source", f"{wish.source} is as it was.", _untouched(errand, workspace)))
    if given is None:
        return tuple(Criterion(one.id, one.criterion, one.points, met=False) for one in found)
    return tuple(found)


def score_of(rubric: Sequence[Criterion]) -> float:
    """The share of the points that were met, from 0 to 1."""
    return sum(one.points for one in rubric if one.met) / sum(one.points for one in rubric)


def _line(identifier: str, text: str, met: bool, points: float = 1.0) -> Criterion:
    return Criterion(identifier, text, points, met)


def _named(wish: Wish, given: Document | None, handed_in: str | None) -> Criterion:
    kind = "note" if wish.form == "note" else "sheet"
    right = given is not None and handed_in == wish.name and given.kind == kind
    what = "note" if kind == "note" else "spreadsheet"
    return _line("name", f"A {what} called {wish.name} is handed in.", right)


def _work(work: Work, errand: Errand, given: Document | None) -> Criterion:
    met = given is not None and given.kind == "sheet" and _done(work, errand, given)
    text = {
        "fill": f"{work.what} has the figure of {work.like}.",
        "sort": f"The figures go {work.what} from row to row.",
        "mark": f"The {'largest' if work.what == 'most' else 'smallest'} figure is highlighted, and nothing else.",
        "count": f"The figures over {work.what} are counted, by a live formula or rightly.",
        "total": "The total is there, by a live formula or rightly.",
    }[work.kind]
    return _line(work.kind, text, met, WORK_POINTS)


def _done(work: Work, errand: Errand, given: Document) -> bool:
    figures = list(errand.filled.values())
    if work.kind == "fill":
        return given.values.get(work.what) == errand.filled[work.what]
    if work.kind == "sort":
        values = [row.value for row in given.rows if row.value is not None]
        return len(values) == len(figures) and values == sorted(values, reverse=work.what == "down")
    if work.kind == "mark":
        best = max(figures) if work.what == "most" else min(figures)
        return [row.value for row in given.rows if row.marked] == [best]
    if work.kind == "count":
        bound = int(work.what)
        line = given.line(f"{OVER} {bound}")
        return _right(line, count_formula(given, bound), sum(value > bound for value in figures))
    return _right(given.line(TOTAL), total_formula(given), sum(figures))


def _right(line: Line | None, formula: str, number: int) -> bool:
    return line is not None and line.content in (formula, number)


def _noted(errand: Errand, given: Document | None) -> Criterion:
    thing = errand.wish.thing
    line = given.line(thing) if given is not None else None
    right = line is not None and line.content == errand.filled[thing]
    return _line("note", f"The note says the figure of {thing}.", right, WORK_POINTS)


def _ends(wish: Wish, given: Document | None) -> list[Criterion]:
    asked = [(DATE, wish.date, f"It is dated {wish.date}."), (SIGN, wish.sign, f"It is signed by {wish.sign}.")]
    found = []
    for label, said, text in asked:
        line = given.line(label) if given is not None else None
        if said:
            found.append(_line(label, text, line is not None and line.content == said))
    return found


def _kept(errand: Errand, given: Document) -> bool:
    """Every thing with its figure, in any order; what was to be filled in may have any."""
    asked = {work.what for work in errand.wish.works if work.kind == "fill"}
    before = errand.document.values
    same = all(given.values.get(thing) == value for thing, value in before.items() if thing not in asked)
    return same and given.values.keys() == before.keys()


def _untouched(errand: Errand, workspace: Workspace) -> bool:
    source = errand.wish.source
    return source in workspace.names() and workspace.read(source) == errand.document
