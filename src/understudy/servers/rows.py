"""What is asked of one text, and what comes back: rows of figures, one for each token after ``start``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.errors import ServerAnswerError
from understudy.servers.decoding import Floats, Ids
from understudy.servers.http import Call


@dataclass(frozen=True, eq=False)
class Ask:
    """One text to score: row i is the distribution that predicts ``tokens[start + 1 + i]``.

    Args:
        tokens: [L] int64, nothing after the last token that is scored. start: from 0 to L - 2.
        ids: [R, K] int64 further tokens of each row, -1 where there is none; None for none.
        top_k, entropy, hidden, temperature: as in ``ScoreRequest``.
    """

    tokens: Ids
    start: int
    ids: Ids | None = None
    top_k: int = 0
    entropy: bool = False
    hidden: bool = False
    temperature: float = 1.0

    @property
    def num_rows(self) -> int:
        """R, which is L - 1 - start."""
        return len(self.tokens) - 1 - self.start

    @property
    def scored(self) -> Ids:
        """[R] the tokens that stand at the rows."""
        return self.tokens[self.start + 1 :]

    @property
    def digest(self) -> bytes:
        """Equal for equal asks."""
        rest = (self.start, self.top_k, self.entropy, self.hidden, self.temperature)
        shape = None if self.ids is None else self.ids.shape
        known = hashlib.blake2b(repr((len(self.tokens), shape, rest)).encode(), digest_size=16)
        known.update(self.tokens.tobytes())
        known.update(b"" if self.ids is None else np.ascontiguousarray(self.ids).tobytes())
        return known.digest()


@dataclass(frozen=True, eq=False)
class Rows:
    """Figures of the rows of an ``Ask``; a column is None where the answer does not have it.

    Args:
        sampled: [R]. at_ids: [R, K]. top_ids, top_logprobs: [R, top_k]. entropy: [R]. hidden: [R, H].
    """

    sampled: Floats | None = None
    at_ids: Floats | None = None
    top_ids: Ids | None = None
    top_logprobs: Floats | None = None
    entropy: Floats | None = None
    hidden: Floats | None = None


class WireForm(Protocol):
    """How one kind of server is asked."""

    def calls(self, ask: Ask) -> Sequence[Call[Rows]]:
        """The requests that together give every column of ``ask``."""
        ...


def joined(parts: Iterable[Rows]) -> Rows:
    """One record of several answers: of each column the first that has it; ids of several answers stand side by side.

    >>> joined([Rows(sampled=np.zeros(1, np.float32)), Rows()]).sampled
    array([0.], dtype=float32)
    """
    parts = list(parts)
    columns: dict[str, NDArray[Any]] = {}
    for field in fields(Rows):
        present = [value for part in parts if (value := getattr(part, field.name)) is not None]
        if present:
            columns[field.name] = np.concatenate(present, axis=1) if field.name == "at_ids" else present[0]
    return Rows(**columns)


def sorted_top(ids: Ids, values: Floats) -> tuple[Ids, Floats]:
    """[R, k] both, each row most likely first."""
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(values, order, axis=1)


def check_top_ids(ids: Ids, *, vocab_size: int | None) -> Ids:
    """The ids; raises ServerAnswerError where one is negative or outside the vocabulary."""
    if ids.size and (int(ids.min()) < 0 or (vocab_size is not None and int(ids.max()) >= vocab_size)):
        raise ServerAnswerError(
            "the most likely tokens lie outside the vocabulary",
            got=f"{int(ids.min())}..{int(ids.max())}",
            expected=f"0..{'?' if vocab_size is None else vocab_size - 1}",
            remedy="Compare the server's tokenizer with the student's.",
        )
    return ids
