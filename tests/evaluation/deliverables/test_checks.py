"""Counts of deliverables that need no grader: files with known faults, and clean ones that must not be blamed."""

from __future__ import annotations

import time

import pytest

from tests.evaluation.deliverables.made_files import document, slides, workbook
from understudy.evaluation.deliverables import read_deliverable
from understudy.evaluation.deliverables.checks import checks_of, counts_of, summed, wishes_in
from understudy.evaluation.deliverables.checks.marks import DATE, PLACEHOLDER, SIGNATURE


@pytest.mark.parametrize(
    "text",
    [
        "TODO: ask Ann",
        "Budget: TBD",
        "Lorem ipsum dolor sit amet",
        "Dear [Name],",
        "[Your Company]",
        "<insert address>",
        "Call XXX-1234",
        "Hello {{customer}}",
        "The total is to be determined.",
        "Insert chart here",
        "[Insert date of the meeting]",
    ],
)
def test_placeholders_are_found(text):
    assert PLACEHOLDER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing left to do.",
        "todo el mundo",
        "See [Name](names.md) and [1].",
        "- [ ] buy milk",
        "a < b and c > d",
        "Size XX and XL",
        "if (x) { return }",
        "Rates are determined by law.",
        "The [2024] report",
    ],
)
def test_ordinary_text_is_no_placeholder(text):
    assert not PLACEHOLDER.search(text)


@pytest.mark.parametrize(
    "text", ["2024-05-01", "1.5.2024", "05/31/24", "May 1, 2024", "1st May 2024", "on 3 Sept. 2023"]
)
def test_dates_are_found(text):
    assert len(DATE.findall(text)) == 1


@pytest.mark.parametrize("text", ["1.5", "version 1.2.3", "May be", "10/20", "2024-5", "in may 3 people"])
def test_other_figures_are_no_dates(text):
    assert not DATE.search(text)


@pytest.mark.parametrize(
    "text", ["Signature: ____", "Approved by:", "Signed by ____", "______________\nName", "Kind regards,\nAnn"]
)
def test_places_to_sign_are_found(text):
    assert SIGNATURE.search(text)


@pytest.mark.parametrize(
    "text", ["The signature dish", "It was approved by the board.", "snake_case", "Regards the house"]
)
def test_other_text_is_no_place_to_sign(text):
    assert not SIGNATURE.search(text)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Highlight every overdue invoice in yellow.", (True, False, False)),
        ("List the highlights of the year; highlight why they matter.", (False, False, False)),
        ("Write a memo with today's date at the top.", (False, True, False)),
        ("Mark in red what changed. Add a signature block for the manager.", (True, False, True)),
        ("What is the date format of column B?", (False, False, False)),
    ],
)
def test_wishes_are_read_from_the_prompt(prompt, expected):
    found = wishes_in(prompt)
    assert (found.highlights, found.date, found.signature) == expected


def test_a_workbooks_formulas_numbers_errors_and_broken_links_are_counted(tmp_path):
    rows = [["Item", "EUR"], ["Rent", 1200], ["Food", 300], ["Total", "=SUM(B2:B3)"], ["Fee", "=5+3"], ["TBD", "=B2/0"]]
    rows += [[None, None], ["Old", "=Gone!A1"], ["Later", "=EDATE(B2,1)"]]
    path = workbook(tmp_path / "a.xlsx", {"Costs": rows, "Empty": []}, filled="A4")
    counts = counts_of(read_deliverable(path))
    expected = {
        "live_formulas": 4,  # the total, the share, the old one and the later one; =5+3 reads nothing
        "hard_coded_numbers": 3,  # 1200, 300 and =5+3
        "formulas_not_computed": 1,
        "error_cells": 2,  # #DIV/0! and #REF!
        "links": 1,
        "broken_links": 1,
        "filled_rows": 8,
        "tables": 1,
        "highlights": 1,
        "pieces": 9,
        "pieces_with_placeholder": 1,
        "words": 0,
    }
    assert {name: counts[name] for name in expected} == expected


