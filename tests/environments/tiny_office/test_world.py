"""The office of some dozens of words: its agents, its tools over memory and disk, and its rubric."""

from __future__ import annotations

import zipfile
from pathlib import Path
from random import Random

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite, walk
from understudy.environments.agents import Agent
from understudy.environments.tiny_office import (
    DELIVERABLE_RATE,
    EFFICIENCY_RATE,
    MAX_TURNS,
    Document,
    Errand,
    OnDisk,
    Row,
    TinyOffice,
    Wish,
    Work,
    careful,
    errand_of,
    hasty,
    office_manner,
    task_of,
    tiny_office_tasks,
    tiny_office_vocabulary,
    wish_of,
)
from understudy.environments.tiny_office.files import read_file
from understudy.errors import DataError
from understudy.protocols import Environment, Task

SHEET = Document("sheet", "price", (Row("pen", 4), Row("cup", 7), Row("box", 2)))
ERRAND = Errand(Wish("sheet", "sales", "report", (Work("mark", "most"), Work("total")), date="may 3"), SHEET)


def agent_in(folder: Path | None = None) -> Agent:
    def on_disk(task: Task) -> OnDisk:
        assert folder is not None
        return OnDisk(folder / task.problem / "workspace", folder / task.problem / "deliverables")

    return Agent(TinyOffice() if folder is None else TinyOffice(on_disk), office_manner())


def actions_of(task: Task, *, haste: float = 0.0, seed: int = 0) -> list[str]:
    """What an agent does that is hasty in a share of its turns."""
    random, agent = Random(f"{task.problem}/{seed}"), agent_in()
    seen, actions = agent.reset(task, 0), []
    while not seen.done and len(actions) < MAX_TURNS:
        manner = hasty if random.random() < haste else careful
        actions.append(manner(str(seen.prompt)))
        seen = agent.step(actions[-1])
    return actions


def play(environment: Environment, actions: str, errand: Errand = ERRAND) -> float:
    """The reward of actions between semicolons."""
    return walk(environment, task_of(errand, "one"), [*actions.split("; ")])[-1].reward


class TestTinyOffice(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(agent_in, tiny_office_tasks("train", 6), actions_of)


def test_care_meets_every_line_on_unseen_errands_within_half_of_the_turns_and_idleness_none() -> None:
    known = set(tiny_office_vocabulary())
    assert len(known) < 100
    for task in tiny_office_tasks("eval", 120):
        done = walk(agent_in(), task, actions := actions_of(task))
        assert done[-1].done and done[-1].reward == 1.0 and done[-1].correct, (task, actions)
        figures = done[-1].info["agent"].world  # type: ignore[attr-defined]
        assert figures[DELIVERABLE_RATE] == figures[EFFICIENCY_RATE] == 1.0
        for seen in done[:-1]:
            assert {*str(seen.prompt).split()} <= known and len(str(seen.prompt).split()) < 50
        assert {word for action in actions for word in action.split()} <= known
        assert walk(agent_in(), task, ["finish"])[-1].reward == 0.0
        assert walk(agent_in(), task, ["nothing"] * MAX_TURNS)[-1].reward == 0.0


def test_training_and_evaluation_share_no_errand() -> None:
    train, unseen = ({str(task.columns) for task in tiny_office_tasks(split, 2000)} for split in ("train", "eval"))
    assert not train & unseen and len(train) > 1900
    assert tiny_office_tasks("train", 5) == tiny_office_tasks("train", 9)[:5]
    assert tiny_office_tasks("train", 5) != tiny_office_tasks("train", 5, seed=1)
    with pytest.raises(DataError, match="no such tiny errands"):
        tiny_office_tasks("train", 0)
    with pytest.raises(DataError, match="is no errand"):
        errand_of(Task("x", "", {"wish": "sales sing , report", "column": "price", "rows": []}))


def test_wishes_come_back_from_their_words() -> None:
    for task in tiny_office_tasks("train", 200):
        errand = errand_of(task)
        assert wish_of(errand.wish.words) == errand.wish and task_of(errand, task.problem) == task


def test_points_by_hand() -> None:
    """Name 1, mark 2, total 2, date 1, rows 1, source 1: of 8 points."""
    work = "copy sales report; mark cup; total; date may 3; finish report"
    assert play(agent_in(), work) == 1.0
    assert play(agent_in(), work.replace("total;", "put total 13;")) == 1.0  # typed, and right
    assert play(agent_in(), work.replace("total;", "put total 12;")) == 6 / 8
    assert play(agent_in(), work.replace("mark cup", "mark pen")) == 6 / 8
    assert play(agent_in(), work.replace("date may 3; ", "")) == 7 / 8
    assert play(agent_in(), work.replace("copy sales", "open sales; mark box; copy sales")) == 7 / 8
    assert play(agent_in(), work.replace("mark cup", "fill pen 9; mark pen")) == 5 / 8  # another figure: three lines
    assert play(agent_in(), "open sales; mark cup; total; date may 3; finish sales") == 6 / 8
    assert play(agent_in(), work.replace("finish report", "finish")) == 0.0
    assert play(agent_in(), "note report pen 4; finish report") == 1 / 8


def test_real_files_give_what_memory_gives(tmp_path: Path) -> None:
    for task in tiny_office_tasks("eval", 5):
        actions = actions_of(task, haste=0.4)
        assert walk(agent_in(tmp_path), task, actions) == walk(agent_in(), task, actions)


def test_what_is_handed_in_is_a_spreadsheet_with_formula_mark_and_date(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    assert play(agent_in(tmp_path), "copy sales report; mark cup; total; date may 3; finish report") == 1.0
    (file,) = (tmp_path / "one" / "deliverables").iterdir()
    assert file.name == "report.xlsx" and zipfile.is_zipfile(file)
    sheet = openpyxl.load_workbook(file).active
    rows = [["Item", "Price"], ["pen", 4], ["cup", 7], ["box", 2], ["Total", "=SUM(B2:B4)"], ["Date", "2026-05-03"]]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == rows
    assert [cell.row for cell in sheet["B"] if cell.fill.fill_type == "solid"] == [3]
    assert read_file(tmp_path / "one" / "workspace" / "sales.xlsx") == SHEET


def test_names_that_are_paths_and_other_nonsense_touch_nothing(tmp_path: Path) -> None:
    hostile = ("copy sales ../../out", "move sales /tmp/x", "note ../x pen 4", "note report date 4", "date may 31")
    hostile += ("fill pen " + "9" * 5000, "fill pen ²", "count over ٣", "sign <b>", "finish report")
    agent = agent_in(tmp_path)
    agent.reset(task_of(ERRAND, "one"), 0)
    agent.step("open sales")
    for action in hostile:
        assert str(agent.step(action).prompt).startswith("no sales pen 4 cup 7 box 2 task")
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["one/workspace/sales.xlsx"]


def test_a_late_deliverable_is_one_but_not_efficient() -> None:
    late = "; ".join(["open sales"] * 5 + ["copy sales report", "finish report"])
    last = walk(agent_in(), task_of(ERRAND, "one"), late.split("; "))[-1]
    figures = last.info["agent"].world  # type: ignore[attr-defined]
    assert figures[DELIVERABLE_RATE] == 1.0 and figures[EFFICIENCY_RATE] == 0.0
