"""A frozen model in this process as a scorer: a teacher, a reference, or the policy under some of its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from understudy.engines.local.out_of_memory import Allowance, Budget, Extent, Notice
from understudy.errors import CapabilityError, ShapeError
from understudy.models.architectures import why_not_packed
from understudy.models.forward import MicroBatch, causal_lm, hidden_rows, plan_forward
from understudy.models.head import Head, check_head, default_chunk_rows, token_ids_fit
from understudy.models.head_scores import RowScores, score_rows
from understudy.models.load import LoadedModel
from understudy.protocols import Capabilities, ScoreRequest, Scores

DEFAULT_TOKEN_BUDGET = 8192

Scored = tuple[RowScores, Tensor]
"""Scores of a pass, and the [M, H] hidden states they were made of."""

Through = Callable[[Sequence[MicroBatch], Callable[[MicroBatch], Scored]], Iterable[tuple[MicroBatch, Scored]]]
"""Takes passes one after the other through a model: an engine may gather weights around each."""


def capabilities_of(vocab_size: int) -> Capabilities:
    """What a model in memory can give: everything, up to its vocabulary."""
    return Capabilities(
        sampled=True,
        top_k=vocab_size,
        at_ids=vocab_size,
        entropy=True,
        hidden=True,
        text=True,
        vocab_size=vocab_size,
    )


class LocalScorer:
    """Implements ``Scorer`` with a frozen model.

    Args:
        loaded: its weights stay as they are, in their own precision; log-probs are float32 all the same.
        token_budget: padded tokens a forward pass, at most. chunk_rows: rows of logits at a time. Where memory runs
            out both become smaller, and the same scoring is done again.
        version: reported with the scores. notice: told when memory ran out and what helped.
    Raises:
        ModelError: the architecture's logits are not known here (see ``check_head``).
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        chunk_rows: int | None = None,
        version: int = 0,
        notice: Notice | None = None,
    ) -> None:
        check_head(loaded.model, vocab_size=loaded.vocab_size)
        self.why_not_packed = why_not_packed(loaded.model)
        self.loaded = loaded
        self.version = version
        self._model = loaded.model.eval()
        self.head = Head(loaded.model, vocab_size=loaded.vocab_size)
        budget = Budget(token_budget, chunk_rows or default_chunk_rows(loaded.vocab_size))
        self._allowance = Allowance(budget, work=f"scoring with {loaded.name or 'the teacher'}", notice=notice)

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return capabilities_of(self.loaded.vocab_size)

    @property
    def fingerprint(self) -> str:
        """Of the loaded model, its precision included."""
        return self.loaded.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order."""
        scores = score_within(self._allowance, self._model, self.head, request)
        return replace(scores, fingerprint=self.fingerprint, version=self.version)


def score_within(
    allowance: Allowance,
    model: nn.Module,
    head: Head,
    request: ScoreRequest,
    *,
    autocast: bool = False,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Scores:
    """``score_with`` in passes that fit into memory.

    Raises:
        MemoryExhaustedError: one context alone does not fit.
    """

    def passes(token_budget: int) -> list[MicroBatch]:
        return _passes(model, request, token_budget=token_budget)

    def attempt(budget: Budget) -> Scores:
        return score_with(
            model,
            head,
            request,
            token_budget=budget.tokens,
            chunk_rows=budget.rows,
            autocast=autocast,
            project=project,
        )

    return allowance.run(attempt, lambda budget: Extent.of(passes(budget.tokens), alone=passes(1)))


def score_with(
    model: nn.Module,
    head: Head,
    request: ScoreRequest,
    *,
    token_budget: int,
    chunk_rows: int,
    autocast: bool = False,
    project: Callable[[Tensor], Tensor] | None = None,
    through: Through | None = None,
    device: torch.device | None = None,
) -> Scores:
    """Scores of a request under a model's present weights; fingerprint and version are left blank.

    Args:
        autocast: run the backbone in bfloat16. project: given out with hidden states; the head itself by default.
        through: how passes go through the model. device: where they do; None: where its weights are.
    Raises:
        CapabilityError: more top ids than the vocabulary has, or a temperature that is not above 0.
        ShapeError: ids outside the vocabulary, or a row outside its context.
    """
    _check(request, head.vocab_size)
    passes = _passes(model, request, token_budget=token_budget)
    token_id = _tokens(request, head.vocab_size)
    device = device or next(model.parameters()).device

    def one(batch: MicroBatch) -> Scored:
        hidden = hidden_rows(model, batch.to(device), autocast=autocast)
        scores = score_rows(
            hidden,
            head,
            token_id=token_id[batch.rows].to(device),
            ids=None if request.ids is None else request.ids[batch.rows].to(device),
            top_k=request.top_k,
            entropy=request.entropy,
            temperature=request.temperature,
            chunk_rows=chunk_rows,
        )
        return scores, hidden

    outputs = _Outputs(request)
    with torch.no_grad():
        for batch, (scores, hidden) in (through or _in_turn)(passes, one):
            outputs.take(batch, scores, hidden)
    return outputs.scores(_width(model), device, project or head.constant)


def _passes(model: nn.Module, request: ScoreRequest, *, token_budget: int) -> list[MicroBatch]:
    return plan_forward(request.contexts, request.context, request.position, token_budget=token_budget, model=model)


def _in_turn(passes: Sequence[MicroBatch], one: Callable[[MicroBatch], Scored]) -> Iterable[tuple[MicroBatch, Scored]]:
    return ((batch, one(batch)) for batch in passes)


def _check(request: ScoreRequest, vocab_size: int) -> None:
    if request.top_k > vocab_size:
        raise CapabilityError(
            "more top ids were asked for than the vocabulary has", got=request.top_k, expected=f"at most {vocab_size}"
        )
    if not request.temperature > 0:
        raise CapabilityError("no softmax has this temperature", got=request.temperature, expected="above 0")
    if request.context.shape != request.position.shape or request.context.ndim != 1:
        raise ShapeError("rows to score", got=(request.context.shape, request.position.shape), expected="[R] twice")
    if request.ids is not None and request.ids.shape[0] != request.context.numel():
        raise ShapeError("ids to score", got=tuple(request.ids.shape), expected=f"[{request.context.numel()}, K]")


def _tokens(request: ScoreRequest, vocab_size: int) -> Tensor:
    """[R] the token that stands at each row, which lies in its context."""
    starts = torch.tensor([0, *(ids.numel() for ids in request.contexts)]).cumsum(0)
    flat = torch.cat([torch.zeros(0, dtype=torch.int64), *(ids.cpu() for ids in request.contexts)])
    token_id = flat[starts[request.context.cpu()] + request.position.cpu()]
    for ids in (token_id, request.ids):
        if ids is not None and not token_ids_fit(ids, vocab_size):
            raise ShapeError(
                "token ids outside the shared vocabulary",
                got=f"{int(ids.min())}..{int(ids.max())}",
                expected=f"0..{vocab_size - 1}",
            )
    return token_id


def _width(model: nn.Module) -> int:
    return int(causal_lm(model).config.get_text_config().hidden_size)


class _Outputs:
    """Collects the scores of micro-batches into the order of the request."""

    def __init__(self, request: ScoreRequest) -> None:
        self._request = request
        self._rows: list[Tensor] = []
        self._scores: list[RowScores] = []
        self._hidden: list[Tensor] = []

    def take(self, batch: MicroBatch, scores: RowScores, hidden: Tensor) -> None:
        """Add a micro-batch's rows."""
        self._rows.append(batch.rows)
        self._scores.append(scores)
        if self._request.hidden:
            self._hidden.append(hidden)

    def scores(self, width: int, device: torch.device, project: Callable[[Tensor], Tensor]) -> Scores:
        """All rows, in the request's order, on the CPU; hidden states stay on the device."""
        request = self._request
        order = torch.cat([torch.zeros(0, dtype=torch.int64), *self._rows]).argsort()
        count = request.ids.shape[1] if request.ids is not None else 0

        def joined(name: str, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float32) -> Tensor:
            parts = [getattr(scores, name).cpu() for scores in self._scores]
            return torch.cat([torch.zeros(0, *shape, dtype=dtype), *parts])[order]

        return Scores(
            sampled=joined("sampled", ()),
            fingerprint="",
            version=0,
            at_ids=None if request.ids is None else joined("at_ids", (count,)),
            top_ids=joined("top_ids", (request.top_k,), dtype=torch.int64) if request.top_k else None,
            top_logprobs=joined("top_logprobs", (request.top_k,)) if request.top_k else None,
            entropy=joined("entropy", ()) if request.entropy else None,
            hidden=self._joined_hidden(order, width, device) if request.hidden else None,
            project=project if request.hidden else None,
        )

    def _joined_hidden(self, order: Tensor, width: int, device: torch.device) -> Tensor:
        if not self._hidden:
            return torch.zeros(0, width, device=device)
        return torch.cat(self._hidden)[order.to(device)]
