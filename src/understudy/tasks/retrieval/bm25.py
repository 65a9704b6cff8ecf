"""BM25 over a list of texts: the package bm25s with our words and our order among equals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from understudy.errors import DataError, UserMistakeError

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Found:
    """One text that has a word of the query: its place in the list, from 0, and its score, higher is better."""

    place: int
    score: float


class Bm25:
    """Finds the texts that answer a query best; may be asked from several threads at once.

    Args:
        index: of bm25s. Made by ``of`` or ``load``.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def of(cls, texts: Iterable[str]) -> Bm25:
        """Index these texts.

        Raises:
            DataError: no text has a word. UserMistakeError: bm25s is not installed.
        """
        words = [words_of(text) for text in texts]
        if not any(words):
            raise DataError("nothing to search in", got=f"{len(words)} texts without a word", expected="at least one")
        index = _library().BM25(method="lucene")
        index.index(words, show_progress=False)
        return cls(index)

    def top(self, query: str, *, limit: int) -> list[Found]:
        """The best ``limit`` texts, best first, equals by place; a text without any word of the query is not found."""
        known = self._index.get_tokens_ids(words_of(query))
        if not known or limit < 1:
            return []
        scores = self._index.get_scores_from_ids(known)
        limit = min(limit, scores.size)
        worst = max(float(np.partition(scores, -limit)[-limit]), 0.0)
        places = np.flatnonzero(scores >= worst if worst > 0 else scores > 0)
        best = places[np.argsort(-scores[places], kind="stable")][:limit]
        return [Found(int(place), float(scores[place])) for place in best]

    def save(self, folder: Path) -> None:
        """Write the index into a folder."""
        self._index.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> Bm25:
        """Read what ``save`` wrote, mapped into memory: processes of one machine share it."""
        return cls(_library().BM25.load(folder, mmap=True, show_progress=False))


def words_of(text: str) -> list[str]:
    """What is looked for in a text: its words and numbers, lower-cased.

    >>> words_of("A 5-piece Set, café-style")
    ['a', '5', 'piece', 'set', 'café', 'style']
    """
    return _WORD.findall(text.lower())


def _library() -> ModuleType:
    try:
        import bm25s
    except ImportError as error:
        raise UserMistakeError(
            "searching documents needs the package bm25s, which is not installed",
            remedy="Install it with: pip install 'understudy[agents]'.",
        ) from error
    return bm25s
