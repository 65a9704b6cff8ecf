"""Formulas without a stored value: what plain ones give, and that the others say they give nothing."""

from __future__ import annotations

import pytest

from tests.evaluation.deliverables.made_files import workbook
from understudy.evaluation.deliverables import Sheet, read_deliverable
from understudy.evaluation.deliverables.cells import value_at
from understudy.evaluation.deliverables.formulas import computed

ROWS = ((1, 2.5, "a", None), (3, None, "B", True), (-4, 10, "12", "2024-05-01"))


PLAIN = [
    ("=1+2*3", 7),
    ("=(1+2)*3", 9),
    ("=-2^2", 4),  # Excel binds the sign first
    ("=2^3^2", 64),  # and powers from the left
    ("=2^-1", 0.5),
    ("=50%*8", 4),
    ("=10/4-1", 1.5),
    ("=A1+B1", 3.5),
    ("=$A$1*A3", -4),
    ("=D1+1", 1),
    ("=C3+1", 13),
    ("=C1+1", "#VALUE!"),
    ("=A1/B2", "#DIV/0!"),
    ("=A1/B2+1", "#DIV/0!"),
    ("=10^400", "#NUM!"),
    ("=(-8)^0.5", "#NUM!"),
    ("=0^0", "#NUM!"),
    ('=C1&"-"&A1', "a-1"),
    ('="say ""hi"""', 'say "hi"'),
    ("=A1<A2", True),
    ('="a"="A"', True),
    ('="a">5', True),
    ("=A1<>1", False),
    ("=D1=0", True),
    ("=TRUE", True),
    ("=0.1+0.2=0.3", True),  # as far as fifteen digits tell
    ("=0.1+0.2<=0.3", True),
    ("=0.1+0.2>0.3", False),
    ("=0.1+0.2<>0.3", False),
    ("=1E-9=2E-9", False),
    ("=1E+15+1=1E+15", False),
    ("=1000.1-1000-0.1=0", False),  # its own error is not small beside 0.1
    ("=0.1+0.2-0.3", 0),
    ("=-0.3+0.1+0.2", 0),
    ("=1E-20-3E-20<0", True),
    ('="nan"+1', "#VALUE!"),
    ('=" 12 "+1', 13),
    ("=SUM(A1:A3)", 0),
    ("=SUM(A1:B3,5)", 17.5),
    ("=SUM(A:A)", 0),
    ("=SUM(C1:C3)", 0),
    ("=AVERAGE(A1:B3)", 2.5),
    ("=AVERAGE(C1:C2)", "#DIV/0!"),
    ("=MIN(A1:B3)", -4),
    ("=MAX(A1:B3)", 10),
    ("=MAX(C1:C3)", 0),
    ("=COUNT(A1:C3)", 5),
    ("=COUNTA(A1:D3)", 10),
    ("=MEDIAN(A1:A3)", 1),
    ("=PRODUCT(A1:A3)", -12),
    ("=SUMPRODUCT(A1:A3,B1:B3)", -37.5),
    ('=COUNTIF(A1:A3,">0")', 2),
    ('=SUMIF(C1:C2,"b",A1:A2)', 3),
    ('=COUNTIF(D1:D3,"<>")', 2),
    ('=COUNTIF(D1:D3,"=")', 1),
    ('=COUNTIF(D1:D3,"")', 1),
    ('=COUNTIF(C1:C3,"<>a")', 2),
    ("=AVERAGEIF(A1:A3,1,B1:B3)", 2.5),
    ("=ROUND(2.345,2)", 2.35),
    ("=ROUND(-2.5,0)", -3),
    ("=ROUND(1250,-2)", 1300),
    ("=ROUND(1E+20,10)", 1e20),
    ("=ROUND(1.5,60)", 1.5),
    ("=ROUNDUP(2.01,1)", 2.1),
    ("=ROUNDDOWN(-2.09,1)", -2.0),
    ("=INT(-1.5)", -2),
    ("=ABS(A3)", 4),
    ('=IF(A1>0,"yes",1/0)', "yes"),
    ("=IF(A3>0,1)", False),
    ("=IFERROR(1/0,9)", 9),
    ("=IFERROR(A1,9)", 1),
    ("=AND(A1>0,A2>0)", True),
    ("=OR(A3>0,FALSE)", False),
    ("=NOT(D2)", False),
    ("='Other data'!A1+'other DATA'!B1", 15),
    ("=SUM('Other data'!A1:B1)", 15),
    ("=Missing!A1", "#REF!"),
    ("=#REF!+1", "#REF!"),
    ("=D1", 0),
]


