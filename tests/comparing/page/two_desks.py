"""Two models on the same office tasks, with deliverables as the libraries of models write them."""

from __future__ import annotations

import json
from pathlib import Path

import docx
import openpyxl
from docx.enum.text import WD_COLOR_INDEX
from openpyxl.styles import Font, PatternFill

from tests.evaluation.deliverables.made_files import pdf, png

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
MONTH = "2026-01"
COSTS = [("Rent", 1200, MONTH), ("Salaries", 8400, MONTH), ("Travel", 310.5, MONTH), ("Software", 99, MONTH)]


def two_desks(folder: Path) -> tuple[Path, Path]:
    """Office results ``after`` and ``before`` of two graded tasks, and of a third that one of them never did."""
    return _after(folder / "after"), _before(folder / "before")


def _after(folder: Path) -> Path:
    budget = _budget(_place(folder, "budget", "budget.xlsx"), total="=SUM(B2:B5)", rows=COSTS)
    notes = _place(folder, "budget", "notes.md")
    notes.write_text("# Budget\n\nThe total is a formula.\nAll figures are in EUR.\n", encoding="utf-8")
    memo = _memo(_place(folder, "memo", "memo.docx"), lead="Revenue rose by 4 % to EUR 1.2 million.", signed=True)
    chart = _place(folder, "memo", "chart.png")
    chart.write_bytes(png(240, 120))
    listing = _place(folder, "list", "people.csv")
    listing.write_text("name,role\nAda,engineer\nGrace,admiral\n", encoding="utf-8")
    tasks = [
        _task(folder, "budget", [budget, notes], 0.8, votes=("111", "110", "111")),
        _task(folder, "memo", [memo, chart], 0.75, votes=("111", "1?1", "000")),
        _task(folder, "list", [listing], 1.0, votes=("111", "111", "111")),
    ]
    return _written(folder, tasks, model="student after training")


def _before(folder: Path) -> Path:
    rows = [COSTS[0], ("Salaries", 8500, MONTH), ("Insurance", 75, MONTH), *COSTS[2:]]
    budget = _budget(_place(folder, "budget", "budget.xlsx"), total=10084.5, rows=rows)
    memo = _memo(_place(folder, "memo", "memo.docx"), lead="Revenue rose by 14 % to EUR 1.2 million.", signed=False)
    scan = pdf(_place(folder, "memo", "scan.pdf"), "Revenue by quarter")
    broken = _place(folder, "memo", "extra.xlsx")
    broken.write_bytes(b"PK\x03\x04 no workbook")
    tasks = [
        _task(folder, "budget", [budget], 0.4, votes=("111", "000", "010"), said=HOSTILE),
        _task(folder, "memo", [memo, scan, broken], 0.75, votes=("111", "111", "001"), error="turn limit reached"),
    ]
    return _written(folder, tasks, model="student before training")


def _place(folder: Path, task: str, name: str) -> Path:
    path = folder / task / "deliverables" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _budget(path: Path, *, total: object, rows: list[tuple[str, float, str]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Costs"
    for row in [("Item", "EUR", "Month"), *rows, ("Total", total, None)]:
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet[f"B{len(rows) + 2}"].fill = PatternFill("solid", start_color="FFFF00")
    book.create_sheet("Notes").append(["Source", "ledger of January"])
    book.save(path)
    return path


def _memo(path: Path, *, lead: str, signed: bool) -> Path:
    made = docx.Document()
    made.add_heading("Quarterly memo", 0)
    made.add_heading("Results", 1)
    made.add_paragraph(lead)
    made.add_paragraph("Hire two people", style="List Bullet")
    made.add_paragraph("Renew the lease", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("Quarter", "EUR", "Q1", "1.2 m"), strict=True):
        cell.text = text
    if signed:
        made.add_paragraph().add_run("Signed: A. Lovelace, 2026-01-31").font.highlight_color = WD_COLOR_INDEX.YELLOW
    made.save(str(path))
    return path


def _task(
    folder: Path,
    name: str,
    files: list[Path],
    score: float,
    *,
    votes: tuple[str, ...],
    said: str = "I have handed in the files.",
    error: str | None = None,
) -> dict[str, object]:
    criteria = ("The file opens and has the asked-for parts", "Totals are live formulas", "No figure is made up")
    call = {"name": "code_exec", "arguments": {"cmd": "ls"}}
    transcript = [
        {"role": "user", "content": "Do it."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "assistant", "content": said},
    ]
    (folder / name / "transcript.json").write_text(json.dumps(transcript), encoding="utf-8")
    return {
        "task_id": name,
        "prompt": f"Prepare the {name}.\nUse the ledger, and hand in what a colleague could use at once.",
        "finished": error is None,
        "deliverables": [str(file.relative_to(folder)) for file in files],
        "num_turns": 7,
        "num_tokens": 2310,
        "error": error,
        "score": score,
        "rubric": [_line(*each) for each in zip(criteria, votes, strict=True)],
        "checks": {"placeholder_share": 0.0, "formula_share": 0.2 if score > 0.5 else 0.0},
    }


def _line(criterion: str, marks: str) -> dict[str, object]:
    votes = [None if mark == "?" else mark == "1" for mark in marks]
    return {
        "id": criterion.split()[1],
        "criterion": criterion,
        "points": 2.0,
        "met": sum(vote is True for vote in votes) > sum(vote is False for vote in votes),
        "votes": votes,
    }


def _written(folder: Path, tasks: list[dict[str, object]], *, model: str) -> Path:
    content = {"kind": "office", "name": folder.name, "model": model, "suite": "desk", "tasks": tasks}
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
