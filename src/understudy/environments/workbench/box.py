"""An episode of WorkBench: its tools on tables of its own, judged by what stands in them at the end."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.environments.tools import Ending, Judgement, Toolbox, ToolError
from understudy.environments.workbench.changes import change_tools
from understudy.environments.workbench.databases import Databases
from understudy.environments.workbench.queries import Query
from understudy.environments.workbench.searches import search_tools
from understudy.errors import DataError
from understudy.protocols import Task

PROMPT = (
    "Today is Thursday, 2023-11-30, and it is 00:00. Meetings lie between 09:00 and 18:00. Do what is asked by calling "
    "tools; where nothing has to be changed, change nothing. When it is done, answer without a call.\n\n{query}"
)


class WorkbenchBoxes:
    """Opens the tools of a query: what ``ToolUse`` and ``Conversation`` are given.

    An attempt is right where the tables and plots are those that the right calls would have left: whatever else was
    changed makes it wrong. Case does not count. An attempt that runs out of turns is wrong.

    Args:
        data: the tables before anybody works on them. queries: by identifier, which is ``Task.problem``.
    """

    def __init__(self, data: Databases, queries: Mapping[str, Query]) -> None:
        self._data, self._queries = data, queries

    def tasks(self) -> list[Task]:
        """All queries as an environment meets them."""
        return [
            Task(problem=query.id, prompt=PROMPT.format(query=query.text), domain=f"workbench-{query.domain}")
            for query in self._queries.values()
        ]

    def __call__(self, task: Task, seed: int) -> Toolbox:  # noqa: ARG002 (nothing here is random)
        """Tables of this episode's own, and the tools for them."""
        query = self._queries.get(task.problem)
        if query is None:
            raise DataError(f"there is no query {task.problem!r}")
        data = self._data.copy()
        tools = (*search_tools(data), *change_tools(data))

        def judge(ending: Ending) -> Judgement:
            unwanted = data.state() != self.right(query)
            right = ending.why == "finished" and not unwanted
            changed = data.state() != self._data.state()
            return Judgement(float(right), right, {"workbench/unwanted_change_rate": float(unwanted and changed)})

        return Toolbox(tools=tools, finish=None, judge=judge)

    def right(self, query: Query) -> Mapping[str, object]:
        """What the tables hold once the right calls were made.

        Raises:
            DataError: one of them names no tool, or cannot be made.
        """
        data = self._data.copy()
        known = {tool.name: tool for tool in change_tools(data)}
        for call in query.answer:
            try:
                known[call.name].call(call.arguments)
            except (ToolError, KeyError) as error:
                got = f"{call.name}: {error}"
                raise DataError(f"the answer of query {query.id} cannot be carried out", got=got) from error
        return data.state()
