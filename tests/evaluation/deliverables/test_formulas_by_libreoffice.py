"""The same formulas by another program: LibreOffice is the oracle where it is installed."""

from __future__ import annotations

import pytest

from tests.evaluation.deliverables.made_files import workbook
from tests.evaluation.deliverables.test_formulas import PLAIN, ROWS
from tests.evaluation.deliverables.test_recalculating import can_isolate
from understudy.evaluation.deliverables import libreoffice, read_deliverable
from understudy.evaluation.deliverables.cells import value_at
from understudy.evaluation.deliverables.limits import LIMITS
from understudy.evaluation.deliverables.spreadsheets import read_workbook

DIFFERS = {
    "=0^0": "an error in Excel, 1 in LibreOffice",
    "=Missing!A1": "an error in both, of another name",
}


@pytest.mark.skipif(libreoffice() is None, reason="LibreOffice is not installed")
@pytest.mark.skipif(not can_isolate(), reason="no sandbox on this machine")
def test_plain_formulas_give_what_libreoffice_gives(tmp_path):
    formulas = [formula for formula, _ in PLAIN]
    main = [list(row) for row in ROWS] + [[None] * 3 for _ in range(5)]
    rows = [*main, *([None, None, None, None, None, formula] for formula in formulas)]
    path = workbook(tmp_path / "a.xlsx", {"Main": rows, "Other data": [[7, 8]]})
    recalculate = libreoffice()
    assert recalculate is not None
    ours = read_deliverable(path).tables[0].rows
    theirs = read_workbook(recalculate(path.read_bytes()), name="b", limits=LIMITS).tables[0].rows
    differing = {}
    for number, formula in enumerate(formulas, 9):
        a, b = value_at(ours, f"F{number}"), value_at(theirs, f"F{number}")
        if a != (pytest.approx(b) if isinstance(b, int | float) and not isinstance(a, str) else b):
            differing[formula] = (a, b)
    assert set(differing) == set(DIFFERS), differing
