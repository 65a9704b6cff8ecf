"""Scripted graders over real sockets, and folders of office results for them to grade."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.scripted import Answer, Asked, Reply, ScriptedServer, scripted
from understudy.evaluation.grading import Panel


def criteria_in(asked: Asked) -> dict[str, str]:
    """The criteria of a request: number to words."""
    said = asked.body["messages"][1]["content"]
    text = said if isinstance(said, str) else said[0]["text"]
    return {one["id"]: one["criterion"] for one in json.loads(text.split("The criteria:\n\n")[1])}


def says(text: str | None, **message: object) -> Reply:
    """An answer of the chat form."""
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return Reply({"choices": [choice], "usage": {"prompt_tokens": 1000, "completion_tokens": 10}})


def verdicts(asked: Asked, decide: Callable[[str], object]) -> Reply:
    """A well-formed answer: ``decide`` of each criterion's words."""
    given = [{"id": id, "reason": f"seen: {words}", "met": decide(words)} for id, words in criteria_in(asked).items()]
    return says(json.dumps({"verdicts": given}))


def grader(decide: Callable[[str], object]) -> Answer:
    """A grader that always answers as asked."""
    return lambda asked: verdicts(asked, decide)


def with_errors(truth: Mapping[str, bool], wrong: Sequence[str]) -> Answer:
    """A grader that says the opposite of the truth on the criteria it gets wrong."""
    return grader(lambda words: truth[words] != (words in wrong))


@contextmanager
def panel_of(*answers: Answer, **settings: object) -> Iterator[tuple[Panel, list[ScriptedServer]]]:
    """Graders ``one``, ``two``, ... behind servers of their own."""
    with ExitStack() as stack:
        servers = [stack.enter_context(scripted(answer)) for answer in answers]
        yield panel_at([server.url for server in servers], **settings), servers


def panel_at(urls: Sequence[str], **settings: object) -> Panel:
    names = ("one", "two", "three", "four", "five")
    listed = [
        {"name": name, "url": f"{url}/v1", "model": f"m-{name}", "deadline_seconds": 1.5, **settings}
        for name, url in zip(names, urls, strict=False)
    ]
    return Panel.model_validate({"graders": listed})


def office_folder(
    folder: Path, tasks: Mapping[str, Mapping[str, str]], rubrics: Mapping[str, list] | None = None
) -> Path:
    """Results of a run: each task's files by name and text, and its rubric's lines as ``(id, points)``."""
    listed = []
    for name, files in tasks.items():
        for file, text in files.items():
            path = folder / name / "deliverables" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        lines = [
            {"id": id, "criterion": f"{name} {id}", "points": points, "met": None, "votes": []}
            for id, points in (rubrics or {}).get(name, [])
        ]
        listed.append(
            {
                "task_id": name,
                "prompt": f"Do {name}.",
                "finished": True,
                "deliverables": [f"{name}/deliverables/{file}" for file in files],
                "num_turns": 3,
                "num_tokens": 100,
                "error": None,
                "score": None,
                "rubric": lines,
                "checks": {},
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    record = {"kind": "office", "name": "run", "model": "m", "suite": "own", "tasks": listed}
    (folder / "results.json").write_text(json.dumps(record))
    return folder


def results_in(folder: Path) -> dict:
    """``results.json``, its tasks by identifier."""
    return {task["task_id"]: task for task in json.loads((folder / "results.json").read_text())["tasks"]}


def shown_names(asked: Asked) -> list[str]:
    """The files that a request shows."""
    text = asked.body["messages"][1]["content"]
    return re.findall(r"=== File \d+ \([0-9a-f]{12}\): (.*) ===", text if isinstance(text, str) else text[0]["text"])
