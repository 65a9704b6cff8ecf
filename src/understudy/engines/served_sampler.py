"""Rollouts of a student that is served somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import replace
from pathlib import Path

import torch

from understudy.errors import RecipeError, ServerAnswerError
from understudy.models.sampling_distribution import check_params
from understudy.models.sampling_room import room_for
from understudy.protocols import Sample, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason
from understudy.servers.background import background
from understudy.servers.cargo import Cargo
from understudy.servers.delivery import Delivery
from understudy.servers.drawing import Draw, Drawn, Key, check_behaviour, sglang_call, vllm_call
from understudy.servers.http import Call
from understudy.servers.identity import Identity, identify
from understudy.servers.pool import ServerPool
from understudy.servers.pushing import Pusher
from understudy.servers.settings import ServerSettings
from understudy.servers.weights import Shipment, shipment_of


class ServedSampler:
    """Implements ``Sampler`` with a server of vLLM's or SGLang's form; every address gets every set of weights.

    ``understudy serve`` draws by the run's own key, as ``LocalSampler`` does. Another server gets a seed made of
    (seed, step, key, start index) for its own generator: the same request gives the same completion as far as that
    server repeats itself, and another one than ``LocalSampler``.

    Args:
        pool: the server's addresses. identity: what answers there. max_length: longest context in tokens.
        version: what the present weights are called. vocab_size: true size of the student's; None leaves the tokens
            that are drawn unchecked.
    """

    def __init__(
        self,
        pool: ServerPool,
        identity: Identity,
        *,
        max_length: int,
        version: int = 0,
        vocab_size: int | None = None,
    ) -> None:
        self.pool, self.identity, self.max_length, self.version = pool, identity, max_length, version
        self.vocab_size = vocab_size
        self._delivery = Delivery(pool, is_sglang=identity.kind == "sglang")
        self._labels: dict[str, int] = {}

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
        """One sample a request, in order; aborted completions are drawn again.

        Raises:
            ContextLengthError: a prompt leaves no room. RecipeError: a parameter is out of range, or the server's
            log-probs would not be those of the distribution that samples. ServerError: it failed for good.
            ServerAnswerError: it drew a token that the student has not.
        """
        check_params(params)
        check_behaviour(self.identity, params, url=self.pool.settings.urls[0])
        draws = [self._draw(request, params, seed=seed, step=step) for request in requests]
        futures: dict[Future[Drawn], int] = {}
        samples: dict[int, Sample] = {}
        try:
            for place, draw in enumerate(draws):
                futures[background().submit(self.pool.ask(self._call(draw, params)))] = place
            for future in as_completed(futures):
                place = futures[future]
                samples[place] = self._sample(future.result())
                if ended is not None:
                    ended(place, samples[place])
                if progress is not None:
                    progress(1)
        finally:
            for future in futures:
                future.cancel()
        return [samples[place] for place in range(len(requests))]

    def load_weights(self, source: Path | None, version: int) -> None:
        """Give every address the weights at ``source`` (an adapter in PEFT's layout, or a whole model), as ``version``.

        None says that the server has them already. An adapter gets a name of its own, the one before it is unloaded.
        An address that does not answer is given them before it is asked anything again.

        Raises:
            ModelError: the folder holds neither. ServerError: an address did not take them, or none answers.
        """
        if source is not None:
            self._deliver(shipment_of(source, version))
        self.version = version

    def push_with(self, pusher: Pusher | None) -> None:
        """Give weights by process groups from now on; None where another rank does, for this one as well."""
        self._delivery.pusher, self._delivery.gives = pusher, pusher is not None

    def look_after_servers(self) -> None:
        """Look after addresses also while nothing is asked of them: other ranks wait for what this one gives."""
        self._delivery.watch()

    def push_weights(self, cargo: Cargo, version: int) -> None:
        """Give every address these weights, as ``version``, through the groups of ``push_with``.

        Raises:
            ServerError: an address refuses them, or none answers.
        """
        self._deliver(_pushed(cargo, version))
        self.version = version

    def expect(self, label: str, version: int) -> None:
        """Sample with weights that another rank pushes to every address under that label."""
        self._adopt(_pushed(Cargo({}, label), version))

    def adopt(self, source: Path, version: int) -> None:
        """Sample with weights that another rank gives to every address; an address that was lost gets them from here.

        Raises:
            ModelError: the folder holds none.
        """
        self._adopt(shipment_of(source, version))

    def _deliver(self, shipment: Shipment) -> None:
        self._labels[shipment.label] = shipment.version
        self._delivery.deliver(shipment)

    def _adopt(self, shipment: Shipment) -> None:
        self._labels[shipment.label] = self.version = shipment.version
        self._delivery.present = shipment

    def _draw(self, request: SampleRequest, params: SamplingParams, *, seed: int, step: int) -> Draw:
        present = self._delivery.present
        return Draw(
            prompt=request.prompt_ids.tolist(),
            max_tokens=room_for(request, params, max_length=self.max_length),
            key=Key(seed, step, request.key, request.start_index),
            label="" if present is None else present.label,
            labels=frozenset() if present is None or present.is_adapter else frozenset(self._labels),
        )

    def _call(self, draw: Draw, params: SamplingParams) -> Call[Drawn]:
        if self.identity.kind == "sglang":
            return sglang_call(draw, params, adapter=self._adapter)
        keyed = "keyed_draw" in self.identity.extensions
        model = self._adapter or self.identity.model
        return vllm_call(draw, params, model=model, salt=f"w{self.version}", keyed=keyed)

    @property
    def _adapter(self) -> str | None:
        present = self._delivery.present
        return present.label if present is not None and present.is_adapter else None

    def _sample(self, drawn: Drawn) -> Sample:
        if self.vocab_size is not None and max(drawn.ids) >= self.vocab_size:
            raise ServerAnswerError(
                f"the servers at {', '.join(self.pool.settings.urls)} drew a token that the student has not",
                got=max(drawn.ids),
                expected=f"ids below {self.vocab_size}",
                remedy="A padded row of its embedding, or another model: serve a copy whose embedding has as many rows "
                "as the tokenizer has tokens, or sample with `understudy serve`",
            )
        return Sample(
            completion_ids=torch.tensor(drawn.ids, dtype=torch.int64),
            logprobs=torch.from_numpy(drawn.logprobs),
            weight_version=torch.tensor(self._versions(drawn), dtype=torch.int64),
            finish_reason=FinishReason.STOP if drawn.finish_reason == "stop" else FinishReason.LENGTH,
        )

    def _versions(self, drawn: Drawn) -> list[int]:
        """The version of each token: the server's word for weights that were given to it under that number."""
        told = drawn.versions
        if self._delivery.present is None or self._adapter is not None or told is None:
            return [self.version] * len(drawn.ids)
        return [self._labels[label] for label in told]


def _pushed(cargo: Cargo, version: int) -> Shipment:
    return Shipment(cargo, version, cargo.label, is_adapter=False)


def connect_sampler(
    settings: ServerSettings, *, max_length: int, version: int = 0, vocab_size: int | None = None
) -> ServedSampler:
    """A sampler on these addresses, asked what they are.

    Args:
        max_length: of the student's context; the smaller of the two counts. vocab_size: of the student.
    Raises:
        UnderstudyError: nobody answers, or another model; RecipeError: a server that only completes text.
    """
    pool = ServerPool(settings)
    identity = background().run(identify(ServerPool(replace(settings, deadline_seconds=settings.start_seconds))))
    if identity.kind == "completions":
        raise RecipeError(
            f"{settings.urls[0]}: this kind of server cannot sample for a student",
            got=identity.kind,
            expected="vLLM, SGLang or understudy serve",
        )
    length = min(max_length, identity.max_length or max_length)
    return ServedSampler(pool, identity, max_length=length, version=version, vocab_size=vocab_size)
