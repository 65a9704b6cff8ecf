"""A grader's answer, read strictly: what is not the JSON asked for is no verdict, and never the verdict "not met"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from understudy.errors import ServerAnswerError
from understudy.evaluation.grading.showing import well_formed
from understudy.evaluation.grading.votes import Reason, Vote

Better = Literal["X", "Y", "tie"]
_FENCE = "```"
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_REFUSAL = re.compile(
    r"^\W*(?:(?:i['’]?m|i am)\s+(?:very\s+)?sorry|sorry"
    r"|i\s+(?:can(?:no|['’]?)t|won['’]?t|will not|am unable|must decline)|as an ai\b|unfortunately,? i\b)",
    re.IGNORECASE,
)
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Reply:
    """What an endpoint gave back.

    Args:
        text: of the answer; None where the model or a filter refused. is_cut: it ended at its length limit.
        input_tokens, output_tokens: as the endpoint counts them, 0 where it does not.
    """

    text: str | None
    is_cut: bool
    input_tokens: int
    output_tokens: int


def reply_of(content: Any) -> Reply:
    """The answer of ``/chat/completions``.

    Raises:
        ServerAnswerError: it is none.
    """
    try:
        choice = content["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
        usage = content.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ServerAnswerError("the answer is no chat completion", got=f"{type(error).__name__}: {error}") from error
    is_refused = bool(refusal) or finish == "content_filter" or not isinstance(text, str)
    return Reply(None if is_refused else text, finish == "length", *tokens)


def votes_in(reply: Reply, ids: Sequence[str]) -> dict[str, Vote]:
    """One vote for each of ``ids``; a criterion named twice with two verdicts contradicts itself."""
    entries = _object_in(reply)
    if isinstance(entries, str):
        return dict.fromkeys(ids, Vote(None, reason=entries))
    listed = entries.get("verdicts")
    if not isinstance(listed, list):
        return dict.fromkeys(ids, Vote(None, reason="unreadable"))
    found: dict[str, list[Vote]] = {name: [] for name in ids}
    for entry in listed:
        if isinstance(entry, Mapping) and str(entry.get("id")) in found:
            found[str(entry["id"])].append(_vote_of(entry))
    return {name: _one_of(votes) for name, votes in found.items()}


def better_in(reply: Reply) -> tuple[Better | None, Vote]:
    """Which of two the grader prefers, and its reason or why there is none, as a vote without a verdict."""
    entries = _object_in(reply)
    if isinstance(entries, str):
        return None, Vote(None, reason=entries)
    better = entries.get("better")
    if better not in ("X", "Y", "tie"):
        return None, Vote(None, reason="unreadable")
    return better, Vote(None, why=_why(entries))


def agreed(once: Mapping[str, Vote], again: Mapping[str, Vote]) -> dict[str, Vote]:
    """Of two answers to one question: where both give a verdict and they differ, the grader contradicts itself.

    Where one of them gives none, the criterion has none, for that answer's reason.
    """
    found = {}
    for name, vote in once.items():
        other = again[name]
        if vote.met is None or other.met is None:
            found[name] = vote if vote.met is None else other
        else:
            found[name] = vote if vote.met == other.met else Vote(None, reason="contradicts itself")
    return found


def _one_of(votes: Sequence[Vote]) -> Vote:
    if not votes:
        return Vote(None, reason="left out")
    verdicts = {vote.met for vote in votes}
    return votes[0] if len(verdicts) == 1 else Vote(None, reason="contradicts itself")


def _vote_of(entry: Mapping[str, object]) -> Vote:
    met = entry.get("met")
    if not isinstance(met, bool):
        return Vote(None, reason="unreadable")
    return Vote(met, _why(entry))


def _why(entry: Mapping[str, object]) -> str:
    reason = entry.get("reason")
    return well_formed(reason.strip()[:_LONGEST_REASON]) if isinstance(reason, str) else ""


def _object_in(reply: Reply) -> Mapping[str, Any] | Reason:
    """The one JSON object that the answer is, alone or in one code fence, after thoughts between tags."""
    if reply.text is None:
        return "refused"
    text = _THOUGHT.sub("", reply.text)
    try:
        found = json.loads(_unfenced(text.strip()), object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        if reply.is_cut:
            return "cut short"
        return "refused" if _REFUSAL.match(text) else "unreadable"
    return found if isinstance(found, dict) else "unreadable"


def _unfenced(text: str) -> str:
    if len(text) < 2 * len(_FENCE) or not text.startswith(_FENCE) or not text.endswith(_FENCE):
        return text
    return text[len(_FENCE) : -len(_FENCE)].removeprefix("json")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A record; a key given twice with two values is no record, since either could be meant."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"{key} twice")
        found[key] = value
    return found
