"""What to do next in the tiny office, read off a tiny prompt: by one who takes care, and by one in haste."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.environments.tiny_office.documents import DATE, OVER, SIGN, TOTAL
from understudy.environments.tiny_office.wishes import Wish, Work, wish_of
from understudy.environments.tiny_office.words import COMPUTED, EMPTY, MARKED, REFUSED


@dataclass(frozen=True)
class _Seen:
    """What a prompt shows.

    Args:
        opened: name of the open file; empty at the desk. files: at the desk. kind: of the open file: ``note``, the way
            its figures go (``up``, ``down``), or empty. figures: by thing, None where empty. marked: the highlighted
            thing. lines: what each line says.
    """

    opened: str
    files: tuple[str, ...]
    kind: str
    figures: dict[str, int | None]
    marked: str
    lines: dict[str, str]


def careful(prompt: str) -> str:
    """The reply of one who works on a copy, lets formulas compute, and hands in what was asked under its name.

    >>> careful("desk sales task sales mark most , date may 3 , report :")
    'copy sales report'
    >>> careful("report pen 4 cup 7 task sales mark most , date may 3 , report :")
    'mark cup'
    >>> careful("report pen 4 cup 7 yellow date may 3 task sales mark most , date may 3 , report :")
    'finish report'
    """
    seen, wish = _read(prompt)
    start = _start(seen, wish)
    return start or _pending(seen, wish) or f"finish {wish.name}"


def hasty(prompt: str) -> str:
    """The reply of one who works on the source, types figures that nobody computed, and ends without handing in.

    >>> hasty("desk sales task sales mark most , date may 3 , report :")
    'open sales'
    >>> hasty("report pen 4 cup 7 yellow date may 3 task sales mark most , date may 3 , report :")
    'finish'
    """
    seen, wish = _read(prompt)
    if not seen.opened:
        moved = wish.name in seen.files
        return {"sheet": f"open {wish.source}", "note": f"note {wish.name} {wish.thing} 0"}.get(
            wish.form, "finish" if moved else f"copy {wish.source} {wish.name}"
        )
    pending = _pending(seen, wish)
    match pending.split():
        case ["total"]:
            return "put total 0"
        case ["count", "over", bound]:
            return f"put over {bound} 0"
        case ["fill", thing, _]:
            return f"fill {thing} 0"
        case ["mark", _]:
            return f"mark {next(iter(seen.figures))}"
        case ["sort", _]:
            return f"open {seen.opened}"
        case ["date", *_]:
            return f"finish {seen.opened}"
    return "finish"


def _start(seen: _Seen, wish: Wish) -> str:
    """What comes before the work; empty where it can begin."""
    if wish.form == "move":
        # From inside a file only a move leads back to the desk.
        return "" if not seen.opened and wish.name in seen.files else f"move {wish.source} {wish.name}"
    if wish.form == "note":
        if seen.opened == wish.name and seen.kind == "note":
            noted = seen.lines.get(wish.thing, "0")
            return f"open {wish.source}" if noted == "0" else ""
        known = seen.figures.get(wish.thing)
        return f"open {wish.source}" if known is None else f"note {wish.name} {wish.thing} {known}"
    return "" if seen.opened == wish.name and seen.kind != "note" else f"copy {wish.source} {wish.name}"


def _pending(seen: _Seen, wish: Wish) -> str:
    """The first work that is not done yet in the open file; empty where nothing is left."""
    if seen.kind != "note":
        for work in wish.works:
            action = _to_do(work, seen)
            if action:
                return action
    ends = ((DATE, wish.date), (SIGN, wish.sign))
    return next((f"{label} {said}" for label, said in ends if said and seen.lines.get(label) != said), "")


def _to_do(work: Work, seen: _Seen) -> str:
    known = {thing: figure for thing, figure in seen.figures.items() if figure is not None}
    if work.kind == "fill":
        wanted = known.get(work.like)
        return "" if wanted is None or seen.figures.get(work.what) == wanted else f"fill {work.what} {wanted}"
    if work.kind == "sort":
        return "" if seen.kind == work.what else f"sort {work.what}"
    if work.kind == "mark":
        best = (max if work.what == "most" else min)(known, key=lambda thing: known[thing], default="")
        return "" if seen.marked == best else f"mark {best}"
    if work.kind == "count":
        return "" if seen.lines.get(f"{OVER} {work.what}") == COMPUTED else f"count over {work.what}"
    return "" if seen.lines.get(TOTAL) == COMPUTED else TOTAL


def _read(prompt: str) -> tuple[_Seen, Wish]:
    shown, _, wish = prompt.removesuffix(" :").partition(" task ")
    words = shown.removeprefix(f"{REFUSED} ").split()
    return _seen(words), wish_of(wish)


def _seen(words: list[str]) -> _Seen:
    opened, *rest = words
    if opened == "desk":
        return _Seen("", tuple(rest), kind="", figures={}, marked="", lines={})
    kind = rest[0] if rest[:1] in (["note"], ["up"], ["down"]) else ""
    rest = rest[1:] if kind else rest
    figures: dict[str, int | None] = {}
    lines: dict[str, str] = {}
    marked = ""
    while rest:
        label, size = rest[0], _SIZES.get(rest[0], 2)
        said, rest = rest[1:size], rest[size:]
        if label == OVER:
            lines[f"{OVER} {said[0]}"] = said[1]
        elif kind == "note" or label in _LABELS:
            lines[label] = " ".join(said)
        else:
            figures[label] = None if said[0] == EMPTY else int(said[0])
            if rest[:1] == [MARKED]:
                marked, rest = label, rest[1:]
    return _Seen(opened, (), kind, figures, marked, lines)


_LABELS = (TOTAL, DATE, SIGN)
_SIZES = {OVER: 3, DATE: 3}
"""Words of a line where they are not two."""
