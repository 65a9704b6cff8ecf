"""Scorers that begin before anybody waits for the answer, and what scorers around others pass on to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from understudy.protocols import Scorer, ScoreRequest


@runtime_checkable
class Eager(Protocol):
    """What a scorer that answers from elsewhere may add: it begins before anybody waits for the answer."""

    @property
    def is_eager(self) -> bool:
        """Whether ``expect`` begins anything; false for a wrapper of scorers that cannot."""

    def expect(self, request: ScoreRequest) -> None:
        """Begin what ``score`` will be asked for soon; it picks up what is equal, context by context, once."""

    def forget(self) -> None:
        """Give up what was expected and not picked up."""


def eager_one(scorer: Scorer) -> Eager | None:
    """The scorer, where it begins what it expects; None where it answers only when it is asked."""
    return scorer if isinstance(scorer, Eager) and scorer.is_eager else None


def expect(scorer: Scorer, request: ScoreRequest) -> None:
    """Have the scorer begin with these rows, where it can and there are any."""
    eager = eager_one(scorer)
    if eager is not None and request.context.numel():
        eager.expect(request)


class EagerWrapper(ABC):
    """Two thirds of ``Eager`` for a scorer around others; ``expect`` is its own."""

    @property
    @abstractmethod
    def _inner_scorers(self) -> Sequence[Scorer]:
        """Those that it asks."""

    @property
    def is_eager(self) -> bool:
        """Whether one of the inner scorers is."""
        return any(eager_one(scorer) is not None for scorer in self._inner_scorers)

    def forget(self) -> None:
        """Have the inner scorers give up what they expect."""
        for scorer in self._inner_scorers:
            if isinstance(scorer, Eager):
                scorer.forget()
