"""Every form is read into the same record; files that harm or mislead cost themselves and nothing else."""

from __future__ import annotations

import json
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.deliverables.made_files import changed, document, pdf, png, slides, workbook
from understudy.evaluation.deliverables import DeliverableError, Image, ReadingLimits, read_deliverable
from understudy.evaluation.deliverables.limits import LIMITS
from understudy.evaluation.deliverables.plain_form import from_plain_form, plain_form
from understudy.evaluation.deliverables.spreadsheets import read_workbook

OFFICEBENCH = Path(__file__).parents[3].parent / "shared" / "data" / "officebench"


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_workbook_gives_values_formulas_fills_and_merged_ranges(tmp_path):
    costs = [["Item", "EUR"], ["Rent", 1200], ["Food", 300.5], [None, None], ["Total", "=SUM(B2:B3)"]]
    path = workbook(tmp_path / "a.xlsx", {"Costs": costs, "Notes": [["ok"]]}, filled="A2", merged="A1:B1")
    read = read_deliverable(path, inside=tmp_path)
    sheet = read.tables[0]
    assert (read.kind, read.num_pages, [table.name for table in read.tables]) == ("xlsx", 2, ["Costs", "Notes"])
    assert sheet.rows[1] == ("Rent", 1200) and sheet.rows[2] == ("Food", 300.5)
    assert dict(sheet.formulas) == {"B5": "=SUM(B2:B3)"}
    assert (sheet.highlighted, sheet.merged) == (("A2",), ("A1:B1",))
    assert "Rent | 1200\nFood | 300.5\nTotal" in read.text


def test_a_workbook_beyond_the_bounds_is_read_up_to_them_and_says_so(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"Long": [[n, n, n] for n in range(50)]})
    read = read_deliverable(path, limits=ReadingLimits(rows=10, columns=2))
    assert len(read.tables[0].rows) == 10 and len(read.tables[0].rows[0]) == 2
    assert (read.tables[0].num_rows, read.tables[0].num_columns) == (50, 3)
    assert read.notes == ("Long is read up to row 10 and column 2.",)


def test_a_workbook_that_names_a_sheet_it_lacks_has_a_broken_link(tmp_path):
    rows = [["=Rates!A1", "='Old data'!B2", "=#REF!+1", '="a!b"']]
    read = read_deliverable(workbook(tmp_path / "a.xlsx", {"Main": rows, "rates": [[1]]}))
    assert [(link.target, link.is_broken) for link in read.links] == [
        ("Rates", False),
        ("Old data", True),
        ("#REF!", True),
    ]


def test_a_document_keeps_its_order_its_marks_and_its_broken_reference(tmp_path):
    read = read_deliverable(document(tmp_path / "a.docx"))
    assert [(block.kind, block.text) for block in read.blocks] == [
        ("title", "Quarterly report"),
        ("heading", "Results"),
        ("paragraph", "Revenue rose by 4 %"),
        ("item", "Hire two people"),
        ("table", ""),
        ("paragraph", "Table of costs"),
        ("paragraph", "see"),
        ("paragraph", "see"),
        ("footer", "Confidential"),
    ]
    assert read.blocks[2].highlighted == ("4 %",)
    assert read.tables[0].rows == (("Item", "EUR"), ("Rent", "1200"))
    assert [(link.target, link.is_broken) for link in read.links] == [("costs", False), ("missing", True)]
    assert "# Results\nRevenue rose by 4 %\n- Hire two people\nItem | EUR\nRent | 1200" in read.text


def test_inserted_text_of_a_tracked_change_counts_and_deleted_does_not(tmp_path):
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = "<w:p><w:r><w:t>a</w:t></w:r><w:ins><w:r><w:t>b</w:t></w:r></w:ins>"
    body += "<w:del><w:r><w:delText>c</w:delText></w:r></w:del></w:p>"
    path = changed(
        document(tmp_path / "a.docx"),
        "word/document.xml",
        f"<w:document {w}><w:body>{body}</w:body></w:document>".encode(),
    )
    assert read_deliverable(path).blocks[0].text == "ab"


