"""Questions from the files they are published in, and the documents that come with some of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from understudy.environments.search_qa.world import GOLDS, QUESTION, golds_of, question_of
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.tasks.retrieval import Document
from understudy.tasks.rows import read_file
from understudy.written_whole import AGAIN, write_whole


def load_questions(path: Path, *, domain: str | None = None) -> list[Task]:
    """Questions of a json, jsonl, csv or parquet file whose rows have ``question`` and gold answers.

    Gold answers stand under ``golden_answers``, ``answers`` or ``answer``, a text or a list of texts: the forms of
    NQ-open, of HotpotQA's rows in ReAct, and of Search-R1's data sets. A file in SQuAD's form is taken too.

    Args:
        domain: name of the question set; the file's stem by default.
    Raises:
        DataError: the file is missing, empty or broken, or a row lacks a column; the message names file and row.
    """
    domain = domain or path.stem
    squad = _squad(path)
    if squad is not None:
        return _squad_questions(squad, path=path, domain=domain)
    rows = read_file(path)
    return [_task(row.columns, f"{path}, {row.place}", number, domain) for number, row in enumerate(rows)]


def load_paragraphs(path: Path) -> list[Document]:
    """The paragraphs of a file in SQuAD's form (XQuAD), each with its title in quotes in a first line.

    Raises:
        DataError: the file is not in that form, or has no paragraph.
    """
    squad = _squad(path)
    if squad is None:
        raise DataError(f"{path} is not in SQuAD's form", expected='{"data": [{"paragraphs": [...]}]}')
    found = [
        Document(f"{article}-{number}", _titled(entry, str(paragraph["context"])))
        for article, entry in enumerate(squad)
        for number, paragraph in enumerate(_paragraphs(entry, path))
    ]
    if not found:
        raise DataError(f"{path} has no paragraph", expected="at least one")
    return found


def write_rows(tasks: Iterable[Task], path: Path) -> None:
    """Write tasks as the rows a recipe's ``data.dataset`` reads: prompt, question, gold answers, domain."""
    lines = [json.dumps({"id": t.problem, "prompt": t.prompt, **t.columns, "domain": t.domain}) for t in tasks]
    write_whole(path, "".join(f"{line}\n" for line in lines), remedy=AGAIN)


def write_corpus(documents: Iterable[Document], path: Path) -> None:
    """Write documents as the corpus that ``understudy retrieve`` reads."""
    lines = [json.dumps({"id": one.id, "contents": one.contents}) for one in documents]
    write_whole(path, "".join(f"{line}\n" for line in lines), remedy=AGAIN)


def _task(columns: Mapping[str, object], where: str, number: int, domain: str) -> Task:
    task = Task(str(columns.get("id", f"{domain}-{number}")), str(columns.get(QUESTION)), columns, domain=domain)
    try:
        question, golds = question_of(task), golds_of(task)
    except DataError as error:
        raise DataError(f"{where}: {error.what}", got=error.got, expected=error.expected) from error
    return replace(task, prompt=question, columns={**columns, QUESTION: question, GOLDS[0]: list(golds)})


def _squad(path: Path) -> list | None:
    """The articles of a file in SQuAD's form; None for any other file."""
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None  # whoever reads rows says what is wrong
    articles = whole.get("data") if isinstance(whole, dict) else None
    return articles if isinstance(articles, list) else None


def _paragraphs(entry: object, path: Path) -> list:
    paragraphs = entry.get("paragraphs") if isinstance(entry, dict) else None
    good = isinstance(paragraphs, list) and all(isinstance(p, dict) and "context" in p for p in paragraphs)
    if not good:
        raise DataError(f"an article of {path} has no paragraphs", expected='{"paragraphs": [{"context": ...}]}')
    return list(paragraphs or ())


def _titled(entry: Mapping, context: str) -> str:
    title = str(entry.get("title", "")).replace("_", " ")
    return f'"{title}"\n{context}' if title else context


def _squad_questions(articles: list, *, path: Path, domain: str) -> list[Task]:
    asked = [qa for entry in articles for paragraph in _paragraphs(entry, path) for qa in paragraph.get("qas", ())]
    tasks = []
    for number, one in enumerate(asked):
        where = f"{path}, question {number + 1}"
        if not isinstance(one, dict) or not isinstance(one.get("answers"), list):
            raise DataError(f"{where} has no answers", expected='{"question", "answers": [{"text"}]}')
        golds = list(dict.fromkeys(str(a.get("text", "")) for a in one["answers"] if isinstance(a, dict)))
        columns = {"id": str(one.get("id", f"{domain}-{number}")), QUESTION: one.get("question"), GOLDS[0]: golds}
        tasks.append(_task(columns, where, number, domain))
    if not tasks:
        raise DataError(f"{path} has no question", expected="at least one")
    return tasks
