"""The classic form of prompt scores: a list of objects from token id to log-prob, one for each token of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from understudy.errors import ServerAnswerError
from understudy.servers.decoding import listed, logprobs, numbers
from understudy.servers.rows import Ask, Rows, sorted_top


def rows_of(value: object, ask: Ask, *, name: str = "prompt_logprobs") -> Rows:
    """Rows of an ask from a list of L entries, the first of them null.

    An entry holds the token that stands there, wherever it ranks, and the ``top_k`` most likely ones.

    Raises:
        ServerAnswerError: not so many entries, one lacks its own token, or has fewer than ``top_k``.
    """
    entries = listed(value, name=name, count=len(ask.tokens))[ask.start + 1 :]
    read = [_figures(one, name=name) for one in entries]
    own = [row.get(token) for row, token in zip(read, ask.scored.tolist(), strict=True)]
    if None in own:
        raise ServerAnswerError(
            f"{name} lacks the token that was sent",
            got=f"no id {ask.scored[own.index(None)]} at place {ask.start + 1 + own.index(None)}",
            remedy="The server reads other token ids: compare its tokenizer with the student's.",
        )
    sampled = logprobs(np.array(own, dtype=np.float64), name=name)
    if not ask.top_k:
        return Rows(sampled=sampled)
    return _with_top([_best(row, ask.top_k, name=name) for row in read], ask, sampled=sampled)


def _with_top(best: list[list[tuple[int, float]]], ask: Ask, *, sampled: Any) -> Rows:
    ids = np.array([[id for id, _ in row] for row in best], dtype=np.int64).reshape(-1, ask.top_k)
    values = np.array([[value for _, value in row] for row in best]).reshape(-1, ask.top_k)
    top_ids, top_logprobs = sorted_top(ids, logprobs(values, name="the top log-probs"))
    return Rows(sampled=sampled, top_ids=top_ids, top_logprobs=top_logprobs)


def _figures(value: object, *, name: str) -> dict[int, float]:
    if not isinstance(value, Mapping):
        raise ServerAnswerError(f"{name} has an entry that is no object", got=type(value).__name__)
    try:
        ids = [int(key) for key in value]
        found = [each["logprob"] if isinstance(each, Mapping) else each for each in value.values()]
    except (ValueError, KeyError) as error:
        raise ServerAnswerError(
            f"{name} has an entry without token ids or log-probs", got=", ".join(map(repr, list(value)[:3]))
        ) from error
    return dict(zip(ids, numbers(found, name=name), strict=True))


def _best(row: Mapping[int, float], k: int, *, name: str) -> list[tuple[int, float]]:
    """The k most likely; equal ones in the order of their ids."""
    if len(row) < k:
        raise ServerAnswerError(
            f"{name} has fewer tokens a place than were asked for",
            got=len(row),
            expected=k,
            remedy="Raise --max-logprobs of the server, or lower the method's top_k.",
        )
    return sorted(row.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
