"""Rows of data sets that the ``datasets`` library finds by name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from understudy.errors import DataError
from understudy.recipe import Source
from understudy.tasks.rows import Row, is_file_name, read_file


def read_hub(source: Source) -> list[Row]:
    """All rows of a named data set's split, from the hub or its local cache; no code of the data set is run.

    Configuration ``*`` is every configuration in turn; one that ends like a data file is that file of the repository.

    Raises:
        DataError: the name, config or split does not exist, or cannot be fetched.
    """
    name = source.dataset if source.config is None else f"{source.dataset} ({source.config})"
    try:
        if source.config is not None and is_file_name(source.config):
            return read_file(_file_of(source, source.config))
        table = [columns for config in _configs(source) for columns in _table(source, config)]
    except DataError:
        raise
    except Exception as error:  # every layer below has its own kinds of errors: hub, HTTP, files, builders
        reason = str(error).partition("\n")[0][:300]
        raise DataError(
            f"data set {name}, split {source.split} cannot be loaded: {type(error).__name__}: {reason}",
            remedy=_remedy(source.dataset),
        ) from error
    rows = [Row(dict(columns), f"row {number}") for number, columns in enumerate(table, start=1)]
    if not rows:
        raise DataError(f"data set {name}, split {source.split} is empty", expected="at least one row")
    return rows


def _remedy(name: str) -> str:
    if Path(name).is_dir():
        return f"{name} is a folder here: name a file in it, ending in .json, .jsonl, .csv or .parquet."
    return (
        "A file is named by its path, ending in .json, .jsonl, .csv or .parquet; "
        "a hub data set needs the network or a filled cache."
    )


def _configs(source: Source) -> list[str | None]:
    import datasets

    if source.config != "*":
        return [source.config]
    return list(datasets.get_dataset_config_names(source.dataset, revision=source.revision))


def _table(source: Source, config: str | None) -> Iterable[Mapping[str, object]]:
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()  # in a log they are one endless line
    return datasets.load_dataset(source.dataset, config, split=source.split, revision=source.revision)


def _file_of(source: Source, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source.dataset, name, repo_type="dataset", revision=source.revision))
