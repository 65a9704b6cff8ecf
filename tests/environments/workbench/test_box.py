"""WorkBench's published queries: the right calls are right, anything more or less is not."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import pytest

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite, walk
from tests.environments.tools.speaking import call
from understudy.environments.tools import Rules, ToolUse
from understudy.environments.workbench import Query, WorkbenchBoxes, load_queries, read_databases
from understudy.errors import DataError
from understudy.protocols import Task

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "workbench"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the WorkBench files of ../shared/data are not beside this checkout"
)


@cache
def queries() -> dict[str, Query]:
    return {query.id: query for query in load_queries(DATA)}


@cache
def boxes() -> WorkbenchBoxes:
    return WorkbenchBoxes(read_databases(DATA), queries())


def solution(task: Task) -> list[str]:
    return [*(call(right.name, **right.arguments) for right in queries()[task.problem].answer), "Done."]


def tasks(*, changing: bool, every: int) -> list[Task]:
    chosen = [task for task in boxes().tasks() if bool(queries()[task.problem].answer) == changing]
    return chosen[::every]


class TestConformance(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(
            make=partial(ToolUse, boxes(), rules=Rules(max_turns=30)),
            tasks=tasks(changing=True, every=300),
            solution=solution,
        )


def correct(task: Task, actions: list[str]) -> bool | None:
    return walk(ToolUse(boxes()), task, actions)[-1].correct


def test_the_right_calls_are_right_and_nothing_or_more_is_not() -> None:
    extra = call("email_send_email", recipient="a@b.org", subject="x", body="y")
    for task in tasks(changing=True, every=80):
        assert correct(task, solution(task)) is True, task.problem
        assert correct(task, ["I will not."]) is False
        assert correct(task, [extra, *solution(task)]) is False
    for task in tasks(changing=False, every=60):
        assert correct(task, ["There is nothing to do."]) is True
        assert correct(task, [extra, "Done."]) is False


def test_every_query_is_read() -> None:
    assert len(queries()) == 690
    assert sum(not query.answer for query in queries().values()) == 122


def test_searches_find_what_the_calls_need() -> None:
    task = next(task for task in boxes().tasks() if task.problem == "calendar-0")
    tool = {tool.name: tool for tool in boxes()(task, 0).tools}
    events = tool["calendar_search_events"].call({"time_min": "2023-12-13 00:00:00", "time_max": "2023-12-13 23:59:59"})
    first = queries()["calendar-0"].answer[0].arguments["event_id"]
    assert str(events).splitlines()[0].startswith(f'{{"event_id": "{first}"')
    assert tool["company_directory_find_email_address"].call({"name": "Aisha"}) == "aisha.chen@atlas.com"
    name = tool["customer_relationship_manager_search_customers"].call({"customer_name": "Taylor Jackson"})
    assert '"customer_id": "00000189"' in str(name)
    assert '"total_visits"' in str(tool["analytics_visits"].call({"time_min": "2023-11-28"}))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_databases(tmp_path)
    with pytest.raises(DataError, match="holds no queries"):
        load_queries(tmp_path)
    (tmp_path / "queries").mkdir()
    path = tmp_path / "queries" / "email_queries_and_answers.csv"
    for answer in ("os.system('x')", "['f(1)']", "3"):
        path.write_text(f'query,answer\n"do","{answer}"\n')
        with pytest.raises(DataError, match="no list of calls"):
            load_queries(tmp_path)
