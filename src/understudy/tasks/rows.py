"""Rows of json, jsonl (both also as .gz), csv and parquet files, each with its place so that errors can name it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from understudy.errors import DataError
from understudy.recipe.outline import nearest


@dataclass(frozen=True)
class Row:
    """One row of a data set.

    Args:
        columns: name -> value, as stored. place: where it stands, ``line 7`` or ``row 3``, counted from 1.
    """

    columns: dict[str, object]
    place: str


def read_file(path: Path) -> list[Row]:
    """All rows of a data file.

    Raises:
        DataError: it is missing, a folder, of an unknown kind, empty, or broken; with the line where lines exist.
    """
    reader = _READERS.get(_kind(path.name))
    if not path.exists():
        raise _missing(path)
    if reader is None or not path.is_file():
        got = "a folder" if path.is_dir() else repr(path.suffix)
        raise DataError(f"{path} is no data file", got=got, expected="a file ending in " + ", ".join(_READERS))
    try:
        rows = list(reader(path))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise DataError(f"{path} is empty", expected="at least one row")
    return rows


def is_file_name(name: str) -> bool:
    """Whether a data set's name means a file here, not one of the hub."""
    return _kind(name) in _READERS or name.startswith((".", "/", "~")) or Path(name).is_file()


def stem_of(name: str) -> str:
    """A data file's name without folder and endings."""
    file = Path(name)
    return Path(file.stem).stem if file.suffix.lower() == ".gz" else file.stem


def _kind(name: str) -> str:
    """The ending that says how a file is written; packed files have two."""
    file = Path(name.lower())
    return "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def file_fingerprint(path: Path) -> str:
    """``sha256:`` and the first 16 hex digits over the file's bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _missing(path: Path) -> DataError:
    siblings = [str(file) for file in path.parent.iterdir() if file.is_file()] if path.parent.is_dir() else []
    right = nearest(str(path), siblings)
    here = f"Relative paths start at the working directory, {Path.cwd()}. " if not path.is_absolute() else ""
    elsewhere = "Name another file with data.dataset=FILE; a suite's with evaluation.suites.0.dataset=FILE."
    remedy = f"Did you mean {right}?" if right else here + elsewhere
    return DataError(f"data file {path} does not exist", remedy=remedy)


def _read_jsonl(path: Path) -> Iterator[Row]:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip() not in (b"", b"\xef\xbb\xbf"):
                yield _json_row(line, path=path, number=number)


def _json_row(line: bytes, *, path: Path, number: int) -> Row:
    where = f"{path}, line {number}"
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON: {_reason(error)}") from error
    return _row(value, where=where, place=f"line {number}")


def _read_json(path: Path) -> Iterator[Row]:
    text = _text(path)
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from _read_jsonl(path)  # one object a line, as many .json files have it
            return
        raise DataError(f"{path}, line {error.lineno} is not valid JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {_reason(error)}") from error
    if isinstance(values, dict) and isinstance(values.get("examples"), list):
        values = values["examples"]  # as BIG-bench has it
    if not isinstance(values, list):
        raise DataError(f"{path} is no list of rows", got=type(values).__name__, expected="[{...}, {...}]")
    for number, value in enumerate(values, start=1):
        yield _row(value, where=f"{path}, row {number}", place=f"row {number}")


def _row(value: object, *, where: str, place: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{where} is no row", got=repr(value)[:80], expected="an object with columns, {...}")
    return Row(value, place)


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if not header:
                header = _header(cells, where=where)
                continue
            if len(cells) != len(header):
                raise DataError(f"{where} is broken", got=f"{len(cells)} cells", expected=f"{len(header)} cells")
            yield Row(dict(zip(header, cells, strict=True)), f"line {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} is not valid CSV: {error}") from error


def _header(cells: list[str], *, where: str) -> list[str]:
    double = next((name for name in cells if cells.count(name) > 1), None)
    if double is not None:
        raise DataError(f"{where}: two columns are called {double!r}", expected="a different name for each column")
    return cells


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        values = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:
        raise DataError(f"{path} is not valid Parquet: {_reason(error)}") from error
    for number, value in enumerate(values, start=1):
        yield Row(value, f"row {number}")


def _text(path: Path) -> str:
    with _opened(path) as file:
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line} is not UTF-8 text") from error


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0][:200]


_READERS = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".json.gz": _read_json,
    ".jsonl.gz": _read_jsonl,
}
