"""Tools that change a table of WorkBench: rows added, changed and deleted, by the rules of its domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from understudy.environments.tools.tool import Tool, ToolError, parameters
from understudy.environments.workbench.databases import FILES, Databases, Row

NOW = "2023-11-30 00:00:00"
"""The time at which every query is asked."""

_LISTS = ("Backlog", "In Progress", "In Review", "Completed")
_BOARDS = ("Back end", "Front end", "Design")
_STATUSES = ("Qualified", "Won", "Lost", "Lead", "Proposal")
_METRICS = (
    "total_visits",
    "session_duration_seconds",
    "user_engaged",
    "visits_direct",
    "visits_referral",
    "visits_search_engine",
    "visits_social_media",
)
_PLOTS = ("bar", "line", "scatter", "histogram")
Arguments = Mapping[str, object]


def change_tools(data: Databases) -> list[Tool]:
    """All of them, on these tables."""
    return [*_calendar(data), *_email(data), *_projects(data), *_customers(data), _plot(data)]


def _calendar(data: Databases) -> list[Tool]:
    fields = ("event_name", "participant_email", "event_start", "duration")
    return [
        _create(data, "calendar", "create_event", "Creates an event.", dict.fromkeys(fields, ""), _colleague(data)),
        _delete(data, "calendar", "delete_event", "event_id"),
        _update(data, "calendar", "update_event", "event_id", fields),
    ]


def _projects(data: Databases) -> list[Tool]:
    fields = ("task_name", "assigned_to_email", "list_name", "due_date", "board")

    def check(row: Row) -> None:
        _one_of("list_name", row["list_name"], _LISTS)
        _one_of("board", row["board"], _BOARDS)
        _one_of("assigned_to_email", row["assigned_to_email"], data.directory)

    table = "project_management"
    return [
        _create(data, table, "create_task", "Creates a task.", dict.fromkeys(fields, ""), check),
        _delete(data, table, "delete_task", "task_id"),
        _update(data, table, "update_task", "task_id", fields, check),
    ]


def _customers(data: Databases) -> list[Tool]:
    table = "customer_relationship_manager"
    fields = tuple(name for name in data.tables[table][0] if name != "customer_id")

    def check(row: Row) -> None:
        _one_of("status", row["status"], _STATUSES)
        _one_of("assigned_to_email", row["assigned_to_email"], data.directory)

    return [
        _create(data, table, "add_customer", "Adds a customer.", dict.fromkeys(fields, ""), check),
        _delete(data, table, "delete_customer", "customer_id"),
        _update(data, table, "update_customer", "customer_id", fields, check),
    ]


def _email(data: Databases) -> list[Tool]:
    def send(recipient: str, subject: str, body: str) -> str:
        if "@" not in recipient or "." not in recipient:
            raise ToolError("the recipient is no address", got=recipient)
        number = data.new_id("email")
        values = (number, "outbox", recipient, subject, NOW, body)
        data.tables["email"].append(dict(zip(data.tables["email"][0], values, strict=True)))
        return f"sent: {number}"

    def original(arguments: Arguments) -> Row:
        return _found(data, "email", str(arguments["email_id"]))

    def forward(arguments: Arguments) -> str:
        mail = original(arguments)
        return send(str(arguments["recipient"]), f"FW: {mail['subject']}", mail["body"])

    def reply(arguments: Arguments) -> str:
        mail = original(arguments)
        return send(mail["sender/recipient"], mail["subject"], str(arguments["body"]))

    def sent(arguments: Arguments) -> str:
        return send(str(arguments["recipient"]), str(arguments["subject"]), str(arguments["body"]))

    id, to, text = {"email_id": "of the mail"}, {"recipient": "an address"}, {"body": "the text"}
    return [
        Tool("email_send_email", "Sends a mail.", parameters({**to, "subject": "", **text}), sent),
        Tool("email_forward_email", "Forwards a mail.", parameters({**id, **to}), forward),
        Tool("email_reply_email", "Replies to a mail.", parameters({**id, **text}), reply),
        _delete(data, "email", "delete_email", "email_id"),
    ]


def _plot(data: Databases) -> Tool:
    def draw(arguments: Arguments) -> str:
        row = {name: str(arguments[name]) for name in ("time_min", "time_max", "value_to_plot", "plot_type")}
        _one_of("value_to_plot", row["value_to_plot"], _METRICS)
        _one_of("plot_type", row["plot_type"], _PLOTS)
        data.plots.append(row)
        return f"plots/{row['time_min']}_{row['time_max']}_{row['value_to_plot']}_{row['plot_type']}.png"

    needed = {"time_min": "first day, YYYY-MM-DD", "time_max": "last day", "value_to_plot": ", ".join(_METRICS)}
    named = parameters({**needed, "plot_type": ", ".join(_PLOTS)})
    return Tool("analytics_create_plot", "Draws a plot of site visits.", named, draw)


def _create(
    data: Databases, table: str, name: str, words: str, fields: Mapping[str, str], check: Callable[[Row], None]
) -> Tool:
    # A customer can be added with a name alone; everything else of a row must be said.
    optional = table == "customer_relationship_manager"
    needed = {key: "" for key in fields if not optional or key in ("customer_name", "assigned_to_email", "status")}
    rest = {key: "" for key in fields if key not in needed}

    def call(arguments: Arguments) -> str:
        number = data.new_id(table)
        given = {key: str(arguments.get(key, "")) for key in fields}
        check(given)
        row = {column: number if column == FILES[table][1] else given[column] for column in data.tables[table][0]}
        data.tables[table].append(row)
        return f"created: {number}"

    return Tool(f"{table}_{name}", words, parameters(needed, rest), call)


def _delete(data: Databases, table: str, name: str, id: str) -> Tool:
    def call(arguments: Arguments) -> str:
        data.tables[table].remove(_found(data, table, str(arguments[id])))
        return "deleted"

    return Tool(f"{table}_{name}", f"Deletes it by its {id}.", parameters({id: ""}), call)


def _update(
    data: Databases,
    table: str,
    name: str,
    id: str,
    fields: tuple[str, ...],
    check: Callable[[Row], None] | None = None,
) -> Tool:
    def call(arguments: Arguments) -> str:
        row = _found(data, table, str(arguments[id]))
        field = str(arguments["field"])
        _one_of("field", field, fields)
        if check is not None:
            check({**row, field: str(arguments["new_value"])})
        row[field] = str(arguments["new_value"])
        return "updated"

    named = parameters({id: "", "field": ", ".join(fields), "new_value": ""})
    return Tool(f"{table}_{name}", f"Changes one field of it, by its {id}.", named, call)


def _found(data: Databases, table: str, id: str) -> Row:
    row = data.row(table, id)
    if row is None:
        raise ToolError(f"there is no {FILES[table][1]} {id!r}")
    return row


def _colleague(data: Databases) -> Callable[[Row], None]:
    return lambda row: _one_of("participant_email", row["participant_email"], data.directory)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ToolError(f"{name} is none that exists", got=value, expected=", ".join(known[:12]))