def test_a_documents_sections_words_and_marks_are_counted(tmp_path):
    counts = counts_of(read_deliverable(document(tmp_path / "a.docx")))
    expected = {"sections": 2, "words": 19, "empty_sections": 0, "broken_links": 1, "links": 2, "highlights": 1}
    assert {name: counts[name] for name in expected} == expected
    assert counts["live_formulas"] == counts["hard_coded_numbers"] == 0  # numbers of a document's table are text


def test_sections_of_markdown_that_hold_nothing_are_counted_and_those_that_hold_sections_are_none(tmp_path):
    (tmp_path / "a.md").write_text("# Report\n\n## One\n\nthree words here\n\n## Two\n\n# End\n\nfin\n")
    counts = counts_of(read_deliverable(tmp_path / "a.md"))
    assert (counts["sections"], counts["empty_sections"], counts["words"]) == (3, 1, 4)


def test_slides_are_sections(tmp_path):
    counts = counts_of(read_deliverable(slides(tmp_path / "a.pptx")))
    assert (counts["sections"], counts["words"], counts["pages"]) == (2, 8, 2)


def test_checks_of_a_task_add_up_over_its_files_and_say_what_was_wished_and_kept(tmp_path):
    (tmp_path / "a.md").write_text("Dated 2024-05-01.\n\nTODO\n")
    book = workbook(tmp_path / "b.xlsx", {"A": [[1, "=A1*2"]]})
    files = [read_deliverable(tmp_path / "a.md"), read_deliverable(book)]
    checks = checks_of(files, prompt="Add the current date, a signature block, and nothing else.", num_unreadable=1)
    assert (checks["files"], checks["unreadable_files"]) == (2, 1)
    assert (checks["wished_date"], checks["kept_date"]) == (1, 1)
    assert (checks["wished_signature"], checks["kept_signature"]) == (1, 0)
    assert "wished_highlights" not in checks
    assert checks["placeholder_share"] == 0.5
    assert checks["live_formula_share"] == 0.5


def test_shares_of_a_run_are_of_the_sums_and_not_means_of_shares():
    tasks = [{"pieces": 1, "pieces_with_placeholder": 1, "placeholder_share": 1.0}, {"pieces": 9}]
    assert summed(tasks) == {"pieces": 10, "pieces_with_placeholder": 1, "placeholder_share": 0.1}
    assert checks_of([], prompt="x") == {"unreadable_files": 0.0}


@pytest.mark.parametrize(
    "text",
    [
        "_" * 100_000 + "x",
        "signature(" * 10_000,
        "signature" + " " * 100_000 + "x",
        "\n" * 100_000 + "x",
        "[" * 100_000,
        "[ " * 50_000,
        "{{" * 50_000,
        "# " + "#" * 100_000 + "x",
        "# " + "# " * 50_000 + "x",
        "|" + "-" * 100_000 + "x\n|" + "-" * 100_000 + "x",
        "'" * 100_000 + "!",
        "1 may " * 16_000,
        "1." * 50_000,
        "X" * 100_000 + "y",
    ],
)
def test_texts_made_to_be_slow_are_read_and_counted_in_no_time(tmp_path, text):
    (tmp_path / "a.md").write_text(text)
    begun = time.process_time()
    read = read_deliverable(tmp_path / "a.md")
    checks_of([read], prompt=text)
    assert time.process_time() - begun < 1.0


def test_formulas_made_to_be_slow_are_read_in_no_time(tmp_path):
    formulas = ["=" + "'" * 30_000 + "!", "=" + "A1:" * 10_000, '="' + '""' * 15_000, "=" + "SUM(" * 8_000]
    path = workbook(tmp_path / "a.xlsx", {"A": [[formula] for formula in formulas]})
    begun = time.process_time()
    assert counts_of(read_deliverable(path))["formulas_not_computed"] == 4
    assert time.process_time() - begun < 2.0
