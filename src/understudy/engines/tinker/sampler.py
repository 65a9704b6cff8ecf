"""Rollouts drawn by the Tinker service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from understudy.engines.tinker.service import TinkerService
from understudy.errors import ModelError, ServerAnswerError
from understudy.models.sampling_distribution import check_params
from understudy.models.sampling_room import room_for
from understudy.protocols import Sample, SampleRequest, SamplingParams
from understudy.randomness import bits
from understudy.rollouts import FinishReason

if TYPE_CHECKING:
    import tinker

MakeClient = Callable[[], "tinker.SamplingClient"]


class TinkerSampler:
    """Implements ``Sampler``.

    A draw is keyed by a seed of (seed, step, key, start index) for the service's own generator: the same request gives
    the same completion as far as the service repeats itself, and another one than ``LocalSampler``.

    Args:
        service: where it is. client: gives the SDK's sampling client of the weights to draw from; asked again when new
            weights are announced. max_length: longest context in tokens. version: what the weights are called.
    """

    def __init__(self, service: TinkerService, client: MakeClient, *, max_length: int, version: int = 0) -> None:
        self.service, self.max_length, self.version = service, max_length, version
        self._client = client

    def sample(
        self,
        requests: Sequence[SampleRequest],
        params: SamplingParams,
        *,
        seed: int,
        step: int,
        progress: Callable[[int], None] | None = None,
        ended: Callable[[int, Sample], None] | None = None,
    ) -> list[Sample]:
        """One sample a request, in order.

        Raises:
            ContextLengthError: a prompt leaves no room. RecipeError: a parameter is out of range. ServerError: the
            service failed for good.
        """
        check_params(params)
        limits = [room_for(request, params, max_length=self.max_length) for request in requests]
        if not requests:
            return []
        client, promised = self._client(), {}
        for place, (request, limit) in enumerate(zip(requests, limits, strict=True)):
            future = _asked(client, request, params, limit=limit, seed=_seed_of(request, seed=seed, step=step))
            promised[future.future()] = place
        samples: dict[int, Sample] = {}
        try:
            for done in as_completed(promised, timeout=self.service.settings.timeout_seconds):
                place = promised[done]
                samples[place] = self._sample(self.service.result(done, "a completion"))
                if ended is not None:
                    ended(place, samples[place])
                if progress is not None:
                    progress(1)
        except TimeoutError as error:
            raise self.service.late("completions") from error
        finally:
            for future in promised:
                future.cancel()
        return [samples[place] for place in range(len(requests))]

    def load_weights(self, source: Path | None, version: int) -> None:
        """Draw from the weights that the service has now, called ``version``.

        Raises:
            ModelError: weights of a folder; the service has its own.
        """
        if source is not None:
            raise ModelError("the Tinker service takes no weights from a folder", got=source)
        self.version = version

    def _sample(self, response: tinker.SampleResponse) -> Sample:
        drawn = response.sequences[0]
        if drawn.tokens_np is None or drawn.logprobs_np is None or len(drawn.tokens_np) != len(drawn.logprobs_np):
            raise ServerAnswerError("the Tinker service returned a completion without a log-prob for each token")
        ids = torch.from_numpy(drawn.tokens_np).long()
        return Sample(
            completion_ids=ids,
            logprobs=torch.from_numpy(drawn.logprobs_np),
            weight_version=torch.full_like(ids, self.version),
            finish_reason=FinishReason.STOP if drawn.stop_reason == "stop" else FinishReason.LENGTH,
        )


def _asked(
    client: tinker.SamplingClient, request: SampleRequest, params: SamplingParams, *, limit: int, seed: int
) -> Any:
    import tinker

    return client.sample(
        prompt=tinker.ModelInput.from_ints(request.prompt_ids.tolist()),
        num_samples=1,
        sampling_params=tinker.SamplingParams(
            max_tokens=limit,
            seed=seed,
            stop=sorted(params.stop_ids),
            temperature=params.temperature,
            top_p=params.top_p,
            top_k=params.top_k or -1,
        ),
    )


def _seed_of(request: SampleRequest, *, seed: int, step: int) -> int:
    word = bits(seed=seed, step=step, purpose="tinker sample", rollout=request.key, index=request.start_index)
    return int(word) >> 33
