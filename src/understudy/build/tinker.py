"""From a recipe with ``engine.kind: tinker`` to the objects that learn, draw and score on the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn

from understudy.engines.local import OptimizerConfig
from understudy.engines.tinker import (
    TinkerLora,
    TinkerPolicy,
    TinkerSampler,
    TinkerScorer,
    TinkerService,
    TinkerSettings,
    key_from,
)
from understudy.engines.tinker.elsewhere import Elsewhere
from understudy.engines.tinker.methods import full_vocabulary_methods, why_refused
from understudy.errors import CapabilityError
from understudy.models.load import LoadedModel
from understudy.models.papers import load_papers
from understudy.objectives.objective import Objective
from understudy.recipe import Recipe, TinkerEngine
from understudy.recipe.engines import Engine


def is_there(engine: Engine, *, is_frozen: bool) -> bool:
    """Whether a model of the recipe is on the service: the student always, others as ``engine.teacher`` says."""
    return isinstance(engine, TinkerEngine) and (not is_frozen or engine.teacher == "tinker")


def papers_of(name: str, folder: str, *, trust_remote_code: bool, tokenizer: str | None) -> LoadedModel:
    """The words and limits of a model on the service, which has it under ``name``; its weights are not read."""
    papers = load_papers(folder, trust_remote_code=trust_remote_code, tokenizer=tokenizer)
    return replace(papers, name=name, fingerprint=f"tinker:{name}")


def service_of(engine: Engine) -> TinkerService:
    """The service of a recipe, one session for each address and key, until ``sessions_ended``.

    Raises:
        ServerKeyError: the environment holds no key. RecipeError: the SDK is not installed.
    """
    assert isinstance(engine, TinkerEngine)
    settings = TinkerSettings(
        key=key_from(engine.api_key_env),
        base_url=engine.base_url,
        start_seconds=engine.start_seconds,
        timeout_seconds=engine.timeout_seconds,
        telemetry=engine.telemetry,
    )
    if settings not in _sessions:
        _sessions[settings] = TinkerService(settings)
    return _sessions[settings]


_sessions: dict[TinkerSettings, TinkerService] = {}


@contextmanager
def sessions_ended() -> Iterator[None]:
    """After the block the service is told how it went; until it is, the SDK keeps a session alive from a thread."""
    status = "errored"
    try:
        yield
        status = "success"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        while _sessions:
            _sessions.popitem()[1].close(status)


def tinker_policy(
    recipe: Recipe, loaded: LoadedModel, objective: Objective, optimizer: OptimizerConfig
) -> TinkerPolicy:
    """The student on the service.

    Raises:
        CapabilityError: the service cannot do the method's step. ServerDownError, ServerKeyError: nobody answers, or
        not to this key.
    """
    engine = recipe.engine
    assert isinstance(engine, TinkerEngine) and recipe.student.lora is not None
    check_method(recipe, objective)
    service = service_of(engine)
    _ = service.client  # whether anybody is there is told before the first rollout
    return TinkerPolicy(
        loaded,
        service,
        base_model=recipe.student.model,
        lora=TinkerLora(
            recipe.student.lora.rank, attention=engine.train_attn, mlp=engine.train_mlp, head=engine.train_unembed
        ),
        optimizer=optimizer,
        total_updates=recipe.steps * objective.num_updates,
        seed=recipe.seed,
        max_ids=engine.max_logprobs,
        fetches=engine.fetch_adapter,
    )


def check_method(recipe: Recipe, objective: Objective) -> None:
    """Refuse, before step 0, a method whose step the service cannot do.

    Raises:
        CapabilityError: it compares whole vocabularies, or needs of the student what the service does not give.
    """
    reason = why_refused(objective)
    if reason:
        name = recipe.objective.method
        others = [one for one in full_vocabulary_methods() if one != name]
        also = f"So do, by default, {', '.join(others)}. " if "whole vocabularies" in reason else ""
        raise CapabilityError(
            f"method {name} cannot run on the Tinker service: it {reason}",
            remedy=f"{also}Use engine.kind local, or a method that `understudy methods --engine tinker` lists.",
        )


def voice_of(module: nn.Module) -> TinkerSampler | None:
    """The sampler of a student's module that is elsewhere; None for one of this process."""
    return module.sampler() if isinstance(module, Elsewhere) else None


def tinker_scorer(loaded: LoadedModel, engine: Engine) -> TinkerScorer:
    """A model on the service as a scorer."""
    assert isinstance(engine, TinkerEngine)
    service = service_of(engine)
    return TinkerScorer(
        service,
        lambda: service.sampling_client(loaded.name),
        name=loaded.name,
        vocab_size=loaded.vocab_size,
        fingerprint=loaded.fingerprint,
        max_ids=engine.max_logprobs,
    )


def tinker_sampler(loaded: LoadedModel, engine: Engine) -> TinkerSampler:
    """A model on the service that nobody trains, as a sampler."""
    service = service_of(engine)
    return TinkerSampler(service, lambda: service.sampling_client(loaded.name), max_length=loaded.max_length)
