"""The named suites that come with the package: one YAML file each in ``catalogue/``, with source and licence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from understudy.errors import DataError, UserMistakeError
from understudy.home import expanded
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
        files_only: the hub's data set has another form, so that the suite needs a file.
    """

    title: Text
    suite: Suite
    version: Whole = Field(ge=1)
    citation: Text
    licence: Text
    note: Text | None = None
    files: tuple[Text, ...] = ()
    files_only: bool = False

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
        DataError: no such data, a folder without the suite's file, or none for a suite that needs a file.
    """
    folder = os.environ.get(DATA_DIRECTORY)
    named = data or (Path(folder) if folder else None)
    where = None if named is None else expanded(named)
    file = None if where is None else _file_of(benchmark, where)
    if file is not None:
        return _on_file(benchmark.suite, file)
    if data is None and not benchmark.files_only:
        return benchmark.suite
    raise DataError(
        f"{where} holds no data of suite {benchmark.name}" if where else f"suite {benchmark.name} needs a file of data",
        got=None if where is None else "a folder" if where.is_dir() else "nothing there",
        expected="one of " + ", ".join(_names(benchmark)),
        remedy=None if where else f"Name it with --data, or its folder with {DATA_DIRECTORY}.",
    )


def askable(data: Path | None = None) -> frozenset[str]:
    """The named suites whose data are there, or may be on the hub; ``data`` as in ``with_local_data``."""
    found = set()
    for name, benchmark in benchmarks().items():
        with suppress(DataError):
            with_local_data(benchmark, data)
            found.add(name)
    return frozenset(found)


def _names(benchmark: Benchmark) -> list[str]:
    return [*(f"{benchmark.name}{ending}" for ending in ENDINGS), *benchmark.files]


def _file_of(benchmark: Benchmark, where: Path) -> Path | None:
    """The suite's data at ``where``, a file or a folder."""
    if where.is_file():
        return where
    return next((where / name for name in _names(benchmark) if (where / name).is_file()), None)


def _on_file(suite: Suite, file: Path) -> Suite:
    return suite.model_copy(update={"dataset": str(file), "config": None, "revision": None})


def _read(file: str, text: str) -> Benchmark:
    raw: Any = parse_yaml(text, source=file)
    raw["suite"].setdefault("name", file.removesuffix(".yaml"))
    try:
        return Benchmark.model_validate(raw)
    except ValidationError as error:
        raise recipe_error(error, Benchmark, raw, source=file) from error
