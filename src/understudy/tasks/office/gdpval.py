"""GDPval: professional work with reference files and a rubric, in the published schema.

Source: Patwardhan et al., arXiv:2510.04374. Rows are read from a local copy (parquet, JSON lines or JSON), beside which
the reference files lie; nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from understudy.errors import DataError
from understudy.tasks.office.fields import folder_name, list_of, text_of
from understudy.tasks.office.office_task import Criterion, OfficeTask, Reference

_MOST_POINTS = 1e9
"""Beyond any rubric, and within what a float adds without loss."""
_KEPT = ("sector", "occupation", "deliverable_files")
HAND_IN = "Save what you hand in as files in your working folder, and name them in finish."


def row_files(folder: Path) -> list[Path]:
    """The files that may hold rows: parquet, .jsonl and .json, of the folder and its ``data``."""
    places = [folder] if folder.is_file() else [*folder.glob("*"), *folder.glob("data/*")]
    return sorted(place for place in places if place.suffix in (".parquet", ".jsonl", ".json") and place.is_file())


def load_gdpval(folder: Path) -> list[OfficeTask | DataError]:
    """Every row, in order; the reason in place of one that cannot be used."""
    loaded: list[OfficeTask | DataError] = []
    root = folder.parent if folder.is_file() else folder
    for path in row_files(folder):
        for number, row in enumerate(_rows(path), 1):
            try:
                loaded.append(_task(row, root, where=f"row {number} of {path.name}"))
            except DataError as error:
                loaded.append(error)
    return loaded


def _rows(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            yield from pyarrow.parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:  # a text may hold what ``splitlines`` takes for a line's end
                yield from (json.loads(line) for line in lines if line.strip())
        else:
            found = json.loads(path.read_text(encoding="utf-8"))
            yield from found if isinstance(found, list) else [found]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read", got=str(error)[:200]) from error


def _task(row: Any, root: Path, *, where: str) -> OfficeTask:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is no object", got=repr(row)[:120])
    task_id = text_of(row, "task_id", where=where)
    where = f"task {task_id}"
    prompt = text_of(row, "prompt", where=where)
    given = [str(one) for one in list_of(row, "reference_files", where=where)]
    return OfficeTask(
        task_id=folder_name(task_id),
        prompt=f"{prompt}\n\n{HAND_IN}",
        suite="gdpval",
        references=tuple(_references(given, root, where=where)),
        rubric=tuple(rubric_of(row.get("rubric_json"), where=where)),
        columns={name: row[name] for name in _KEPT if name in row},
    )


def _references(names: list[str], root: Path, *, where: str) -> Iterator[Reference]:
    """Files by their own names; with their folder where two share one."""
    short = [PurePosixPath(name).name for name in names]
    for name, own in zip(names, short, strict=True):
        source = next((one for one in (root / name, root / "reference_files" / name) if one.is_file()), None)
        if source is None or not source.resolve().is_relative_to(root.resolve()):
            raise DataError(
                f"a reference file of {where} is missing",
                got=name,
                expected=f"a file under {root}",
                remedy="Download the data set's reference_files beside its rows.",
            )
        place = PurePosixPath(own) if short.count(own) == 1 else PurePosixPath(*PurePosixPath(name).parts[-2:])
        yield Reference(place, source)


def rubric_of(found: Any, *, where: str) -> Iterator[Criterion]:
    """The criteria of ``rubric_json``: a list of ``{score, criterion, rubric_item_id}``, or the same as JSON text.

    Raises:
        DataError: it is no such list.
    """
    try:
        lines = json.loads(found) if isinstance(found, str) else found
    except (ValueError, RecursionError) as error:
        raise DataError(f"rubric_json of {where} is no JSON", got=str(error)[:200]) from error
    if not isinstance(lines, list) or not lines:
        raise DataError(f"{where} has no rubric_json", got=repr(found)[:120], expected="a list of criteria")
    for number, line in enumerate(lines):
        points = line.get("score") if isinstance(line, Mapping) else None
        if (
            not isinstance(points, int | float)
            or isinstance(points, bool)
            or not -_MOST_POINTS <= points <= _MOST_POINTS
        ):
            raise DataError(f"criterion {number} of {where} has no score", got=repr(line)[:120])
        criterion = text_of(line, "criterion", where=f"criterion {number} of {where}")
        yield Criterion(str(line.get("rubric_item_id") or number), criterion, float(points))
