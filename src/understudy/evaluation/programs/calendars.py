"""Checks of calendars."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables import Value
from understudy.evaluation.programs.reading import table_of, text_argument


@dataclass(frozen=True)
class _Event:
    start: datetime.datetime
    end: datetime.datetime
    summary: str


def calendar_no_overlap(
    workspace: Path,
    arguments: Mapping[str, object],
    files: Mapping[str, Path],  # noqa: ARG001
) -> str | None:
    """No event of a person's calendar begins before the one before it ends; times without a zone are UTC.

    One that says how long it takes, or is of a whole day, ends accordingly; one that ends before it begins fits
    nowhere.
    """
    path = workspace / "calendar" / f"{text_argument(arguments, 'username')}.ics"
    sheet = table_of(path, inside=workspace)
    if sheet.num_rows > len(sheet.rows):
        return f"it has more than {len(sheet.rows) - 1:,} events"
    header, *rows = sheet.rows
    names = [str(name) for name in header]
    events = sorted((_event(dict(zip(names, row, strict=True))) for row in rows), key=lambda one: one.start)
    for first, second in itertools.pairwise(events):
        if first.end > second.start:
            return f"{first.summary} overlaps {second.summary}"
    return None


def _event(fields: Mapping[str, Value]) -> _Event:
    start = _moment(fields.get("dtstart"))
    end = _moment(fields["dtend"]) if fields.get("dtend") is not None else start
    name = str(fields.get("summary") or "an event")
    if end < start:
        raise DeliverableError(f"{name} ends before it begins", got=f"{start} to {end}")
    return _Event(start, end, name)


def _moment(value: Value) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError as error:
        raise DeliverableError("an event has no time", got=repr(value)) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
