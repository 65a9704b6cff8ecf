"""A folder of office tasks to begin with: the form, filled in by an example that runs."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import RunDirectoryError
from understudy.written_whole import AGAIN, write_whole

_README = """# Office tasks

One folder a task. `understudy office run THIS_FOLDER --model MODEL --out RESULTS` puts them to a model.

    example/
      task.yaml      what is asked, and the rubric
      references/    files that the agent finds in its working folder; may be missing
      expected/      files that the check `exact_match` compares with; the agent never sees them

`task.yaml`:

    prompt: |            what is asked; names of files to hand in belong here
    rubric:              each line is judged on its own
      - criterion: ...   in words, for graders (`understudy office grade RESULTS`)
        points: 2        1 where it is left out; below zero for what should not be there
      - check: {kind: excel_cell_value, file: total.xlsx, matches: [{row: 2, col: 2, value: 1234.5}]}
    hand_in: named       the files that `finish` names; `changed`: every new or changed file
    scoring: points      earned over possible points; `all`: 1 where everything is met, else 0

A line with a check is judged by a program, one without by graders. The checks: file_exist {file}, file_not_exist
{file}, contain and not_contain {file, keywords}, excel_cell_value {file, matches}, exact_match {result_file,
expected_file}, diff_contain_text {input_file, output_file, keywords}, calendar_no_overlap {username}. Paths are
relative to the working folder; `expected_file` and `input_file` are names in `expected/`.
"""

_TASK = """prompt: |
  expenses.csv lists what was spent on a business trip. Make total.xlsx from it: one sheet with the header
  `category`, `amount`, one row a category in alphabetical order with the sum of its amounts, and a last row `total`.
  Write a note.md of two or three sentences that says which category was the most expensive.
rubric:
  - check: {kind: file_exist, file: total.xlsx}
  - points: 3
    check:
      kind: excel_cell_value
      file: total.xlsx
      matches:
        - {row: 2, col: 1, value: hotel}
        - {row: 2, col: 2, value: 360}
        - {row: 3, col: 2, value: 74.5}
        - {row: 4, col: 2, value: 151.2}
        - {row: 5, col: 1, value: total}
        - {row: 5, col: 2, value: 585.7}
  - check: {kind: contain, file: note.md, keywords: [hotel]}
"""

_EXPENSES = """date,category,amount
2024-03-04,train,75.60
2024-03-04,hotel,180.00
2024-03-05,meals,32.00
2024-03-05,hotel,180.00
2024-03-06,meals,42.50
2024-03-06,train,75.60
"""


_FILES = {"README.md": _README, "example/task.yaml": _TASK, "example/references/expenses.csv": _EXPENSES}


def new_folder(folder: Path) -> Path:
    """Write the form and the example into a folder that is new or empty, or that was begun and not finished.

    Raises:
        RunDirectoryError: something else is in it, or it is no folder. DiskError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise RunDirectoryError(f"{folder} is no folder", remedy="Name a new one.")
    there = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if _is_somebodys(file)}
    is_begun = there.keys() < _FILES.keys() and all(file.read_text() == _FILES[name] for name, file in there.items())
    if not is_begun:
        raise RunDirectoryError(f"{folder} is not empty", remedy="Name a new folder.")
    for name, text in _FILES.items():
        write_whole(folder / name, text, remedy=AGAIN)
    return folder


def _is_somebodys(file: Path) -> bool:
    """Not a folder, nor the half that a killed writer left."""
    return file.is_file() and not file.name.startswith(".")
