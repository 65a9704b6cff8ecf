"""Two models put to office tasks by ``understudy office run``, and then against each other."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Understudy, understudy
from tests.environments.tools.scripted_model import save_scripted
from tests.environments.tools.speaking import call
from understudy.comparing.office_results import read_office
from understudy.office import new_folder

__all__ = ["understudy"]

SCRIPT = """import openpyxl
book = openpyxl.Workbook()
for row in [("category", "amount"), ("hotel", 360), ("meals", 74.5), ("train", 151.2), ("total", {total})]:
    book.active.append(row)
book.save("total.xlsx")
open("note.md", "w").write("The hotel was the most expensive.")
"""


def run(understudy: Understudy, tasks: Path, out: Path, *, total: float, turns: int) -> None:
    """Put the example to a model that hands in this total."""
    done = call("code_exec", cmd=f"python3 - <<'END'\n{SCRIPT.format(total=total)}END")
    model = save_scripted(
        out.with_name(f"{out.name}-model"),
        [done, call("finish", reason="done", paths=["total.xlsx", "note.md"])],
        growing=True,
    )
    ended = understudy("office", "run", tasks, "--model", model, "--out", out, "--max-turns", turns)
    assert ended.code == 0, ended.err


def test_real_runs_are_compared_to_the_cell(tmp_path: Path, understudy: Understudy) -> None:
    tasks = new_folder(tmp_path / "tasks")
    run(understudy, tasks, tmp_path / "after", total=585.7, turns=30)
    run(understudy, tasks, tmp_path / "before", total=85.7, turns=20)
    ended = understudy("compare", tmp_path / "after", tmp_path / "before", "--json")
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert (figures["a"], figures["b"], figures["wins"], figures["losses"]) == ("after", "before", 1, 0)
    assert figures["mean_a"] == 1.0 and figures["mean_b"] < 1.0
    assert figures["asked_differently"] == ["max_turns: 30 / 20"]
    page = (tmp_path / "after" / "against-before.html").read_text(encoding="utf-8")
    assert 'changed" title="585.7">585.7</td>' in page and 'changed" title="85.7">85.7</td>' in page
    assert "The hotel was the most expensive." in page and "code_exec" in page
    (task,) = read_office(tmp_path / "after").tasks
    assert all(line.votes == (True,) for line in task.rubric)
