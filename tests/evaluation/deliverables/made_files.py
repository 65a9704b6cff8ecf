"""Files as a model hands them in, written by the libraries that models use."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import docx
import openpyxl
import pptx
from docx.enum.text import WD_COLOR_INDEX
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from openpyxl.styles import PatternFill


def workbook(path: Path, sheets: Mapping[str, list[list[object]]], *, filled: str = "", merged: str = "") -> Path:
    """An xlsx file; ``filled`` and ``merged`` are a cell and a range of its first sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    first = book.worksheets[0]
    if filled:
        first[filled].fill = PatternFill("solid", start_color="FFFF00")
    if merged:
        first.merge_cells(merged)
    book.save(path)
    return path


def document(path: Path) -> Path:
    """A docx file with a title, headings, items, a table, marked words, a bookmark, and a broken reference."""
    made = docx.Document()
    made.add_heading("Quarterly report", 0)
    made.add_heading("Results", 1)
    paragraph = made.add_paragraph("Revenue rose by ")
    paragraph.add_run("4 %").font.highlight_color = WD_COLOR_INDEX.YELLOW
    made.add_paragraph("Hire two people", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("Item", "EUR", "Rent", "1200"), strict=True):
        cell.text = text
    _bookmark(made.add_paragraph("Table of costs"), "costs")
    _refer(made.add_paragraph("see "), "costs")
    _refer(made.add_paragraph("see "), "missing")
    made.sections[0].footer.paragraphs[0].text = "Confidential"
    made.save(path)
    return path


def _bookmark(paragraph: docx.text.paragraph.Paragraph, name: str) -> None:
    mark = OxmlElement("w:bookmarkStart")
    mark.set(qn("w:id"), "1")
    mark.set(qn("w:name"), name)
    paragraph._p.append(mark)


def _refer(paragraph: docx.text.paragraph.Paragraph, name: str) -> None:
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), f" REF {name} \\h ")
    paragraph._p.append(field)


def slides(path: Path) -> Path:
    """A pptx file of two slides: title and items with notes; a table."""
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Plan"
    first.placeholders[1].text_frame.text = "Hire"
    first.notes_slide.notes_text_frame.text = "Say it slowly."
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Budget"
    table = second.shapes.add_table(2, 2, 0, 0, 5_000_000, 1_000_000).table
    for column, (top, bottom) in enumerate((("Item", "Rent"), ("EUR", "1200"))):
        table.cell(0, column).text, table.cell(1, column).text = top, bottom
    made.save(path)
    return path


def pdf(path: Path, *pages: str) -> Path:
    """A pdf file with one line of text on each page, written by hand."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(pages):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents {5 + 2 * number} 0 R"
        objects.append(f"{page} /Resources << /Font << /F1 3 0 R >> >> >>".encode())
        stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode() if text else b""
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    content, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % place for place in places)
    content += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(content)
    return path


def png(width: int = 3, height: int = 2) -> bytes:
    """A black picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0\0\0" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def changed(path: Path, member: str, content: bytes) -> Path:
    """The zip archive at ``path`` with one member put in place of its own."""
    kept = {}
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    kept[member] = content
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in kept.items():
            archive.writestr(name, body)
    path.write_bytes(packed.getvalue())
    return path
