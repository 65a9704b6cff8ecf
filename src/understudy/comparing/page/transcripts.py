"""What was said in an attempt, from the transcript beside its files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_TURNS, MAX_CHARACTERS = 60, 4_000
"""Shown of a transcript, and of each of its turns."""


@dataclass(frozen=True)
class Turn:
    """One message: who wrote it (``assistant`` is the model), and what."""

    role: str
    text: str


def read_transcript(folder: Path, task_id: str) -> tuple[Turn, ...]:
    """The turns of ``TASK/transcript.json``; none where there is no such file, it is broken, or it lies elsewhere.

    It may be chat messages, alone or under ``messages``, or a list of what was ``seen`` and ``said``.
    """
    file = folder / task_id / "transcript.json"
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            return ()
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    messages = content.get("messages") if isinstance(content, dict) else content
    found = (turn for entry in (messages if isinstance(messages, list) else []) for turn in _turns(entry))
    return tuple(turn for turn in found if turn.text.strip())


def last_words(turns: tuple[Turn, ...]) -> str:
    """What the model said last."""
    return next((turn.text for turn in reversed(turns) if turn.role == "assistant"), "")


def shown_turns(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The first turns, long ones cut in the middle."""
    shown = tuple(Turn(turn.role, _cut(turn.text)) for turn in turns[:MAX_TURNS])
    left = len(turns) - len(shown)
    return (*shown, Turn("", f"[{left} further turns are not shown]")) if left else shown


def _turns(entry: object) -> Iterator[Turn]:
    if not isinstance(entry, Mapping):
        return
    if "said" in entry:
        yield Turn("seen", str(entry.get("seen") or ""))
        yield Turn("assistant", str(entry["said"] or ""))
        return
    calls = entry.get("tool_calls")
    called = f"\n{json.dumps(calls, ensure_ascii=False, indent=1)}" if calls else ""
    yield Turn(str(entry.get("role") or ""), _words(entry.get("content")) + called)


def _words(content: object) -> str:
    """A message's text; of one in parts, its texts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts if isinstance(part, Mapping))


def _cut(text: str) -> str:
    left = len(text) - MAX_CHARACTERS
    half = MAX_CHARACTERS // 2
    return text if left <= 0 else f"{text[:half]}\n[{left:,} characters are not shown]\n{text[-half:]}"