def value(formula: str, **others: str) -> object:
    """Of the formula in F9, beside ``ROWS`` in A1:D3 and further formulas by their cells; "nothing" if not computed."""
    formulas = {"F9": formula, **others}
    sheet = Sheet("Main", ROWS, 3, 4, formulas, tuple(formulas))
    other = Sheet("Other data", ((7, 8),), 1, 2)
    done = computed([sheet, other])[0]
    return "nothing" if "F9" in done.not_computed else value_at(done.rows, "F9")


@pytest.mark.parametrize(("formula", "expected"), PLAIN)
def test_a_plain_formula_gives_what_a_spreadsheet_program_gives(formula, expected):
    assert value(formula) == expected


@pytest.mark.parametrize(
    "formula",
    [
        "=VLOOKUP(1,A1:B3,2)",
        "=TODAY()",
        "=D3+1",
        "=SUM(D1:D3)",
        "=COUNT(D1:D3)",
        "=[1]Sheet!A1",
        "=Total",
        "={1,2}",
        "=A1:A3+1",
        '=COUNTIF(C1:C3,"*a")',
        '=COUNTIF(A1:A3,">")',
        '=COUNTIF(D1:D3,"TRUE")',
        '="1,200"+1',
        '="1_0"+1',
        "=1+",
        "=SUM(1",
        "=SUM(A1,,",
        "=",
        "=" + "(" * 500 + "1" + ")" * 500,
        "=1" + "+1" * 3000,
        "=" + "-" * 3000 + "1",
        "=F9",
        "=F9+1",
        "=ROUND()",
    ],
)
def test_what_is_not_plain_is_said_to_be_without_a_value(formula):
    assert value(formula) in ("nothing", "#VALUE!" if formula == "=ROUND()" else "nothing")


def test_chains_are_computed_in_order_and_cycles_take_down_what_reads_them_and_nothing_else():
    assert value("=G1*2", G1="=G2+1", G2="=A2") == 8
    assert value("=G1", G1="=G2+1", G2="=G1") == "nothing"
    assert value("=A1", G1="=G2+1", G2="=G1") == 1
    assert value("=IFERROR(G1,5)", G1="=TODAY()") == "nothing"


def test_a_chain_of_five_thousand_formulas_is_computed():
    formulas = {f"A{row}": f"=A{row - 1}+1" for row in range(2, 5_001)}
    sheet = Sheet("Main", ((1,),), 1, 1, formulas, tuple(reversed(formulas)))
    assert computed([sheet])[0].rows[-1] == (5_000,)


def test_a_range_that_reaches_beyond_what_was_read_gives_nothing():
    cut = Sheet("Main", ((1,), (2,)), 9, 1, {"B1": "=SUM(A1:A9)", "B2": "=SUM(A1:A2)"}, ("B1", "B2"))
    done = computed([cut])[0]
    assert done.not_computed == ("B1",)
    assert value_at(done.rows, "B2") == 3


def test_a_workbook_saved_without_values_is_computed_when_it_is_read(tmp_path):
    rows = [["Item", "EUR"], ["Rent", 1200], ["Food", 300], ["Total", "=SUM(B2:B3)"], ["Share", "=B2/B4"]]
    rows.append(["Later", "=EDATE(B1,1)"])
    read = read_deliverable(workbook(tmp_path / "a.xlsx", {"Costs": rows}))
    assert read.tables[0].rows[3:] == (("Total", 1500), ("Share", 0.8), ("Later", None))
    assert read.tables[0].not_computed == ("B6",)
    assert "Total | 1500" in read.text
    assert read.notes == ("1 formulas have no stored value and are not computed.",)
