"""The named suites that come with the package: one YAML file each in ``catalogue/``, with source and licence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from understudy.errors import DataError, UserMistakeError
from understudy.recipe import Suite
from understudy.recipe.outline import nearest
from understudy.recipe.problems import recipe_error
from understudy.recipe.section import Section, Text, Whole
from understudy.recipe.yaml_text import parse_yaml

DATA_DIRECTORY = "UNDERSTUDY_DATA_DIR"
"""Environment variable: a folder in which suites find their data as files."""

ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv")


class Benchmark(Section):
    """A named suite.

    Args:
        title: in one line, with the number of problems. suite: the problems, and how they are put and judged.
        version: raised whenever anything in ``suite`` changes, so that figures of two versions are never mixed.
        citation: who made it. licence: of the data. note: what to know before quoting a figure.
        files: where the data may lie under ``UNDERSTUDY_DATA_DIR``, beside NAME with any ending of a data file.
    """

    title: Text
    suite: Suite
    version: Whole = Field(ge=1)
    citation: Text
    licence: Text
    note: Text | None = None
    files: tuple[Text, ...] = ()

    @property
    def name(self) -> str:
        """As it is asked for."""
        return self.suite.name


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """All named suites, by name."""
    folder = resources.files("understudy.evaluation").joinpath("catalogue")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    found = [_read(file.name, file.read_text(encoding="utf-8")) for file in files]
    return {benchmark.name: benchmark for benchmark in found}


def benchmark_named(name: str, *, also: tuple[str, ...] = ()) -> Benchmark:
    """The named suite.

    Args:
        also: other names that would have been accepted, for the message.
    Raises:
        UserMistakeError: there is none of that name.
    """
    known = benchmarks()
    if name not in known:
        right = nearest(name, (*known, *also))
        raise UserMistakeError(
            "no suite has that name",
            got=repr(name),
            expected=f"one of {', '.join((*known, *also))}, or a YAML file",
            remedy=f"Did you mean {right!r}?" if right else "understudy evaluate --list shows them.",
        )
    return known[name]


def with_local_data(benchmark: Benchmark, data: Path | None = None) -> Suite:
    """The suite, on a file of the same columns in place of the hub's data set where there is one.

    Args:
        data: the file, or a folder to look in; None looks in ``UNDERSTUDY_DATA_DIR`` where that is set.
    Raises:
        DataError: ``data`` is not there, or a folder without the suite's file.
    """
    folder = os.environ.get(DATA_DIRECTORY)
    if data is None and not folder:
        return benchmark.suite
    where = Path(folder or "") if data is None else data
    where = where.expanduser()
    if where.is_file():
        return _on_file(benchmark.suite, where)
    names = [*(f"{benchmark.name}{ending}" for ending in ENDINGS), *benchmark.files]
    for name in names:
        if (where / name).is_file():
            return _on_file(benchmark.suite, where / name)
    if data is None:
        return benchmark.suite
    raise DataError(
        f"{where} holds no data of suite {benchmark.name}",
        got="a folder" if where.is_dir() else "nothing there",
        expected="one of " + ", ".join(names),
    )


def _on_file(suite: Suite, file: Path) -> Suite:
    return suite.model_copy(update={"dataset": str(file), "config": None, "revision": None})


def _read(file: str, text: str) -> Benchmark:
    raw: Any = parse_yaml(text, source=file)
    raw["suite"].setdefault("name", file.removesuffix(".yaml"))
    try:
        return Benchmark.model_validate(raw)
    except ValidationError as error:
        raise recipe_error(error, Benchmark, raw, source=file) from error
