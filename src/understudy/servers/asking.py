"""Texts to score, sent side by side, and rows that come back in the order they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from understudy.servers.background import all_of, background
from understudy.servers.http import Call, UnfilledRowsError
from understudy.servers.pool import ServerPool
from understudy.servers.rows import Ask, Rows, WireForm, joined

_EXPECTED = 4096
"""Texts whose scores may be waiting to be picked up; more are not begun."""


class Asker:
    """Asks one server, and may begin before anybody waits for the answer.

    Args:
        pool: the server's addresses. form: how it is asked.
    """

    def __init__(self, pool: ServerPool, form: WireForm) -> None:
        self._pool, self._form = pool, form
        self._expected: dict[bytes, Future[Rows]] = {}

    def expect(self, asks: Sequence[Ask]) -> None:
        """Begin to score these texts; ``rows`` of an equal ask picks the answer up, once."""
        for ask in asks:
            if ask.digest not in self._expected and len(self._expected) < _EXPECTED:
                self._expected[ask.digest] = background().submit(self._rows(ask))

    def forget(self) -> None:
        """Give up the texts that were expected and not asked for."""
        for future in self._expected.values():
            future.cancel()
        self._expected.clear()

    def rows(self, asks: Sequence[Ask]) -> list[Rows]:
        """One record an ask, in order, equal asks sent once; raises what ``ServerPool.ask`` raises."""
        digests = [ask.digest for ask in asks]
        distinct = dict(zip(digests, asks, strict=True))
        begun = {digest: self._expected.pop(digest) for digest in distinct if digest in self._expected}
        fresh = [ask for digest, ask in distinct.items() if digest not in begun]
        try:
            answers = background().run(all_of([self._rows(ask) for ask in fresh])) if fresh else []
            found = {digest: future.result() for digest, future in begun.items()}
        except BaseException:
            for future in begun.values():
                future.cancel()
            raise
        found |= zip((digest for digest in distinct if digest not in begun), answers, strict=True)
        return [found[digest] for digest in digests]

    async def _rows(self, ask: Ask) -> Rows:
        return joined(await all_of([answered(self._pool, call) for call in self._form.calls(ask)]))


async def answered(pool: ServerPool, call: Call[Rows]) -> Rows:
    """The rows of one call, or of the one that stands in for it where the server has left some out."""
    try:
        return await pool.ask(call)
    except UnfilledRowsError:
        if call.otherwise is None:
            raise
        return await pool.ask(call.otherwise)
