"""Texts to score, sent side by side, and rows that come back in the order they were asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from understudy.servers.background import all_of, background
from understudy.servers.pool import ServerPool
from understudy.servers.rows import Ask, Rows, WireForm, joined

_EXPECTED = 4096
"""Texts whose scores may be waiting to be picked up; of more, the oldest go."""


class Asker:
    """Asks one server, and may begin before anybody waits for the answer.

    Args:
        pool: the server's addresses. form: how it is asked.
    """

    def __init__(self, pool: ServerPool, form: WireForm) -> None:
        self._pool, self._form = pool, form
        self._expected: OrderedDict[bytes, Future[Rows]] = OrderedDict()

    def expect(self, asks: Sequence[Ask]) -> None:
        """Begin to score these texts; ``rows`` of an equal ask picks the answer up, once."""
        for ask in asks:
            if ask.digest not in self._expected:
                self._expected[ask.digest] = background().submit(self._rows(ask))
        while len(self._expected) > _EXPECTED:
            self._expected.popitem(last=False)[1].cancel()

    def rows(self, asks: Sequence[Ask]) -> list[Rows]:
        """One record an ask, in order; raises what ``ServerPool.ask`` raises, of the first that fails."""
        begun = [self._expected.pop(ask.digest, None) for ask in asks]
        missing = [ask for ask, future in zip(asks, begun, strict=True) if future is None]
        fresh = iter(background().run(all_of([self._rows(ask) for ask in missing])) if missing else ())
        return [next(fresh) if future is None else future.result() for future in begun]

    async def _rows(self, ask: Ask) -> Rows:
        return joined(await all_of([self._pool.ask(call) for call in self._form.calls(ask)]))
