"""A student on the service and the same student of the local engine, with the same start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from tests.tinker_service.running import KEY, Running, tinker_service
from tests.tinker_service.student import Student
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.engines.local.weights import NamedTensors, copy_of
from understudy.engines.tinker import TinkerLora, TinkerPolicy, TinkerService, TinkerSettings
from understudy.models.adapters import LoraConfig
from understudy.models.load import LoadedModel, describe

RANK = 4


def tiny(seed: int = 0, **options: object) -> LoadedModel:
    return describe(tiny_model(seed=seed, **options), tiny_tokenizer())


@contextmanager
def session(*, texts_a_request: int = 1024, **models: LoadedModel) -> Iterator[tuple[TinkerService, Running]]:
    """A service with these models, and a client of it."""
    with tinker_service(models, texts_a_request=texts_a_request) as running:
        service = TinkerService(TinkerSettings(KEY, running.url, start_seconds=5.0, timeout_seconds=60.0))
        yield service, running
        service.close()


def policy_on(service: TinkerService, loaded: LoadedModel, **options: object) -> TinkerPolicy:
    """``options``: of the optimiser, or of the policy."""
    fields = {name: options.pop(name) for name in list(options) if name in OptimizerConfig.__dataclass_fields__}
    given = {"base_model": "tiny", "lora": TinkerLora(RANK), "total_updates": 10, **options}
    return TinkerPolicy(loaded, service, optimizer=OptimizerConfig(**fields), **given)


def local_policy(loaded: LoadedModel, **options: object) -> LocalPolicy:
    lora = LoraConfig(rank=RANK, alpha=2.0 * RANK)
    return LocalPolicy(loaded, optimizer=OptimizerConfig(**options), total_updates=10, lora=lora)


@dataclass
class Pair:
    """Two students that ought to be one.

    Args:
        here: of the local engine. there: on the service. running: the service.
    """

    here: LocalPolicy
    there: TinkerPolicy
    running: Running

    @property
    def student(self) -> Student:
        """What the service trains."""
        return self.running.desk.students[self.there.training.model_id]

    def begin(self, weights: NamedTensors) -> None:
        """Both take these adapters and forget their averages."""
        for parameters, optimizer in (
            (self.student.parameters, self.student.optimizer),
            (self.here._parameters, self.here._optimizer),
        ):
            optimizer.state.clear()
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(weights[name])

    def weights(self) -> tuple[NamedTensors, NamedTensors]:
        return copy_of(self.here._parameters), copy_of(self.student.parameters)


def random_adapters(policy: LocalPolicy, *, seed: int = 0) -> NamedTensors:
    """Adapters that do something: a fresh one leaves the base model's answers as they are."""
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.3 * torch.randn(p.shape, generator=generator) for name, p in policy._parameters.items()}


def largest_difference(one: NamedTensors, other: NamedTensors) -> float:
    assert set(one) == set(other)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def cut(loaded: LoadedModel, *, vocab_size: int) -> LoadedModel:
    return replace(loaded, vocab_size=vocab_size)


def dense_rows(policy: LocalPolicy, contexts: list[Tensor], context: Tensor, position: Tensor) -> Tensor:
    """[N, V] log-probs of each row under the live weights."""
    with torch.no_grad():
        outputs = [policy.model(input_ids=ids[None]).logits[0].log_softmax(1) for ids in contexts]
    return torch.stack([outputs[c][p - 1] for c, p in zip(context.tolist(), position.tolist(), strict=True)])
