"""From a row to its prompt and its gold completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from understudy.errors import DataError
from understudy.protocols import Message, Prompt, Task
from understudy.recipe import Lesson, Part, Source, Suite
from understudy.tasks.templates import MissingValueError, missing_column, parse_template, text_of

ROLES = ("system", "developer", "user", "assistant", "tool")
SPEAKERS = {"human": "user", "gpt": "assistant"}
"""What a column ``conversations``, a list of {from: ..., value: ...} as ShareGPT wrote it, calls the roles."""

Columns = Mapping[str, object]


def prompt_reader(source: Source) -> Callable[[Columns], Prompt]:
    """A function from a row's columns to its prompt: template, column ``prompt``, ``messages`` or ``conversations``.

    An answer of the assistant at the end of messages is the gold completion, not part of the prompt. With ``chat``
    text becomes one message of a user.

    Raises:
        RecipeError: the template cannot be read.
    """
    read = _prompt_column if source.prompt is None else _template_reader(source.prompt, source)
    return (lambda columns: _said(read(columns))) if source.chat else read


def completion_reader(data: Source) -> Callable[[Columns], str | None]:
    """A function from a row's columns to its gold completion; None where the row has none.

    It reads the template ``data.completion``; without one, column ``completion`` (text, or a message list whose last
    message counts), or else an assistant's message at the end of ``messages`` or ``conversations``.

    Raises:
        RecipeError: the template cannot be read.
    """
    if data.completion is None:
        return _completion_column
    template = parse_template(data.completion, field="data.completion")
    return template.render


def gold_completion(source: Source, task: Task) -> str:
    """The gold completion of a task, for methods that learn from data.

    Raises:
        DataError: the task's row has none.
    """
    text = completion_reader(source)(task.columns)
    if text is None:
        raise DataError(
            f"{source.dataset}, problem {task.problem} has no gold completion",
            got=f"columns {', '.join(task.columns)}",
            expected="column 'completion', or 'messages' that end with the assistant",
            remedy="Set data.completion to a template such as '{answer}'.",
        )
    return text


def _template_reader(text: str, source: Source) -> Callable[[Columns], Prompt]:
    template = parse_template(text, field=_field(source, "prompt"))
    return lambda columns: _usable(template.render(columns), "the prompt", template.columns[0])


def _said(prompt: Prompt) -> Prompt:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def teacher_text_reader(source: Source) -> Callable[[Columns], str | None]:
    """A function from a row's columns to what a teacher wrote; None where the recipe names no column of it."""
    name = source.teacher_text if isinstance(source, Lesson) else None
    if name is None:
        return lambda _: None
    return lambda columns: _usable(text_of(columns, name), f"column {name!r}", name)


def teacher_text(source: Source, task: Task) -> str:
    """What a teacher wrote to a task, for methods that learn from its text.

    Raises:
        DataError: the task's row has nothing there, or the recipe names no column.
    """
    text = teacher_text_reader(source)(task.columns)
    if text is None:
        raise DataError(f"data set {source.dataset} names no text of a teacher", expected="teacher_text: COLUMN")
    return text


def _prompt_column(columns: Columns) -> Prompt:
    name = next((name for name in ("prompt", "messages", "conversations") if name in columns), "prompt")
    if name not in columns:
        error = missing_column("prompt", columns)
        error.remedy = error.remedy or "Set data.prompt to a template such as '{question}'."
        raise error
    value = columns[name]
    if isinstance(value, str) and name == "prompt":
        return _usable(value, "column 'prompt'", name)
    if value is None:
        raise MissingValueError(f"column {name!r} holds no prompt", column=name, got="None")
    messages = _messages(value, name)
    if name != "prompt" and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    if not messages:
        raise DataError(f"column {name!r} holds no message before the assistant's")
    return messages


def _completion_column(columns: Columns) -> str | None:
    value = columns.get("completion")
    if isinstance(value, str):
        return value
    name = next((name for name in ("completion", "messages", "conversations") if columns.get(name) is not None), "")
    if not name:
        return None
    last = _messages(columns[name], name)[-1]
    content = last.get("content")
    return content if last["role"] == "assistant" and isinstance(content, str) else None


def _messages(value: object, name: str) -> Sequence[Message]:
    expected = "a list of {role: ..., content: ...}"
    if not isinstance(value, list | tuple):
        raise DataError(f"column {name!r} is no message list", got=repr(value)[:80], expected=expected)
    if not value:
        raise MissingValueError(f"column {name!r} is no message list", column=name, got="[]", expected=expected)
    if name == "conversations":
        value = [_spoken(turn) for turn in value]
    for number, message in enumerate(value, start=1):
        where = f"column {name!r}, message {number}"
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise DataError(f"{where} is no message", got=repr(message)[:80], expected="{role: ..., content: ...}")
        if message["role"] not in ROLES:
            raise DataError(f"{where} has no known role", got=repr(message["role"])[:80], expected=", ".join(ROLES))
        if not isinstance(message.get("content"), str) and not message.get("tool_calls"):
            raise DataError(f"{where} has no text", got=repr(message.get("content"))[:80], expected="content: text")
    return list(value)


def _spoken(turn: object) -> object:
    """A message from {from: ..., value: ...}; anything else is left for the messages' own checks."""
    if not isinstance(turn, Mapping) or "from" not in turn:
        return turn
    return {"role": SPEAKERS.get(str(turn["from"]), turn["from"]), "content": turn.get("value")}


def _usable(text: str, what: str, column: str) -> str:
    if not text.strip():
        raise MissingValueError(f"{what} is blank", column=column, got=repr(text)[:80], expected="text")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"{what} holds half a surrogate pair, which no encoding can write", got=repr(text)[:80])
    return text


def _field(source: Source, name: str) -> str:
    if isinstance(source, Suite):
        return f"{name} of suite {source.name}"
    return f"{name} of data set {source.dataset}" if isinstance(source, Part) else f"data.{name}"
