"""Where the rows of a data set come from, and what tells this data from other data."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import DataError
from understudy.home import expanded
from understudy.recipe import Part, Source
from understudy.tasks.hub import read_hub
from understudy.tasks.rows import Row, file_fingerprint, is_file_name, read_file, stem_of


def read_rows(source: Source) -> list[Row]:
    """All rows of the data set, whatever ``limit`` and ``filter`` say.

    Raises:
        DataError: it is missing, empty or broken.
    """
    if source.dataset.startswith("testbed/"):
        raise DataError(f"data set {source.dataset} is built by the testbed", expected="a file or a name of the hub")
    if is_file_name(source.dataset):
        return _read_unchanged(expanded(source.dataset))
    return read_hub(source)


def data_fingerprint(source: Source) -> str:
    """Says which data this was: a hash of the file's bytes, or the hub's name, config and split.

    Raises:
        DataError: the file cannot be read.
    """
    if is_file_name(source.dataset):
        return file_fingerprint(expanded(source.dataset))
    return "/".join(part for part in (source.dataset, source.config, source.split, source.revision) if part)


def domain_of(source: Source) -> str:
    """The name of a data set in figures: its part's name, a file's stem, or the hub's name."""
    if isinstance(source, Part) and source.name is not None:
        return source.name
    return stem_of(source.dataset) if is_file_name(source.dataset) else source.dataset


def _read_unchanged(path: Path) -> list[Row]:
    """The rows of a file that nobody wrote to meanwhile."""
    before = _state(path)
    rows = read_file(path)
    if _state(path) != before:
        raise DataError(f"data file {path} changed while it was read", remedy="Start again when it is whole.")
    return rows


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
