"""The leaf of an office task: what both sides handed in, what they said last, and the verdict per rubric line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from understudy.comparing.office_results import OfficeResults, OfficeTask, RubricLine
from understudy.comparing.page.files import file_pairs
from understudy.comparing.page.leaf import Attempt, Check, Judgement, Leaf, shortened
from understudy.comparing.page.text_diff import mark
from understudy.comparing.page.transcripts import last_words, read_transcript, shown_turns


def with_work(leaf: Leaf, a: OfficeResults, b: OfficeResults) -> Leaf:
    """The leaf with what both sides did."""
    one, other = a.by_id.get(leaf.problem), b.by_id.get(leaf.problem)
    known = one or other
    handed = [() if task is None else task.deliverables for task in (one, other)]
    said = [() if task is None else read_transcript(side.folder, task.task_id) for side, task in ((a, one), (b, other))]
    words = [shortened(last_words(turns)) for turns in said]
    return replace(
        leaf,
        prompt="" if known is None else shortened(known.prompt),
        attempt_a=_done(one, a.missing.get(leaf.problem)),
        attempt_b=_done(other, b.missing.get(leaf.problem)),
        answers=(mark(words[0], words[1]),) if any(words) else (),
        turns_a=shown_turns(said[0]),
        turns_b=shown_turns(said[1]),
        files=file_pairs(handed[0], handed[1], folders=(a.folder, b.folder)),
        rubric=tuple(_judgements(one, other)),
        checks=tuple(_checks(one, other)),
    )


def _done(task: OfficeTask | None, missing: str | None) -> Attempt | None:
    if task is None:
        return None if missing is None else Attempt(("no attempt",), missing)
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
            why_a=a.why if a else "",
            why_b=b.why if b else "",
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
