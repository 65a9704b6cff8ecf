"""A model on the Tinker service as a scorer: a teacher, a reference, or the student's start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from understudy.engines.tinker.service import TinkerService
from understudy.errors import CapabilityError, ServerAnswerError, ShapeError
from understudy.models.head import token_ids_fit
from understudy.protocols import Capabilities, ScoreRequest, Scores

if TYPE_CHECKING:
    import tinker


def capabilities_of(vocab_size: int, *, max_ids: int) -> Capabilities:
    """What the service can give: chosen ids and the top ones, no entropy and no hidden states.

    Args:
        max_ids: log-probs a token that the service is asked for at most.
    """
    most = min(max_ids, vocab_size)
    return Capabilities(top_k=most, at_ids=most, text=True, vocab_size=vocab_size)


def check_request(request: ScoreRequest, capabilities: Capabilities, *, name: str) -> None:
    """Refuse what the service cannot give.

    Raises:
        CapabilityError: entropies, hidden states, another temperature, or too many ids. ShapeError: ids beyond the
        vocabulary.
    """
    count = 0 if request.ids is None else request.ids.shape[1]
    wrong = [
        (request.entropy, "exact entropies", "none"),
        (request.hidden, "hidden states", "none"),
        (request.temperature != 1.0, f"log-probs at temperature {request.temperature:g}", "temperature 1"),
        (request.top_k > capabilities.top_k, f"the top {request.top_k} tokens", f"at most {capabilities.top_k}"),
        (count > capabilities.at_ids, f"{count} chosen ids a token", f"at most {capabilities.at_ids}"),
    ]
    for is_wrong, got, expected in wrong:
        if is_wrong:
            raise CapabilityError(f"the Tinker service cannot give this of {name}", got=got, expected=expected)
    size = capabilities.vocab_size
    if request.ids is not None and size is not None and not token_ids_fit(request.ids, size):
        raise ShapeError("ids to score outside the vocabulary", got=int(request.ids.max()), expected=f"0..{size - 1}")


@dataclass(frozen=True, eq=False)
class TinkerScorer:
    """Implements ``Scorer`` with one request a context, all at once; the service reads each text once.

    Args:
        service: where it is. client: gives the SDK's sampling client of the weights that score.
        name: of the model, in messages. vocab_size: ids that may be asked for. max_ids: log-probs a token, at most.
        fingerprint: of the weights. version: theirs.
    """

    service: TinkerService
    client: Callable[[], tinker.SamplingClient]
    name: str
    vocab_size: int
    fingerprint: str
    max_ids: int = 256
    version: int = 0

    @property
    def capabilities(self) -> Capabilities:
        """Tokens, the top ids and chosen ids; see ``capabilities_of``."""
        return capabilities_of(self.vocab_size, max_ids=self.max_ids)

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order.

        Raises:
            CapabilityError: more was asked for than the service gives. ServerError: it failed for good.
        """
        check_request(request, self.capabilities, name=self.name)
        asked = [self._asked(request, number) for number in request.context.unique().tolist()]
        columns = _Columns(request)
        for rows, future in asked:
            columns.take(rows, self.service.result(future, f"scores of {self.name}"))
        return columns.scores(self.fingerprint, self.version)

    def _asked(self, request: ScoreRequest, number: int) -> tuple[Tensor, Any]:
        """The rows of a context, and the service's promise for them."""
        import tinker

        rows = (request.context == number).nonzero().squeeze(1)
        position = request.position[rows]
        length = int(position.max()) + 1
        targets = None if request.ids is None else _targets(position, request.ids[rows], length)
        future = self.client().sample(
            prompt=tinker.ModelInput.from_ints(request.contexts[number][:length].tolist()),
            num_samples=1,
            # One token is drawn in any case and thrown away.
            sampling_params=tinker.SamplingParams(max_tokens=1, temperature=1.0, seed=0),
            include_prompt_logprobs=True,
            topk_prompt_logprobs=request.top_k,
            target_prompt_logprobs=targets,
            prompt_logprobs_last_n=length - int(position.min()),
        )
        return rows, future


def _targets(position: Tensor, ids: Tensor, length: int) -> tinker.types.TensorData | None:
    """[length - 1, K]: row i names what is scored at position i + 1; -1 names nothing."""
    import tinker

    if position.unique().numel() < position.numel():
        raise ShapeError("rows to score", got="one position twice with chosen ids", expected="each position once")
    if ids.numel() == 0:
        return None
    dense = torch.full((length - 1, ids.shape[1]), -1, dtype=torch.int64)
    dense[position - 1] = ids
    return tinker.types.TensorData.from_torch_sparse(dense, pad_value=-1)


class _Columns:
    """Collects the service's answers into the order of the request."""

    def __init__(self, request: ScoreRequest) -> None:
        count = request.context.numel()
        self._request = request
        self._sampled = torch.zeros(count)
        self._at_ids = None if request.ids is None else torch.zeros(request.ids.shape)
        self._top_ids = torch.zeros(count, request.top_k, dtype=torch.int64)
        self._top_logprobs = torch.zeros(count, request.top_k)

    def take(self, rows: Tensor, response: tinker.SampleResponse) -> None:
        """Add the answer for the rows of one context."""
        position = self._request.position[rows]
        if response.prompt_logprobs_np is None:
            raise ServerAnswerError("the Tinker service returned no log-probs of a prompt")
        self._sampled[rows] = _at(torch.from_numpy(response.prompt_logprobs_np), position)
        if self._at_ids is not None and self._at_ids.numel():
            if response.target_prompt_logprobs is None:
                raise ServerAnswerError("the Tinker service returned no log-probs of the ids that were named")
            self._at_ids[rows] = _at(response.target_prompt_logprobs.to_torch(), position - 1)
        if self._request.top_k:
            top = response.topk_prompt_logprobs_np
            if top is None or top.token_ids.shape[1] < self._request.top_k:
                raise ServerAnswerError(
                    "the Tinker service returned too few of the most likely tokens",
                    got=None if top is None else top.token_ids.shape[1],
                    expected=self._request.top_k,
                )
            width = self._request.top_k
            self._top_ids[rows] = _at(torch.from_numpy(top.token_ids).long(), position)[:, :width]
            self._top_logprobs[rows] = _at(torch.from_numpy(top.logprobs), position)[:, :width]

    def scores(self, fingerprint: str, version: int) -> Scores:
        """All rows."""
        has_top = self._request.top_k > 0
        return Scores(
            sampled=self._sampled,
            fingerprint=fingerprint,
            version=version,
            at_ids=self._at_ids,
            top_ids=self._top_ids if has_top else None,
            top_logprobs=self._top_logprobs if has_top else None,
        )


def _at(values: Tensor, index: Tensor) -> Tensor:
    """Rows of what came back; raises ServerAnswerError where they are missing or no numbers."""
    if values.shape[0] <= int(index.max()):
        raise ServerAnswerError(
            "the Tinker service scored too few tokens", got=values.shape[0], expected=int(index.max()) + 1
        )
    found = values[index]
    if bool(found.isnan().any()):
        raise ServerAnswerError("the Tinker service returned something that is no log-prob", got="NaN")
    return found
