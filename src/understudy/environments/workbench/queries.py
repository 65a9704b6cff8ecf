"""The queries of WorkBench and the calls that answer them."""

from __future__ import annotations

import ast
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import DataError


@dataclass(frozen=True)
class Right:
    """One call of a right answer.

    Args:
        name: of the tool, ``calendar_delete_event``. arguments: its texts.
    """

    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class Query:
    """One task.

    Args:
        id: unique. text: what is asked. answer: calls that bring about what is right, none where nothing is to change.
        domain: the file it comes from.
    """

    id: str
    text: str
    answer: tuple[Right, ...]
    domain: str


def load_queries(folder: Path) -> list[Query]:
    """All queries of the published files, in order.

    Raises:
        DataError: there is no file, a column is missing, or an answer is no list of calls.
    """
    paths = sorted((folder / "queries").glob("*_queries_and_answers.csv"))
    if not paths:
        raise DataError(f"{folder} holds no queries of WorkBench", expected="queries/*_queries_and_answers.csv")
    return [query for path in paths for query in _queries(path)]


def _queries(path: Path) -> list[Query]:
    domain = path.name.removesuffix("_queries_and_answers.csv")
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            where = f"row {number + 1} of {path.name}"
            if not row.get("query") or row.get("answer") is None:
                raise DataError(f"{where} has no query and answer")
            found.append(Query(f"{domain}-{number}", row["query"], _answer(row["answer"], where), domain))
    return found


def _answer(text: str, where: str) -> tuple[Right, ...]:
    try:
        calls = ast.literal_eval(text)
        return tuple(_call(str(call)) for call in calls)
    except (ValueError, SyntaxError, TypeError, RecursionError) as error:
        raise DataError(f"the answer of {where} is no list of calls", got=text[:120]) from error


def _call(text: str) -> Right:
    """``domain.tool.func(key="value")``, read as an expression and never run."""
    call = ast.parse(text.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError(text)
    name = ast.unparse(call.func).removesuffix(".func").replace(".", "_")  # servers take no dots in names of tools
    return Right(name, {str(word.arg): str(ast.literal_eval(word.value)) for word in call.keywords})
