"""A corpus in a JSON-lines file, read in place, and the index that is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.errors import DataError
from understudy.tasks.retrieval.bm25 import Bm25
from understudy.tasks.retrieval.documents import Document, LocalRetriever

_VERSION = 1
_MANIFEST, _STARTS = "corpus.json", "starts.npy"


@dataclass(frozen=True, eq=False)
class CorpusFile:
    """Documents by place, each read from the file when it is wanted: a corpus may be larger than memory.

    Args:
        path: a file of ``{"id": ..., "contents": ...}``, one a line. starts: [documents] int64, bytes before each.
    """

    path: Path
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.starts.size)

    def __getitem__(self, place: int) -> Document:
        with self.path.open("rb") as file:
            file.seek(int(self.starts[place]))
            return _document(file.readline(), where=f"{self.path}, document {place + 1}")


def build_index(path: Path, folder: Path) -> None:
    """Index a corpus file into an empty folder.

    Raises:
        DataError: the file is missing, empty, or a line of it is no document.
        UserMistakeError: bm25s is not installed.
    """
    state, starts = _state(path), []
    contents = []
    for start, document in _read(path):
        starts.append(start)
        contents.append(document.contents)
    if not starts:
        raise DataError(f"corpus {path} is empty", expected='lines of {"id": ..., "contents": ...}')
    Bm25.of(contents).save(folder)
    np.save(folder / _STARTS, np.array(starts, dtype=np.int64), allow_pickle=False)
    if _state(path) != state:
        raise DataError(f"corpus {path} changed while it was read", remedy="Start again when it is whole.")
    (folder / _MANIFEST).write_text(json.dumps(state), encoding="utf-8")


def is_index_of(path: Path, folder: Path) -> bool:
    """Whether the folder holds the index of this file as it is now, by its size and time of change.

    Raises:
        DataError: the file is missing.
    """
    try:
        return bool(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")) == _state(path))
    except (OSError, ValueError):
        return False


def open_index(path: Path, folder: Path) -> LocalRetriever:
    """A retriever over the file, by the index that ``build_index`` made."""
    starts = np.load(folder / _STARTS, mmap_mode="r", allow_pickle=False)
    return LocalRetriever(CorpusFile(path, starts), Bm25.load(folder))


def _state(path: Path) -> dict[str, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(
            f"corpus {path} cannot be read: {(error.strerror or str(error)).lower()}",
            expected='a file of {"id": ..., "contents": ...}, one a line',
        ) from error
    return {"version": _VERSION, "bytes": found.st_size, "changed_ns": found.st_mtime_ns}


def _read(path: Path) -> Iterator[tuple[int, Document]]:
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield start, _document(line, where=f"{path}, line {number}")
                start += len(line)
    except OSError as error:
        raise DataError(f"corpus {path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _document(line: bytes, *, where: str) -> Document:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON", got=line[:80].decode(errors="replace")) from error
    named = isinstance(row, dict) and isinstance(row.get("id"), str | int) and isinstance(row.get("contents"), str)
    if not named:
        got = sorted(row) if isinstance(row, dict) else repr(row)[:80]
        raise DataError(f"{where} is no document", got=got, expected='{"id": ..., "contents": "text"}')
    return Document(str(row["id"]), row["contents"])
