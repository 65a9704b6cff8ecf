"""Mail and calendars."""

from __future__ import annotations

import email
import email.policy
from contextlib import suppress
from email.message import EmailMessage

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, Sheet, Value, blocks_text, table_text
from understudy.evaluation.deliverables.limits import ReadingLimits
from understudy.evaluation.deliverables.plain import decoded

_HEADERS = ("From", "To", "Cc", "Bcc", "Date", "Subject")
_EVENT = ("SUMMARY", "DTSTART", "DTEND", "LOCATION", "ORGANIZER", "DESCRIPTION", "RRULE")


def read_mail(content: bytes, *, name: str) -> Deliverable:
    """An ``.eml`` file: its headers, its text (the plain form where it has one), and the names of what is attached.

    Raises:
        DeliverableError: it has none of the headers of a mail.
    """
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    headers = [f"{header}: {message[header]}" for header in _HEADERS if message[header]]
    if not headers:
        raise DeliverableError(f"{name} is corrupt", got="a mail without headers")
    body = message.get_body(preferencelist=("plain", "html"))
    text = "" if body is None else str(body.get_content()).strip()
    attached = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    blocks = [*(Block("header", line) for line in headers), *([Block("paragraph", text)] if text else [])]
    blocks += [Block("note", f"attached: {one}") for one in attached]
    whole = "\n".join([*headers, "", text, *(f"[attached: {one}]" for one in attached)]).strip()
    return Deliverable(name, "eml", len(content), whole, blocks=tuple(blocks))


def read_calendar(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """An ``.ics`` file: one row an event.

    Raises:
        DeliverableError: it is no calendar.
    """
    import icalendar

    calendars = icalendar.Calendar.from_ical(decoded(content, name=name), multiple=True)
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if not calendars:
        raise DeliverableError(f"{name} is corrupt", got="no calendar")
    rows: list[tuple[Value, ...]] = [tuple(field.lower() for field in _EVENT)]
    rows += [tuple(_property(event, field) for field in _EVENT) for event in events[: limits.rows]]
    sheet = Sheet(name, tuple(rows), len(events) + 1, len(_EVENT))
    blocks = (Block("table", "", table=0),)
    text = blocks_text(blocks, (sheet,)) if events else "a calendar without events"
    return Deliverable(name, "ics", len(content), text or table_text(sheet), (sheet,), blocks)


def _property(event: object, field: str) -> Value:
    value = event.get(field)  # type: ignore[attr-defined]
    if value is None:
        return _end_of(event) if field == "DTEND" else None
    moment = getattr(value, "dt", None)
    if moment is not None:
        return str(moment)
    return value.to_ical().decode(errors="replace") if field == "RRULE" else str(value)


def _end_of(event: object) -> Value:
    """When an event ends that says how long it takes, or is of a whole day; None where it says neither."""
    with suppress(ValueError):  # of the library's, for an event without a beginning
        return str(event.end) if event.get("DTSTART") is not None else None  # type: ignore[attr-defined]
    return None
