"""Every kind of check: met, not met, and hostile files that meet nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from understudy.errors import DataError
from understudy.evaluation.programs import Verdict, judge, score_of
from understudy.tasks.office import Check, Criterion

ICS = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{events}END:VCALENDAR\n"


def event(start: str, end: str, name: str = "class") -> str:
    return f"BEGIN:VEVENT\nUID:{start}\nSUMMARY:{name}\nDTSTART:{start}\nDTEND:{end}\nEND:VEVENT\n"


def met(folder: Path, kind: str, files: dict[str, Path] | None = None, **arguments: Any) -> bool | None:
    (verdict,) = judge([Criterion("1", "x", check=Check(kind, arguments))], folder, files or {})
    return verdict.met


def workbook(path: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w").mkdir()
    return tmp_path / "w"


def test_files_that_are_there(folder: Path) -> None:
    (folder / "a.txt").write_text("x")
    (folder / "a.zip").write_bytes(b"PK\x03\x04")
    assert met(folder, "file_exist", file="a.txt")
    assert met(folder, "file_exist", file="a.zip")
    assert met(folder, "file_not_exist", file="b.txt")
    assert not met(folder, "file_not_exist", file="a.txt")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text(""),
        lambda path: path.write_text("no workbook"),
        lambda path: path.write_bytes(b"PK\x03\x04 cut short"),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
def test_files_that_do_not_count(folder: Path, make: Callable[[Path], Any]) -> None:
    make(folder / "a.xlsx")
    assert met(folder, "file_exist", file="a.xlsx") is False
    assert met(folder, "contain", file="a.xlsx", doc_type="xlsx", keywords=["no"]) is False
    assert met(folder, "excel_cell_value", file="a.xlsx", matches=[{"row": 1, "col": 1, "value": "x"}]) is False


def test_words(folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("It was 1,234 in Total.")
    assert met(folder, "contain", file="a.txt", doc_type="txt", keywords=["total", "1234"])
    assert not met(folder, "contain", file="a.txt", doc_type="txt", keywords=["total", "12345"])
    assert met(folder, "not_contain", file="a.txt", doc_type="txt", keywords=["loss"])
    assert not met(folder, "not_contain", file="a.txt", doc_type="txt", keywords=["loss", "Total"]), (
        "none, not: not all"
    )
    assert met(folder, "not_contain", file="gone.txt", doc_type="txt", keywords=["loss"])
    (tmp_path / "secret.txt").write_text("total")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert not met(folder, "contain", file="link.txt", doc_type="txt", keywords=["total"])


def test_mails(folder: Path) -> None:
    (folder / "emails/Bob").mkdir(parents=True)
    (folder / "emails/Bob/hello.eml").write_text("From: a@x.org\nTo: b@x.org\nSubject: lunch\n\nAt noon.\n")
    (folder / "emails/Bob/broken.eml").write_text("no mail")
    for keywords, expected in [(["lunch", "noon", "hello.eml"], True), (["dinner"], False)]:
        assert met(folder, "contain", doc_type="email", username="bob", keywords=keywords) is expected
    assert not met(folder, "contain", doc_type="email", username="Eve", keywords=["lunch"])
    assert met(folder, "not_contain", doc_type="email", username="Eve", keywords=["lunch"])


def test_cells(folder: Path) -> None:
    workbook(folder / "a.xlsx", ["name", "sum"], ["total", 98.0], ["formula", "=B2*2"], ["none", None])

    def cell(row: int, value: str, col: int = 2) -> bool | None:
        matches = [{"row": str(row), "col": str(col), "value": value}]
        return met(folder, "excel_cell_value", file="a.xlsx", matches=matches)

    assert cell(2, "98") and cell(2, "98.0") and cell(2, "total", col=1)
    assert not cell(2, "9") and not cell(2, "980")
    assert cell(3, "196"), "a formula counts with its value"
    assert cell(4, "") and not cell(9, "98")


def test_whole_sheets(folder: Path, tmp_path: Path) -> None:
    rows: list[list[Any]] = [["name", "sum"], ["a", 2], ["b", 1]]
    expected = workbook(tmp_path / "expected.xlsx", *rows)
    files = {"expected.xlsx": expected, "gone.xlsx": tmp_path / "gone.xlsx"}
    given = {"result_file": "a.xlsx", "expected_file": "expected.xlsx"}
    workbook(folder / "a.xlsx", *rows)
    assert met(folder, "exact_match", files, **given)
    workbook(folder / "a.xlsx", rows[0], rows[2], rows[1])
    assert not met(folder, "exact_match", files, **given)
    workbook(folder / "a.xlsx", *rows[:2])
    assert not met(folder, "exact_match", files, **given)
    for name in ("gone.xlsx", "other.xlsx"):
        with pytest.raises(DataError, match=r"missing|no expected"):
            met(folder, "exact_match", files, result_file="a.xlsx", expected_file=name)


def test_changes(folder: Path, tmp_path: Path) -> None:
    rows: list[list[Any]] = [["name", "sum"], ["Liam", 74], ["Ivy", 64]]
    files = {"before": workbook(tmp_path / "before.xlsx", *rows)}
    given = {"input_file": "before", "output_file": "a.xlsx", "keywords": ["Liam", "74"]}
    workbook(folder / "a.xlsx", *rows)
    assert not met(folder, "diff_contain_text", files, **given)
    workbook(folder / "a.xlsx", rows[0], rows[2])
    assert met(folder, "diff_contain_text", files, **given)
    workbook(folder / "a.xlsx", rows[0], rows[1])
    assert not met(folder, "diff_contain_text", files, **given), "another row is gone"
    workbook(folder / "a.xlsx", *rows, ["++ Liam", 74])
    assert met(folder, "diff_contain_text", files, **given), "a row may begin as a heading of a difference does"


def test_calendars(folder: Path) -> None:
    (folder / "calendar").mkdir()
    path = folder / "calendar/Bob.ics"
    first = event("20240501T100000Z", "20240501T110000Z")
    for second, expected in [
        (event("20240501T110000Z", "20240501T120000Z"), True),
        (event("20240501T103000", "20240501T120000"), False),
        (event("20240502T090000", "20240502T100000"), True),
    ]:
        path.write_text(ICS.format(events=second + first))
        assert met(folder, "calendar_no_overlap", username="Bob") is expected
    assert met(folder, "calendar_no_overlap", username="Eve") is False
    for lasting, expected in [
        ("DTSTART:20240501T093000Z\nDURATION:PT2H", False),
        ("DTSTART:20240501T093000Z\nDURATION:PT30M", True),
        ("DTSTART;VALUE=DATE:20240501", False),
        ("DTSTART;VALUE=DATE:20240502", True),
        ("DTSTART:20240501T103000Z\nDTEND:20240501T093000Z", False),
    ]:
        path.write_text(ICS.format(events=first + f"BEGIN:VEVENT\nUID:2\nSUMMARY:trip\n{lasting}\nEND:VEVENT\n"))
        assert met(folder, "calendar_no_overlap", username="Bob") is expected, lasting
    path.write_text(ICS.format(events="BEGIN:VEVENT\nUID:1\nSUMMARY:timeless\nEND:VEVENT\n" + first))
    assert met(folder, "calendar_no_overlap", username="Bob") is False


def test_scores() -> None:
    rubric = [Criterion("a", "", 2.0), Criterion("b", "", 1.0), Criterion("c", "", -1.0)]

    def score(*decided: bool | None, scoring: Any = "points") -> float | None:
        verdicts = [Verdict(line.id, one) for line, one in zip(rubric, decided, strict=True)]
        return score_of(rubric, verdicts, scoring)

    assert score(True, False, False) == pytest.approx(2 / 3)
    assert score(True, True, True) == pytest.approx(2 / 3)
    assert score(False, False, True) == 0.0
    assert score(True, True, False, scoring="all") == 0.0
    assert score(True, None, False) is None
    assert score_of([], [], "points") is None


def test_checks_that_cannot_be_carried_out(folder: Path) -> None:
    for kind, arguments in [
        ("excel_cell_comparator", {}),
        ("contain", {"file": "a.txt"}),
        ("contain", {"keywords": ["x"]}),
        ("file_exist", {}),
    ]:
        (folder / "a.txt").write_text("x")
        with pytest.raises(DataError):
            met(folder, kind, **arguments)
