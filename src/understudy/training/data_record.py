"""``data.json`` of a run: which data it began with, so that it never goes on with other data unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from understudy.errors import RunDirectoryError
from understudy.training.durable import write_json


def keep(run: Path, record: Mapping[str, object]) -> None:
    """Write the record into a run's folder, or compare it with the one that is there.

    Args:
        record: under ``training`` and ``suites``, lists of data sets with ``name``, ``dataset``, ``fingerprint`` ...
    Raises:
        RunDirectoryError: a data set is not the one that the run began with.
    """
    file = run / "data.json"
    before = _read(file)
    if before is None:
        write_json(file, record)
        return
    known = dict(_prints(before))
    for place, (dataset, found) in _prints(record):
        _, expected = known.get(place, (dataset, found))
        if found != expected:
            raise RunDirectoryError(
                f"data set {dataset} has changed since {run} began",
                got=found,
                expected=expected,
                remedy="Put the data back as it was, or start a new run under another name=...",
            )


def _prints(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for section in ("training", "suites"):
        for entry in record.get(section, ()):
            yield (section, entry["name"]), (entry["dataset"], entry["fingerprint"])


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        list(_prints(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a run of an earlier version, or a file that a crash spoilt: it is written anew
    return content
