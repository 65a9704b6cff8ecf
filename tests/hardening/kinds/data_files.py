"""Data files of every kind, good ones with faults: encodings, huge numbers, NaN, nesting, broken Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hardening.mutating import broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from understudy.recipe import Data
from understudy.tasks import load

ROWS: list[dict[str, Any]] = [
    {
        "question": f"How much is {n} and {n}?",
        "answer": f"It is {2 * n}. #### {2 * n}",
        "solution": str(2 * n),
        "options": ["one", "two", f"{n}"],
        "level": n % 3,
        "messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}],
    }
    for n in range(4)
]
READINGS: Sequence[Mapping[str, Any]] = (
    {"prompt": "{question}", "completion": "{solution}", "verifier": {"kind": "numeric", "extract": r"#### (\d+)"}},
    {"prompt": "{question}", "answer": "solution", "verifier": {"kind": "exact"}, "filter": {"level": [1, 2]}},
    {"verifier": {"kind": "none"}, "missing": "drop"},
    {
        "prompt": "{question}\n{options}",
        "options": {"column": "options", "shuffle": True},
        "answer": "level",
        "verifier": {"kind": "choice"},
    },
    {"prompt": "{question}", "identifier": "solution", "verifier": {"kind": "numeric"}, "missing": "drop"},
)
ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".jsonl.gz", ".json.gz")


def contents(ending: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows as a file of that kind; what it cannot hold becomes text."""
    if ending == ".parquet":
        return _parquet(rows)
    if ending == ".csv":
        return _csv(rows)
    text = json_bytes(list(rows)) if ending.startswith(".json") and "l" not in ending else _lines(rows)
    return gzip.compress(text, compresslevel=1, mtime=0) if ending.endswith(".gz") else text


def data_file(folder: Path) -> Target:
    """The first byte says how the file ends and how the recipe reads it; the rest is the file."""

    def make(random: Random) -> bytes:
        kind, reading = random.randrange(len(ENDINGS)), random.randrange(len(READINGS))
        rows = twisted(random, ROWS, times=random.choice((0, 1, 2, 4)))
        kept = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        content = contents(ENDINGS[kind], kept or ROWS)
        if random.random() < 0.6:
            content = broken(random, content)
        if random.random() < 0.02:
            content = random.choice((b"", nested(), nested(b'{"a":', b"}"), b'"' * 9, b"\xef\xbb\xbf", b"\n" * 9))
        return bytes([kind * len(READINGS) + reading]) + content

    def attempt(content: bytes) -> None:
        if content:
            kind, reading = divmod(content[0] % (len(ENDINGS) * len(READINGS)), len(READINGS))
            file = folder / f"rows{ENDINGS[kind]}"
            file.write_bytes(content[1:])
            load(Data.model_validate({"dataset": str(file), **READINGS[reading]}))

    return Target("data file", make, attempt)


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json_bytes(row) + b"\n" for row in rows)


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([[_cell(row.get(name)) for name in names] for row in rows])
    return out.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: object) -> str:
    return str(value)[:500] if isinstance(value, str | float) else "7"


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        return _written({name: [row.get(name) for row in rows] for name in names})
    except (pa.ArrowException, ValueError, OverflowError, TypeError):  # several types in a column, or none: {}
        return _written({name: [json.dumps(row.get(name)) for row in rows] for name in names if name.isprintable()})


def _written(columns: Mapping[str, list[Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()