def test_slides_give_titles_items_notes_and_tables(tmp_path):
    read = read_deliverable(slides(tmp_path / "a.pptx"))
    kinds = [(block.kind, block.text) for block in read.blocks]
    assert read.num_pages == 2
    assert kinds[:4] == [("slide", "Slide 1"), ("heading", "Plan"), ("item", "Hire"), ("note", "Say it slowly.")]
    assert read.tables[0].rows == (("Item", "EUR"), ("Rent", "1200"))


def test_a_pdf_gives_its_pages_and_says_which_have_no_text(tmp_path):
    read = read_deliverable(pdf(tmp_path / "a.pdf", "First page", "", "Third page"))
    assert (read.num_pages, read.notes) == (3, ("Page 2 has no text.",))
    assert read.text.splitlines() == ["--- Page 1 ---", "First page", "--- Page 2 ---", "--- Page 3 ---", "Third page"]


def test_comma_separated_values_are_numbers_where_they_are_written_as_numbers(tmp_path):
    read = read_deliverable(written(tmp_path / "a.csv", '\ufeffid;name;x\r\n007;"a;b";1.5\r\n12;;-3\r\n1\r\n'))
    assert read.tables[0].rows[1:] == (("007", "a;b", 1.5), (12, None, -3), (1, None, None))
    assert read.notes == ("1 rows have fewer cells than the widest.",)


def test_markdown_gives_headings_items_tables_and_links(tmp_path):
    text = "# Aim\n\nSee [costs](#the-costs) and [none](#none).\n\n## The costs\n- rent\n\n"
    text += "| a | b |\n|---|---|\n| 1 | x |\n"
    read = read_deliverable(written(tmp_path / "a.md", text))
    assert [block.kind for block in read.blocks] == ["heading", "paragraph", "heading", "item", "table"]
    assert read.tables[0].rows == (("a", "b"), (1, "x"))
    assert [link.is_broken for link in read.links] == [False, True]


def test_a_picture_has_its_size_and_its_bytes_up_to_the_bound(tmp_path):
    path = written(tmp_path / "a.png", png(3, 2))
    image = read_deliverable(path).images[0]
    assert (image.media_type, image.width, image.height, image.content) == ("image/png", 3, 2, png(3, 2))
    bounded = read_deliverable(path, limits=ReadingLimits(image_bytes=10))
    assert bounded.images[0].content == b"" and bounded.notes


def test_a_jpeg_has_the_size_of_its_frame(tmp_path):
    segments = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x20\x00\x30\x01\x01\x11\x00\xff\xd9"
    image = read_deliverable(written(tmp_path / "a.jpg", segments)).images[0]
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 48, 32)


def test_mail_and_calendars_are_read(tmp_path):
    mail = "From: a@x\nTo: b@x\nSubject: Bill\nMIME-Version: 1.0\nContent-Type: text/plain\n\nPay 5 EUR.\n"
    read = read_deliverable(written(tmp_path / "a.eml", mail))
    assert read.text == "From: a@x\nTo: b@x\nSubject: Bill\n\nPay 5 EUR."
    event = "BEGIN:VEVENT\nUID:1\nSUMMARY:nap\nDTSTART:20240501T130000\nDTEND:20240501T140000\nEND:VEVENT\n"
    calendar = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{event}END:VCALENDAR\n"
    read = read_deliverable(written(tmp_path / "a.ics", calendar))
    assert read.tables[0].rows[1][:3] == ("nap", "2024-05-01 13:00:00", "2024-05-01 14:00:00")


@pytest.mark.skipif(not OFFICEBENCH.is_dir(), reason="the shared data are not beside this checkout (../shared/data)")
def test_every_office_file_of_officebench_is_read():
    endings = {".docx", ".xlsx", ".eml", ".ics"}
    paths = [path for path in sorted((OFFICEBENCH / "tasks").rglob("*")) if path.suffix in endings]
    assert len(paths) == 99
    assert all(read_deliverable(path).text for path in paths)


