"""Formulas that are not plain, computed by LibreOffice where it is installed, and by nobody where it fails."""

from __future__ import annotations

import pytest

from tests.evaluation.deliverables.made_files import workbook
from understudy.errors import DeliverableError
from understudy.evaluation.deliverables import libreoffice, read_deliverable
from understudy.sandbox import isolation
from understudy.sandbox.limits import SandboxUnavailableError

ROWS = [
    ["Item", "EUR"],
    ["Rent", 1200],
    ["Found", '=VLOOKUP("Rent",A1:B2,2,FALSE)'],
    ["Twice", "=B3*2"],
    ["Plain", "=B2+1"],
]


def can_isolate() -> bool:
    try:
        return bool(isolation())
    except SandboxUnavailableError:
        return False


@pytest.mark.skipif(libreoffice() is None, reason="LibreOffice is not installed")
@pytest.mark.skipif(not can_isolate(), reason="no sandbox on this machine")
def test_libreoffice_computes_what_is_not_plain(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"Costs": ROWS})
    read = read_deliverable(path, recalculate=libreoffice())
    assert [row[1] for row in read.tables[0].rows[2:]] == [1200, 2400, 1201]
    assert read.tables[0].not_computed == () and read.notes == ()
    assert read.tables[0].formulas["B4"] == "=B3*2"


def test_only_cells_without_a_value_take_one_and_plain_workbooks_ask_nobody(tmp_path):
    asked = []

    def other_program(content: bytes) -> bytes:
        asked.append(content)
        changed = [["Item", "EUR"], ["Rent", 99], ["Found", 1200], ["Twice", 2400], ["Plain", -1]]
        return workbook(tmp_path / "made.xlsx", {"Costs": changed}).read_bytes()

    read = read_deliverable(workbook(tmp_path / "a.xlsx", {"Costs": ROWS}), recalculate=other_program)
    assert [row[1] for row in read.tables[0].rows[1:]] == [1200, 1200, 2400, 1201]
    read_deliverable(workbook(tmp_path / "b.xlsx", {"Costs": [[1, "=A1+1"]]}), recalculate=other_program)
    assert len(asked) == 1


def test_a_program_that_fails_leaves_the_formulas_without_a_value(tmp_path):
    read = read_deliverable(workbook(tmp_path / "a.xlsx", {"Costs": ROWS}), recalculate=lambda content: None)
    assert read.tables[0].not_computed == ("B3", "B4")
    assert read.notes == ("2 formulas have no stored value and are not computed.",)


def test_what_the_program_made_is_looked_at_like_a_strangers_file(tmp_path):
    with pytest.raises(DeliverableError, match="corrupt"):
        read_deliverable(workbook(tmp_path / "a.xlsx", {"Costs": ROWS}), recalculate=lambda content: b"no zip")
