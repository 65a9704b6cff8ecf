"""The leaf of an office task: what both sides handed in, what they said last, and the verdict per rubric line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from understudy.comparing.office_results import OfficeResults, OfficeTask, RubricLine
from understudy.comparing.page.files import file_pairs
from understudy.comparing.page.leaf import Attempt, Check, Judgement, Leaf, shortened
from understudy.comparing.page.text_diff import mark


def with_work(leaf: Leaf, a: OfficeResults, b: OfficeResults) -> Leaf:
    """The leaf with what both sides did."""
    one, other = a.by_id.get(leaf.problem), b.by_id.get(leaf.problem)
    known = one or other
    handed = [() if task is None else task.deliverables for task in (one, other)]
    words = [_last_words(side.folder, task) for side, task in ((a, one), (b, other))]
    return replace(
        leaf,
        prompt="" if known is None else shortened(known.prompt),
        attempt_a=_done(one),
        attempt_b=_done(other),
        answers=(mark(*words),) if any(words) else (),
        files=file_pairs(handed[0], handed[1], folders=(a.folder, b.folder)),
        rubric=tuple(_judgements(one, other)),
        checks=tuple(_checks(one, other)),
    )


def _done(task: OfficeTask | None) -> Attempt | None:
    if task is None:
        return None
    facts = (
        "finished" if task.finished else "not finished",
        f"{task.num_turns:,} turns",
        f"{task.num_tokens:,} tokens",
        f"{len(task.deliverables)} handed in",
    )
    return Attempt(facts, task.error or "")


def _judgements(one: OfficeTask | None, other: OfficeTask | None) -> Iterator[Judgement]:
    ours, theirs = ({_name(line): line for line in task.rubric} if task else {} for task in (one, other))
    for name in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(name), theirs.get(name)
        line = a or b
        assert line is not None
        yield Judgement(
            criterion=line.criterion or line.id,
            points=line.points,
            met_a=a.met if a else None,
            met_b=b.met if b else None,
            votes_a=_votes(a),
            votes_b=_votes(b),
        )


def _name(line: RubricLine) -> str:
    return line.id or line.criterion


def _votes(line: RubricLine | None) -> str:
    """Votes as signs.

    >>> _votes(RubricLine("1", "", 1, True, (True, None, False)))
    '✓?✗'
    """
    return "".join("?" if vote is None else "✓" if vote else "✗" for vote in (line.votes if line else ()))


def _checks(one: OfficeTask | None, other: OfficeTask | None) -> Iterator[Check]:
    ours, theirs = (task.checks if task else {} for task in (one, other))
    for name in dict.fromkeys([*ours, *theirs]):
        yield Check(name, ours.get(name), theirs.get(name))


def _last_words(folder: Path, task: OfficeTask | None) -> str:
    """The last thing the model said in its transcript, where there is one that can be read."""
    if task is None:
        return ""
    file = folder / task.task_id / "transcript.json"
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            return ""
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    messages = content.get("messages", []) if isinstance(content, dict) else content
    said = [
        str(message["content"])
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict) and message.get("role") == "assistant" and isinstance(message.get("content"), str)
    ]
    return shortened(said[-1]) if said else ""
