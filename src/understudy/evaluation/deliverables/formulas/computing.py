"""All formulas of a workbook that have no value, in an order in which each is computed after what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.evaluation.deliverables.cells import place_of, position_of, with_values
from understudy.evaluation.deliverables.deliverable import Sheet, Value
from understudy.evaluation.deliverables.formulas.evaluating import value_of
from understudy.evaluation.deliverables.formulas.functions import Cells
from understudy.evaluation.deliverables.formulas.grammar import Area, Function, Node, NotPlainError, Operation, tree_of

_MOST_FORMULAS = 50_000
_MOST_CELLS = 5_000_000
"""Cells read by all formulas together; our choice, a few seconds of work."""
_SMALL_AREA = 5000


@dataclass(frozen=True)
class Place:
    """A cell: the sheet's number, row and column from 0."""

    sheet: int
    row: int
    column: int


def computed(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The sheets with the values of their plain formulas, where none is stored.

    Computed are arithmetic, comparisons, ``&`` and the functions of ``functions.FUNCTIONS`` with IF and IFERROR. Left
    without a value are formulas in a cycle, with dates, names or another function, that read beyond what was read of a
    sheet, and all that depend on one of these.
    """
    return _Workbook(sheets).computed()


class _Workbook:
    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self._sheets = sheets
        self._numbers = {sheet.name.casefold(): number for number, sheet in enumerate(sheets)}
        self._trees = dict[Place, Node]()
        self._values = dict[Place, Value]()
        self._unknown = set[Place]()
        self._cells_left = _MOST_CELLS
        self._extents = [_extent(sheet) for sheet in sheets]

    def computed(self) -> list[Sheet]:
        waiting = [
            Place(number, *position_of(place))
            for number, sheet in enumerate(self._sheets)
            for place in sheet.not_computed
        ]
        self._unknown.update(waiting)
        for place in waiting[:_MOST_FORMULAS]:
            formula = self._sheets[place.sheet].formulas[place_of(place.row, place.column)]
            try:
                self._trees[place] = tree_of(formula)
            except NotPlainError:
                continue
        for place in self._in_order():
            self._compute(place)
        return [with_values(sheet, self._found(number)) for number, sheet in enumerate(self._sheets)]

    def _found(self, sheet: int) -> Mapping[str, Value]:
        return {place_of(p.row, p.column): value for p, value in self._values.items() if p.sheet == sheet}

    def _compute(self, place: Place) -> None:
        try:
            self._values[place] = value_of(self._trees[place], lambda area: self._read(area, place.sheet))
        except NotPlainError:
            return
        self._unknown.discard(place)

    def _in_order(self) -> Iterator[Place]:
        """Depth first, without recursion; what stands in a cycle reads an unknown cell and so stays unknown itself."""
        done, begun = set[Place](), set[Place]()
        for first in self._trees:
            stack = [first]
            while stack:
                place = stack[-1]
                if place in begun:
                    stack.pop()
                    if place not in done:
                        done.add(place)
                        yield place
                    continue
                begun.add(place)
                stack += [needed for needed in self._needed(place) if needed not in begun]

    def _needed(self, place: Place) -> list[Place]:
        found = []
        for area in _areas(self._trees[place]):
            number = self._number_of(area, place.sheet)
            if number is not None:
                found += [one for one in self._trees_in(area, number) if one in self._trees]
        return found

    def _trees_in(self, area: Area, sheet: int) -> list[Place]:
        rows, columns = self._bounds(area, sheet)
        if (self._cells_left - len(rows) * len(columns)) < 0:
            return []
        self._cells_left -= len(rows) * len(columns)
        return [Place(sheet, row, column) for row in rows for column in columns]

    def _read(self, area: Area, own: int) -> Cells:
        number = self._number_of(area, own)
        if number is None:
            return Cells(("#REF!",), 1)
        sheet, (rows, columns) = self._sheets[number], self._bounds(area, number)
        if self._reaches_beyond(area, sheet):
            raise NotPlainError("it reads cells that were not read")
        self._cells_left -= len(rows) * len(columns)
        if self._cells_left < 0:
            raise NotPlainError("too many cells")
        values = []
        for row in rows:
            for column in columns:
                place = Place(number, row, column)
                if place in self._unknown:
                    raise NotPlainError("it reads a cell without a value")
                stored = sheet.rows[row][column] if row < len(sheet.rows) and column < len(sheet.rows[row]) else None
                values.append(self._values.get(place, stored))
        return Cells(tuple(values), max(1, len(columns)))

    def _number_of(self, area: Area, own: int) -> int | None:
        return own if area.sheet is None else self._numbers.get(area.sheet.casefold())

    def _bounds(self, area: Area, sheet: int) -> tuple[range, range]:
        """Rows and columns of the area; of a large one, up to where the sheet has anything."""
        rows, columns = range(area.top, area.bottom + 1), range(area.left, area.right + 1)
        if len(rows) * len(columns) <= _SMALL_AREA:
            return rows, columns
        height, width = self._extents[sheet]
        return rows[: max(0, height - area.top)], columns[: max(0, width - area.left)]

    @staticmethod
    def _reaches_beyond(area: Area, sheet: Sheet) -> bool:
        read_rows, read_columns = len(sheet.rows), len(sheet.rows[0]) if sheet.rows else 0
        cut_rows, cut_columns = sheet.num_rows > read_rows, sheet.num_columns > read_columns
        return (cut_rows and area.bottom >= read_rows) or (cut_columns and area.right >= read_columns)


def _extent(sheet: Sheet) -> tuple[int, int]:
    """Rows and columns that hold a value or a formula."""
    places = [position_of(place) for place in sheet.formulas]
    height = max([len(sheet.rows), *(row + 1 for row, _ in places)])
    return height, max([len(sheet.rows[0]) if sheet.rows else 0, *(column + 1 for _, column in places)])


def _areas(node: Node | None) -> Iterator[Area]:
    if isinstance(node, Area):
        yield node
    elif isinstance(node, Operation):
        yield from _areas(node.left)
        yield from _areas(node.right)
    elif isinstance(node, Function):
        for argument in node.arguments:
            yield from _areas(argument)
