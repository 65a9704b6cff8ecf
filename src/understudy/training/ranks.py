"""Several processes that make one run: what they must agree on, and who of them writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from understudy.errors import NonFiniteError, PeerError, RankLostError, UnderstudyError
from understudy.training.interruption import AbandonedError

Result = TypeVar("Result")


@runtime_checkable
class Ranks(Protocol):
    """All processes of a run; every one makes the same calls in the same order."""

    @property
    def rank(self) -> int:
        """Number of this one; the first, 0, writes the run's folder."""
        ...

    @property
    def size(self) -> int:
        """How many."""
        ...

    def gather(self, content: bytes) -> list[bytes]:
        """What every rank brought, in their order, on every rank."""
        ...


class OneRank:
    """A run of one process."""

    rank, size = 0, 1

    def gather(self, content: bytes) -> list[bytes]:
        """The content alone."""
        return [content]


def gathered(ranks: Ranks, value: Any) -> list[Any]:
    """Every rank's value, which JSON can hold, in their order."""
    if ranks.size == 1:
        return [value]
    return [json.loads(content) for content in ranks.gather(json.dumps(value).encode())]


def agreed(ranks: Ranks, work: Callable[[], Result]) -> Result:
    """Each rank's own work; where one fails or gives up, all do, so that nobody waits for it.

    Raises:
        PeerError: another rank failed and this one did not. AbandonedError: one gave its work up after a signal.
    """
    if ranks.size == 1:
        return work()
    failure: BaseException | None = None
    result: Result | None = None
    try:
        result = work()
    except RankLostError:
        raise
    except (Exception, AbandonedError) as error:
        failure = error
    told = gathered(ranks, None if failure is None else _told(failure))
    if failure is None and not any(told):
        return result  # type: ignore[return-value]
    first = next(number for number, words in enumerate(told) if words)
    if any(words and words["abandoned"] for words in told):
        raise AbandonedError
    peer = PeerError(f"rank {first}: {told[first]['words']}")
    peer.exit_code = int(told[first]["exit_code"])
    own = failure or peer
    mark_agreed(own, is_told=first != ranks.rank)
    raise own


def by_first(ranks: Ranks, work: Callable[[], Result]) -> Result:
    """What the first rank's work gave, which JSON can hold, on every rank; the others only wait.

    Raises:
        PeerError: it failed.
    """
    result = agreed(ranks, lambda: work() if ranks.rank == 0 else None)
    return gathered(ranks, result)[0] if ranks.size > 1 else result  # type: ignore[return-value]


def led(ranks: Ranks, lead: Callable[[Callable[[Path], None]], Result], act: Callable[[Path], None]) -> Result | None:
    """The first rank leads: whenever it calls what it is given with a folder, every rank acts on that folder.

    Returns:
        What ``lead`` returned on the first rank; None on the others.
    """
    if ranks.size == 1:
        return lead(act)
    if ranks.rank == 0:

        def together(folder: Path) -> None:
            gathered(ranks, str(folder))
            agreed(ranks, lambda: act(folder))

        def leading() -> Result:
            try:
                return lead(together)
            finally:
                gathered(ranks, None)

        return agreed(ranks, leading)
    return agreed(ranks, lambda: _follow(ranks, act))


def mark_agreed(error: BaseException, *, is_told: bool) -> None:
    """Note on an error that all ranks end with it, and whether another one tells the user."""
    error.is_agreed, error.is_told = True, is_told  # type: ignore[attr-defined]


def is_agreed(error: BaseException) -> bool:
    """Whether every rank has stopped at the same place for this error, and can go on to save what was done."""
    return bool(getattr(error, "is_agreed", False)) or isinstance(error, NonFiniteError)


def _follow(ranks: Ranks, act: Callable[[Path], None]) -> None:
    while (folder := gathered(ranks, None)[0]) is not None:
        try:
            agreed(ranks, partial(act, Path(folder)))
        except Exception as error:  # the first rank had the same, and decides what comes of it
            if not is_agreed(error):
                raise


def _told(error: BaseException) -> dict[str, object]:
    return {
        "words": str(error) or type(error).__name__,
        "abandoned": isinstance(error, AbandonedError),
        "exit_code": error.exit_code if isinstance(error, UnderstudyError) else 1,
    }
