"""A clerk that knows the checks: it brings a workspace into a state that satisfies them, by calling the tools.

For every task it derives, from the kinds of its checks, what each file must hold, and writes it with openpyxl,
python-docx and icalendar inside the sandbox. It knows nothing of the tasks' words: what it shows is that the checks can
be met by honest calls, and that they tell such a workspace from an untouched one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import openpyxl

from understudy.environments.tools import Call, Reading
from understudy.tasks.office import OfficeTask

# Runs in the sandbox; `plan` is one entry a file.
WRITER = r"""
import json, re, sys
from pathlib import Path
plan = json.loads(Path("/tmp/plan.json").read_text())

def xlsx(path, wants):
    import openpyxl
    book = openpyxl.load_workbook(path) if path.exists() else openpyxl.Workbook()
    sheet = book.active
    if "rows" in wants:
        sheet.delete_rows(1, sheet.max_row)
        for row in wants["rows"]:
            sheet.append(row)
    for number in range(sheet.max_row, 0, -1):
        row = [str(cell.value) for cell in sheet[number] if cell.value is not None]
        if row and all(value in wants.get("gone", []) for value in row):
            sheet.delete_rows(number)
    for row, column, value in wants.get("cells", []):
        sheet.cell(row=row, column=column).value = float(value) if re.fullmatch(r"-?[\d.]+", value) else value
    if wants.get("words"):
        sheet.append([])
        for word in wants["words"]:
            sheet.append([word])
    book.save(path)

def docx(path, wants):
    import docx as library
    document = library.Document(str(path)) if path.exists() else library.Document()
    document.add_paragraph(" ".join(["Report."] + wants.get("words", [])))
    document.save(str(path))

def pdf(path, wants):
    words = " ".join(["Report"] + wants.get("words", [])).replace("\\", "").replace("(", "").replace(")", "")
    stream = f"BT /F1 12 Tf 50 750 Td ({words}) Tj ET"
    parts = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
             "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
             f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
             "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    text, places = "%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(text))
        text += f"{number} 0 obj{part}endobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(text)
    text += f"xref\n0 6\n0000000000 65535 f \n{table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n{start}\n%%EOF"
    path.write_text(text)

def ics(path, wants):
    import datetime, icalendar
    calendar = icalendar.Calendar.from_ical(path.read_text()) if path.exists() else icalendar.Calendar()
    event, words = icalendar.Event(), []
    start = datetime.datetime(2031, 1, 1, 9)
    end = start + datetime.timedelta(hours=1)
    for word in wants.get("words", []):
        found = re.fullmatch(r"(DTSTART|DTEND):(\d{8})(T\d{6})?", word)
        if not found:
            words.append(word)
            continue
        moment = datetime.datetime.strptime(found[2] + (found[3] or "T000000"), "%Y%m%dT%H%M%S")
        start, end = (moment, moment + datetime.timedelta(hours=1)) if found[1] == "DTSTART" else (start, moment)
    event.add("summary", " ".join(words) or "a meeting")
    event.add("dtstart", start)
    event.add("dtend", end)
    calendar.add_component(event)
    path.write_bytes(calendar.to_ical())

def eml(path, wants):
    from email.message import EmailMessage
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "clerk@example.com", path.parent.name + "@example.com", "from the clerk"
    mail.set_content(" ".join(wants.get("words", [])) or "for you")
    path.write_text(mail.as_string())

def txt(path, wants):
    path.write_text("\n".join(["Answer"] + wants.get("words", [])) + "\n")

def jpg(path, wants):
    from PIL import Image
    Image.new("RGB", (8, 8), "white").save(path)

for place, wants in plan.items():
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    globals()[path.suffix[1:]](path, wants)
    print("wrote", place)
"""


def plan_of(task: OfficeTask) -> dict[str, dict[str, Any]]:
    """What each file of the workspace must hold, by the checks of the task."""
    plan: dict[str, dict[str, Any]] = defaultdict(dict)
    for line in task.rubric:
        assert line.check is not None
        _add(plan, line.check.kind, line.check.arguments, task)
    return dict(plan)


def _add(plan: dict[str, dict[str, Any]], kind: str, given: Mapping[str, Any], task: OfficeTask) -> None:
    if kind == "contain":
        place = f"emails/{given['username']}/clerk.eml" if given["doc_type"] == "email" else given["file"]
        plan[place].setdefault("words", []).extend(given["keywords"])
    elif kind == "file_exist":
        plan[given["file"]]["there"] = True
    elif kind == "excel_cell_value":
        cells = [(int(one["row"]), int(one["col"]), one["value"]) for one in given["matches"]]
        plan[given["file"]].setdefault("cells", []).extend(cells)
    elif kind == "diff_contain_text":
        plan[given["output_file"]]["gone"] = given["keywords"]
    elif kind == "exact_match":
        sheet = openpyxl.load_workbook(task.files[given["expected_file"]]).active
        plan[given["result_file"]]["rows"] = [list(row) for row in sheet.iter_rows(values_only=True)]


def work(task: OfficeTask) -> list[Reading]:
    """The clerk's turns: look, write, and hand in."""
    plan = plan_of(task)
    command = f"cat > /tmp/plan.json <<'PLAN'\n{json.dumps(plan)}\nPLAN\npython3 - <<'WRITER'\n{WRITER}\nWRITER\n"
    return [
        Reading("I look first.", (Call("code_exec", {"cmd": "ls -R"}),)),
        Reading("", (Call("code_exec", {"cmd": command}),)),
        Reading("", (Call("finish", {"reason": "done", "paths": list(plan)}),)),
    ]


def nothing() -> list[Reading]:
    """The turns of one who does nothing and says that it is done."""
    return [Reading("", (Call("finish", {"reason": "done", "paths": []}),))]
