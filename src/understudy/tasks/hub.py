"""Rows of data sets that the ``datasets`` library finds by name."""

from __future__ import annotations

from understudy.errors import DataError
from understudy.recipe import Source
from understudy.tasks.rows import Row


def read_hub(source: Source) -> list[Row]:
    """All rows of a named data set's split, from the hub or its local cache; no code of the data set is run.

    Raises:
        DataError: the name, config or split does not exist, or cannot be fetched.
    """
    import datasets

    name = source.dataset if source.config is None else f"{source.dataset} ({source.config})"
    try:
        table = datasets.load_dataset(source.dataset, source.config, split=source.split)
    except Exception as error:  # every layer below has its own kinds of errors: hub, HTTP, files, builders
        reason = str(error).partition("\n")[0][:300]
        raise DataError(
            f"data set {name}, split {source.split} cannot be loaded: {type(error).__name__}: {reason}",
            remedy="A file is named by its path, ending in .json, .jsonl, .csv or .parquet; "
            "a hub data set needs the network or a filled cache.",
        ) from error
    rows = [Row(dict(columns), f"row {number}") for number, columns in enumerate(table, start=1)]
    if not rows:
        raise DataError(f"data set {name}, split {source.split} is empty", expected="at least one row")
    return rows