def refused(path: Path, **options) -> str:
    with pytest.raises(DeliverableError) as caught:
        read_deliverable(path, **options)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 500
    return said


def test_a_missing_an_empty_and_an_unknown_file_are_one_sentence_each(tmp_path):
    assert "cannot be opened" in refused(tmp_path / "none.xlsx")
    assert "is empty" in refused(written(tmp_path / "a.xlsx", b""))
    assert "is empty" in refused(written(tmp_path / "a.txt", b" \n "))
    assert "without a reader" in refused(written(tmp_path / "a.exe", b"MZ"))
    assert "no ordinary file" in refused(_made_folder(tmp_path / "b.txt"))


def _made_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert "no ordinary file" in refused(tmp_path / "a.txt")


@pytest.mark.parametrize("ending", ["xlsx", "docx", "pptx", "pdf", "png", "jpg", "ics", "eml", "json", "csv"])
def test_corrupt_content_is_a_deliverable_error(tmp_path, ending):
    for content in (b"\0\x01\x02" * 99, b"PK\x03\x04" + b"x" * 200, b"%PDF-1.7\n garbage", b"\x89PNG\r\n\x1a\n\0"):
        refused(written(tmp_path / f"a.{ending}", content))


@pytest.mark.parametrize("make", [document, slides, lambda path: workbook(path, {"A": [[1]]})])
def test_a_file_cut_short_or_with_broken_xml_is_corrupt(tmp_path, make):
    ending, member = {
        document: ("docx", "word/document.xml"),
        slides: ("pptx", "ppt/presentation.xml"),
    }.get(make, ("xlsx", "xl/workbook.xml"))
    path = make(tmp_path / f"a.{ending}")
    content = path.read_bytes()
    assert "corrupt" in refused(written(tmp_path / f"b.{ending}", content[: len(content) // 2]))
    assert "corrupt" in refused(changed(path, member, b"<unclosed"))


def test_a_wrong_ending_is_said_and_not_guessed_around(tmp_path):
    book = workbook(tmp_path / "a.xlsx", {"A": [[1]]})
    assert "not what its name says" in refused(written(tmp_path / "a.pdf", book.read_bytes()))
    assert "not what its name says" in refused(written(tmp_path / "a.docx", book.read_bytes()))
    assert "not what its name says" in refused(written(tmp_path / "a.csv", book.read_bytes()))


def test_a_symbolic_link_and_a_path_outside_the_workspace_are_refused(tmp_path):
    workspace = _made_folder(tmp_path / "work")
    outside = written(tmp_path / "secret.txt", "secret")
    (workspace / "link.txt").symlink_to(outside)
    (workspace / "folder").symlink_to(tmp_path)
    assert "symbolic link" in refused(workspace / "link.txt", inside=workspace)
    assert "outside the workspace" in refused(workspace / ".." / "secret.txt", inside=workspace)
    assert "outside the workspace" in refused(workspace / "folder" / "secret.txt", inside=workspace)


@pytest.mark.parametrize("ending", ["xlsx", "docx", "pptx"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.xml", b"0" * (20 << 20))
    assert path.stat().st_size < 100_000
    assert "zip bomb" in refused(path)


def test_many_members_and_a_member_outside_are_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"A": [[1]]})
    assert "zip bomb" in refused(path, limits=ReadingLimits(members=3))
    assert "outside itself" in refused(changed(path, "../evil.xml", b"<a/>"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_multiply_or_name_files_are_refused(tmp_path, encoding):
    bomb = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><a>&y;</a>'
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    for name, make in (("a.docx", document), ("a.xlsx", lambda path: workbook(path, {"A": [[1]]}))):
        path = changed(make(tmp_path / name), "docProps/core.xml", (head + bomb).encode(encoding))
        assert "entities" in refused(path)


def test_a_pdf_that_stalls_its_reader_costs_a_deadline_and_no_more(tmp_path):
    """pypdf is at this page for many times the deadline; its worker is killed, and the next file is read."""
    slow = pdf(tmp_path / "slow.pdf", ") Tj (x" * 400_000)
    began = time.monotonic()
    with pytest.raises(DeliverableError, match=r"slow\.pdf takes too long to read; got no text after 0\.5 s"):
        read_deliverable(slow, limits=ReadingLimits(pdf_seconds=0.5))
    assert time.monotonic() - began < 20, "with the start of the worker"
    assert "Good" in read_deliverable(pdf(tmp_path / "good.pdf", "Good")).text


def endless_book(path: Path) -> Path:
    """A worksheet of 120,000 formulas in half a megabyte: whoever reads it whole takes many seconds."""
    rows = b"".join(b'<row r="%d"><c r="A%d"><f>B%d+1</f></c></row>' % (n, n, n) for n in range(1, 120_001))
    space = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return changed(
        workbook(path, {"A": [[1]]}),
        "xl/worksheets/sheet1.xml",
        b"<worksheet %s><sheetData>%s</sheetData></worksheet>" % (space, rows),
    )


def deep_document(path: Path) -> Path:
    """Tables within tables, each read again for every one around it."""
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    depth = 300
    inner = "<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 20_000
    body = "<w:tbl><w:tr><w:tc>" * depth + inner + "</w:tc></w:tr></w:tbl>" * depth
    return changed(
        document(path), "word/document.xml", f"<w:document {w}><w:body>{body}</w:body></w:document>".encode()
    )


@pytest.mark.parametrize(("make", "ending"), [(endless_book, "xlsx"), (deep_document, "docx")])
def test_an_office_file_that_stalls_its_reader_costs_a_deadline_and_no_more(tmp_path, make, ending):
    began = time.process_time()
    said = refused(make(tmp_path / f"slow.{ending}"), limits=ReadingLimits(office_seconds=0.5))
    assert f"slow.{ending} takes too long to read; got nothing after 0.5 s" in said
    assert time.process_time() - began < 10, "this process only waited"
    good = {"xlsx": lambda path: workbook(path, {"A": [["Good"]]}), "docx": document}[ending](tmp_path / f"b.{ending}")
    assert read_deliverable(good).text


def test_one_long_text_in_many_cells_is_refused(tmp_path):
    """Shared strings: 30 kB stand in the file once, and a thousand cells have them."""
    space = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    row = b"<row>%s</row>" % (b'<c t="s"><v>0</v></c>' * 40)
    path = changed(
        workbook(tmp_path / "a.xlsx", {"A": [["x"]]}),
        "xl/worksheets/sheet1.xml",
        b"<worksheet %s><sheetData>%s</sheetData></worksheet>" % (space, row * 30),
    )
    changed(path, "xl/sharedStrings.xml", b"<sst %s><si><t>%s</t></si></sst>" % (space, b"y" * 30_000))
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    with zipfile.ZipFile(path) as archive:
        kinds = archive.read("[Content_Types].xml")
    part = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
    changed(path, "[Content_Types].xml", kinds.replace(b"</Types>", part))
    assert path.stat().st_size < 10_000
    assert "holds too much text" in refused(path)


def test_office_files_are_the_same_when_they_come_from_the_other_process(tmp_path):
    """What crosses between the processes is what the reader gave: values and their kinds, tuples, pictures."""
    values = [[1, 1.0, True, "1", None, -0.0], ["=A1+1", "\u00e9\U0001f600", "", 2**60, 1e300, "x"]]
    read = read_deliverable(workbook(tmp_path / "a.xlsx", {"A": values}, filled="A1", merged="A1:B1"))
    content = (tmp_path / "a.xlsx").read_bytes()
    here = read_workbook(content, name="a.xlsx", limits=LIMITS)
    assert read == here
    assert list(map(type, read.tables[0].rows[0])) == list(map(type, here.tables[0].rows[0]))
    pictured = replace(here, images=(Image("a.png", "image/png", 1, 2, 3, b"\x00\xff"),))
    assert from_plain_form(json.loads(json.dumps(plain_form(pictured)))) == pictured
