"""Scores that are computed once: the same rows, asked for again, never reach the teacher."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

import torch

from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores
from understudy.teachers.eager import EagerWrapper, expect

DEFAULT_MAX_BYTES = 1 << 30
_OVERHEAD_BYTES = 240
"""Of a row's key and its places in memory, beside its figures (measured: 238, CPython 3.11)."""


class CachedScorer(EagerWrapper):
    """Implements ``Scorer``: remembers every row it was asked for, the least recently used go first.

    A row is known by the ids up to its token, its route, and all that was asked of it. When the inner scorer answers
    with another fingerprint or version, everything remembered is forgotten. Requests for hidden states pass through:
    they are too large to keep, and their head belongs to the inner scorer.

    Args:
        inner: who is asked for what is not known. max_bytes: bound of the memory.
    """

    def __init__(self, inner: Scorer, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.inner, self.max_bytes = inner, max_bytes
        self.num_bytes = 0
        self._rows: OrderedDict[bytes, bytes] = OrderedDict()
        self._of = ("", 0)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the inner scorer."""
        return self.inner.capabilities

    @property
    def fingerprint(self) -> str:
        """That of the inner scorer."""
        return self.inner.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order; rows that are known are not asked for again."""
        if request.hidden or request.context.numel() == 0:
            return self.inner.score(request)
        if self.inner.fingerprint != self._of[0]:
            self._forget()
        keys = list(row_keys(request))
        known = {key: self._rows[key] for key in keys if key in self._rows}
        missing = [row for row, key in enumerate(keys) if key not in known]
        if missing:
            answer = self.inner.score(request.rows(torch.tensor(missing)))
            changed = (answer.fingerprint, answer.version) != self._of
            if changed and known:  # what was known is of other weights
                missing, answer, known = list(range(len(keys))), self.inner.score(request), {}
            if changed:
                self._forget()
                self._of = (answer.fingerprint, answer.version)
            known.update(zip([keys[row] for row in missing], _packed(answer), strict=True))
        self._remember(known)
        return _unpacked([known[key] for key in keys], request, fingerprint=self._of[0], version=self._of[1])

    def expect(self, request: ScoreRequest) -> None:
        """Have the inner scorer begin what is not known."""
        if not (request.hidden or self.inner.fingerprint != self._of[0]):
            missing = [row for row, key in enumerate(row_keys(request)) if key not in self._rows]
            request = request.rows(torch.tensor(missing, dtype=torch.int64))
        expect(self.inner, request)

    @property
    def _inner_scorers(self) -> list[Scorer]:
        return [self.inner]

    def _forget(self) -> None:
        self._rows.clear()
        self.num_bytes = 0

    def _remember(self, rows: dict[bytes, bytes]) -> None:
        """These rows become the most recently used; the oldest go until the rest fits."""
        for key, row in rows.items():
            if key not in self._rows:
                self.num_bytes += len(row) + _OVERHEAD_BYTES
            self._rows[key] = row
            self._rows.move_to_end(key)
        while self.num_bytes > self.max_bytes:
            _, oldest = self._rows.popitem(last=False)
            self.num_bytes -= len(oldest) + _OVERHEAD_BYTES


def row_keys(request: ScoreRequest) -> Iterator[bytes]:
    """16 bytes for each row, in order, that stand for the ids it reads and for all that is asked of it.

    Rows of different contexts that share their beginning up to the row's token have one key.
    """
    asked = repr((request.temperature, request.top_k, request.entropy)).encode()
    prefixes = _prefix_digests(request)
    for row, place in enumerate(zip(request.context.tolist(), request.position.tolist(), strict=True)):
        digest = prefixes[place].copy()
        digest.update(asked)
        if request.ids is not None:
            digest.update(request.ids[row].numpy().tobytes())
        yield digest.digest()


def _prefix_digests(request: ScoreRequest) -> dict[tuple[int, int], hashlib.blake2b]:
    """A digest of route and ids up to and with the token, for each (context, position) asked for; each id read once."""
    digests = {}
    places = sorted(set(zip(request.context.tolist(), request.position.tolist(), strict=True)))
    number, done, running = -1, 0, hashlib.blake2b(digest_size=16)
    for context, position in places:
        if context != number:
            number, done = context, 0
            route = request.routes[context] if request.routes else ""
            running = hashlib.blake2b(f"{len(route)}:{route}".encode(), digest_size=16)
        running.update(request.contexts[context][done : position + 1].numpy().tobytes())
        done = position + 1
        digests[context, position] = running.copy()
    return digests


def _packed(scores: Scores) -> list[bytes]:
    """The figures of each row: sampled, entropy, at_ids, top_logprobs (float32), top_ids (int64), those there are."""
    columns = [scores.sampled[:, None]]
    columns += [] if scores.entropy is None else [scores.entropy[:, None]]
    columns += [wide for wide in (scores.at_ids, scores.top_logprobs) if wide is not None]
    parts = [torch.cat(columns, dim=1).float(), *([] if scores.top_ids is None else [scores.top_ids])]
    content = torch.cat([part.contiguous().view(torch.uint8) for part in parts], dim=1)
    return [row.tobytes() for row in content.numpy()]


def _unpacked(rows: list[bytes], request: ScoreRequest, *, fingerprint: str, version: int) -> Scores:
    content = torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).view(len(rows), -1)
    k = 0 if request.ids is None else request.ids.shape[1]
    widths = [1, int(request.entropy), k, request.top_k]
    # Copies of their own, because figures and ids must begin where numbers of their size may.
    parts = [part.clone(memory_format=torch.contiguous_format) for part in content.tensor_split([4 * sum(widths)], 1)]
    sampled, entropy, at_ids, top_logprobs = parts[0].view(torch.float32).split(widths, dim=1)
    return Scores(
        sampled=sampled.squeeze(1),
        fingerprint=fingerprint,
        version=version,
        at_ids=at_ids if request.ids is not None else None,
        top_ids=parts[1].view(torch.int64) if request.top_k else None,
        top_logprobs=top_logprobs if request.top_k else None,
        entropy=entropy.squeeze(1) if request.entropy else None,
    )
