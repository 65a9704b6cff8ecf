"""The files of a workspace as checks read them: within it, whole, and what their names say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from understudy.errors import DataError, DeliverableError
from understudy.evaluation.deliverables import Deliverable, Sheet, read_deliverable, shown
from understudy.evaluation.deliverables.limits import LIMITS
from understudy.evaluation.deliverables.opening import KINDS, checked_content


def text_argument(arguments: Mapping[str, object], name: str) -> str:
    """A text among a check's arguments; raises DataError without it."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"a check has no {name}", got=repr(value), expected="text")
    return value


def list_argument(arguments: Mapping[str, object], name: str) -> Sequence[object]:
    """A list among a check's arguments; raises DataError without one, and where it is empty."""
    value = arguments.get(name)
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f"a check has no {name}", got=repr(value), expected="a list")
    return value


def whole_file(workspace: Path, place: str) -> str | None:
    """Why a file is not there as it should be; None where it is: in the workspace, not empty, what its name says.

    What has no reader must only be there and hold something.
    """
    path = workspace / place
    try:
        if path.suffix.lower() in KINDS:
            read_deliverable(path, inside=workspace)
        else:
            checked_content(path, inside=workspace, kind="txt", limits=LIMITS)
    except DeliverableError as error:
        return None if _is_only_unknown(path, error) else str(error)
    return None


def table_of(path: Path, *, inside: Path | None) -> Sheet:
    """The first table of a file that has one: a workbook's first sheet, a csv's rows.

    Raises:
        DeliverableError: it cannot be read, or has none.
    """
    read = read_deliverable(path, inside=inside)
    if not read.tables:
        raise DeliverableError(f"{path.name} holds no table")
    return read.tables[0]


def rows_of(sheet: Sheet) -> list[tuple[str, ...]]:
    """The rows as texts, without empty cells at their ends and empty rows at the end."""
    rows = [[shown(value).strip() for value in row] for row in sheet.rows]
    for row in rows:
        while row and not row[-1]:
            row.pop()
    while rows and not rows[-1]:
        rows.pop()
    return [tuple(row) for row in rows]


def words_in(path: Path, *, inside: Path) -> str:
    """Everything that can be searched in a file: its words; of calendars and plain text, the file as it is written.

    Raises:
        DeliverableError: it cannot be read.
    """
    read: Deliverable = read_deliverable(path, inside=inside)
    if read.kind in ("ics", "txt", "md", "csv", "json"):
        return checked_content(path, inside=inside, kind=read.kind, limits=LIMITS).decode("utf-8", "replace")
    if read.kind == "xlsx":
        return "\n".join("\t".join(row) for sheet in read.tables for row in rows_of(sheet))
    return read.text


def mail_of(workspace: Path, name: str) -> str:
    """The mails in a person's folder as text, each with its file's name; empty where there are none."""
    return "\n".join(_mails(workspace, name))


def _mails(workspace: Path, name: str) -> Iterator[str]:
    folders = [one for one in sorted((workspace / "emails").glob("*")) if one.is_dir() and not one.is_symlink()]
    own = [one for one in folders if one.name == name] or [one for one in folders if one.name.lower() == name.lower()]
    own = own or [one for one in folders if name.lower() in one.name.lower()]
    for path in sorted(own[0].glob("*.eml")) if own else ():
        try:
            yield f"{path.name}\n{read_deliverable(path, inside=workspace).text}"
        except DeliverableError:
            continue


def _is_only_unknown(path: Path, error: DeliverableError) -> bool:
    """Whether a file without a reader was refused for not being text, which it need not be."""
    return path.suffix.lower() not in KINDS and "not what its name says" in error.what
