"""A model behind a server as a scorer: a teacher or a reference that runs somewhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from understudy.errors import CapabilityError, ShapeError
from understudy.models.head import default_chunk_rows
from understudy.models.head_scores import RowScores, score_rows
from understudy.protocols import Capabilities, ScoreRequest, Scores
from understudy.servers.asking import Asker
from understudy.servers.background import background
from understudy.servers.pool import ServerPool
from understudy.servers.probing import Server, probe
from understudy.servers.settings import ServerSettings
from understudy.teachers.limits import refuse_beyond
from understudy.teachers.served_head import fetched_head
from understudy.teachers.served_rows import Columns, parts_of


class ServedScorer:
    """Implements ``Scorer``: each context is sent on its own, all at one time, only as far as its last row.

    Args:
        pool: the server's addresses. server: what was found there. vocab_size: that student and teacher share.
        device: where hidden states and head go.
    """

    def __init__(
        self, pool: ServerPool, server: Server, *, vocab_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.pool, self.server, self.vocab_size = pool, server, vocab_size
        self._device = torch.device(device)
        self._asker = Asker(pool, server.form)
        self._head: Callable[[Tensor], Tensor] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the probe found, within the shared vocabulary."""
        can = self.server.capabilities
        return replace(
            can,
            top_k=min(can.top_k, self.vocab_size),
            at_ids=min(can.at_ids, self.vocab_size),
            vocab_size=self.vocab_size,
        )

    @property
    def fingerprint(self) -> str:
        """What the server says of its weights and tokenizer; of the model's name where it says nothing."""
        return self.server.identity.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order.

        Raises:
            CapabilityError: more than ``capabilities``, or a temperature that the server does not score at.
            ServerError: it is down for too long, or answers with what cannot be used.
        """
        self.check(request)
        return self._projected(request) if self._is_cut else self._asked(request)

    def _asked(self, request: ScoreRequest) -> Scores:
        """The server's own figures."""
        parts = list(parts_of(request))
        answers = self._asker.rows([part.ask for part in parts])
        hidden_size = self.server.identity.hidden_size or 0
        columns = Columns(request, hidden_size=hidden_size)
        for part, rows in zip(parts, answers, strict=True):
            columns.put(part, rows)
        columns.keep_shared(self.vocab_size)
        return Scores(
            sampled=columns.narrow(),
            fingerprint=self.fingerprint,
            version=0,
            at_ids=columns.wide("at_ids"),
            top_ids=columns.wide("top_ids"),
            top_logprobs=columns.wide("top_logprobs"),
            entropy=columns.entropy(),
            hidden=columns.hidden(self._device) if request.hidden else None,
            project=self._project() if request.hidden else None,
        )

    @property
    def _is_cut(self) -> bool:
        """Whether the server's softmax is over more tokens than are shared, and its states can mend that."""
        size = self.server.identity.vocab_size
        return size is not None and size > self.vocab_size and self.server.capabilities.hidden

    def _projected(self, request: ScoreRequest) -> Scores:
        """Figures over the shared vocabulary alone, from the server's states."""
        found = self._asked(_states_of(request))
        assert found.hidden is not None and found.project is not None
        tokens = [
            request.contexts[c][p] for c, p in zip(request.context.tolist(), request.position.tolist(), strict=True)
        ]
        rows = score_rows(
            found.hidden,
            found.project,
            token_id=torch.tensor(tokens, dtype=torch.int64, device=self._device),
            ids=None if request.ids is None else request.ids.to(self._device),
            top_k=request.top_k,
            entropy=request.entropy,
            temperature=request.temperature,
            chunk_rows=default_chunk_rows(self.vocab_size),
        )
        columns = {
            field.name: value.cpu() for field in fields(RowScores) if (value := getattr(rows, field.name)) is not None
        }
        return replace(found if request.hidden else replace(found, hidden=None, project=None), **columns)

    def sharing(self, vocab_size: int) -> ServedScorer:
        """The same server on a vocabulary that others share as well, at most its own."""
        return ServedScorer(self.pool, self.server, vocab_size=min(vocab_size, self.vocab_size), device=self._device)

    def expect(self, request: ScoreRequest) -> None:
        """Begin to score what will be asked for soon: ``score`` picks up what is equal to it, context by context."""
        self.check(request)
        sent = _states_of(request) if self._is_cut else request
        self._asker.expect([part.ask for part in parts_of(sent)])

    @property
    def is_eager(self) -> bool:
        """Always: the server works while the student samples."""
        return True

    def forget(self) -> None:
        """Give up what was expected and not picked up."""
        self._asker.forget()

    def check(self, request: ScoreRequest) -> None:
        """Refuse what the server cannot give; raises CapabilityError or ShapeError."""
        refuse_beyond(request, self.capabilities, who=f"the server {self.pool.settings.urls[0]}")
        self.check_temperature(request.temperature)
        if request.context.shape != request.position.shape or request.context.ndim != 1:
            raise ShapeError("rows to score", got=(request.context.shape, request.position.shape), expected="[R] twice")

    def check_temperature(self, temperature: float) -> None:
        """Raise CapabilityError where the server scores at temperature 1 only, and this is another."""
        if temperature != 1 and not self.server.tempers:
            raise CapabilityError(
                f"the server {self.pool.settings.urls[0]} scores at temperature 1 only",
                got=temperature,
                remedy="Set rollout.temperature: 1, or serve the teacher with understudy serve.",
            )

    def _project(self) -> Callable[[Tensor], Tensor]:
        if self._head is None:
            self._head = fetched_head(self.pool, self.server, vocab_size=self.vocab_size, device=self._device)
        return self._head


def connect(settings: ServerSettings, *, vocab_size: int, device: torch.device | str = "cpu") -> ServedScorer:
    """The scorer behind these addresses, probed.

    Args:
        vocab_size: of the student; the smaller one of the two is shared.
    Raises:
        UnderstudyError: see ``servers.probing.probe``.
    """
    pool, server = background().run(probe(settings, vocab_size=vocab_size))
    shared = min(vocab_size, server.identity.vocab_size or vocab_size)
    return ServedScorer(pool, server, vocab_size=shared, device=device)


def _states_of(request: ScoreRequest) -> ScoreRequest:
    """The same rows, asked for their states alone."""
    return replace(request, ids=None, top_k=0, entropy=False, hidden=True, temperature=1.0)
