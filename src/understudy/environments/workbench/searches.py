"""Tools that look at WorkBench's tables and change nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import fmean

from understudy.environments.tools.tool import Tool, ToolError, parameters
from understudy.environments.workbench.databases import FILES, Databases, Row

MOST = 5
"""Rows that a search gives; the source gives five events, mails and customers too."""

Arguments = Mapping[str, object]


def search_tools(data: Databases) -> list[Tool]:
    """All of them, on these tables."""
    return [
        _search(data, "calendar", "search_events", ("event_name", "participant_email"), "event_start"),
        _search(data, "email", "search_emails", ("subject", "body", "sender/recipient"), "sent_datetime"),
        _search_fields(data, "project_management", "search_tasks"),
        _search_fields(data, "customer_relationship_manager", "search_customers"),
        *(_field_of(data, table) for table in ("calendar", "email", "project_management")),
        _visits(data),
        _visitor(data),
        _address(data),
    ]


def _search(data: Databases, table: str, name: str, columns: tuple[str, ...], moment: str) -> Tool:
    def call(arguments: Arguments) -> str:
        words = str(arguments.get("query", "")).lower()
        first, last = str(arguments.get("time_min", "")), str(arguments.get("time_max", "")) or "9"

        def holds(row: Row) -> bool:
            said = any(words in row[column].lower() for column in columns)
            return said and first <= row[moment] and (row[moment] <= last or row[moment].startswith(last))

        found = sorted(data.where(table, holds), key=lambda row: row[moment], reverse=table == "email")
        return _told(found)

    named = parameters({}, {"query": "words in it", "time_min": "not before", "time_max": "not after"})
    order = "newest first" if table == "email" else "oldest first"
    return Tool(f"{table}_{name}", f"Searches; at most {MOST} are given, {order}.", named, call)


def _search_fields(data: Databases, table: str, name: str) -> Tool:
    columns = [column for column in data.tables[table][0] if column != FILES[table][1]]

    def call(arguments: Arguments) -> str:
        given = {key: str(value).lower() for key, value in arguments.items() if str(value)}
        if not given:
            raise ToolError("nothing to search for", expected=", ".join(columns))
        return _told(data.where(table, lambda row: all(text in row[key].lower() for key, text in given.items())))

    named = parameters({}, dict.fromkeys(columns, "part of it"))
    return Tool(f"{table}_{name}", f"Searches by fields; at most {MOST} are given.", named, call)


def _field_of(data: Databases, table: str) -> Tool:
    id = FILES[table][1]

    def call(arguments: Arguments) -> str:
        row = data.row(table, str(arguments[id]))
        field = str(arguments["field"])
        if row is None or field not in row:
            raise ToolError(f"there is no such {id} or field", expected=", ".join(data.tables[table][0]))
        return row[field]

    noun = id.removesuffix("_id")
    return Tool(f"{table}_get_{noun}_information_by_id", "One field of it.", parameters({id: "", "field": ""}), call)


def _visits(data: Databases) -> Tool:
    def call(arguments: Arguments) -> str:
        first, last = str(arguments.get("time_min", "")), str(arguments.get("time_max", "")) or "9"
        rows = data.where("analytics", lambda row: first <= row["date_of_visit"] <= last)
        days = sorted({row["date_of_visit"] for row in rows})
        return json.dumps({day: _of_day([row for row in rows if row["date_of_visit"] == day]) for day in days})

    named = parameters({}, {"time_min": "first day, YYYY-MM-DD", "time_max": "last day"})
    words = "Visits of each day: in all, engaged, by source, and the mean duration in seconds."
    return Tool("analytics_visits", words, named, call)


def _of_day(rows: list[Row]) -> dict[str, float]:
    sources = sorted({row["traffic_source"] for row in rows})
    return {
        "total_visits": len(rows),
        "user_engaged": sum(row["user_engaged"] == "True" for row in rows),
        "session_duration_seconds": round(fmean(float(row["session_duration_seconds"]) for row in rows), 2),
        **{f"visits_{one.replace(' ', '_')}": sum(row["traffic_source"] == one for row in rows) for one in sources},
    }


def _visitor(data: Databases) -> Tool:
    def call(arguments: Arguments) -> str:
        id = str(arguments["visitor_id"])
        return _told(data.where("analytics", lambda row: row["visitor_id"] == id))

    words = "The visits of one visitor."
    return Tool("analytics_get_visitor_information_by_id", words, parameters({"visitor_id": ""}), call)


def _address(data: Databases) -> Tool:
    def call(arguments: Arguments) -> str:
        name = str(arguments["name"]).strip().lower()
        return "\n".join(one for one in data.directory if name and name in one) or "nobody of that name"

    words = "Addresses of colleagues, by a name."
    return Tool("company_directory_find_email_address", words, parameters({"name": "first or last"}), call)


def _told(rows: list[Row]) -> str:
    if not rows:
        return "nothing was found"
    more = f"\n(and {len(rows) - MOST} more)" if len(rows) > MOST else ""
    return "\n".join(json.dumps(row) for row in rows[:MOST]) + more
