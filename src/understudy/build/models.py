"""The models of a run: which device, which weights, which optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch

from understudy.build.aligned import is_aligned
from understudy.build.cluster import sharded_policy
from understudy.build.tinker import is_there, papers_of, tinker_policy, tinker_sampler, tinker_scorer, voice_of
from understudy.engines.cluster import Group
from understudy.engines.local import (
    LocalPolicy,
    LocalScorer,
    OptimizerConfig,
    VisitingSampler,
    VisitingScorer,
    visits_of,
)
from understudy.errors import RecipeError, TokenizerMismatchError
from understudy.evaluation.examination import Examinee
from understudy.models.adapters import LoraConfig
from understudy.models.allocation import keep_freed_memory
from understudy.models.load import LoadedModel, load_model
from understudy.models.sampling import LocalSampler
from understudy.models.tokenizers import share_vocabulary
from understudy.objectives.objective import Objective
from understudy.protocols import Sampler, Scorer
from understudy.recipe import ClusterEngine, Engine, Recipe, ServedModel, TinkerEngine
from understudy.testbed import is_testbed, resolve_model, resolve_models

Building = Callable[[str, int, int], None]
"""Told what is being made on first use, the steps taken and the steps in all."""


def set_process(engine: Engine) -> None:
    """Use the CPU threads that the recipe names, none leaves torch's choice; on a CPU, keep freed memory at hand."""
    if engine.threads is not None:
        torch.set_num_threads(engine.threads)
    if device_of(engine) == "cpu":
        keep_freed_memory()


def device_of(engine: Engine) -> str:
    """``cuda`` where the recipe asks for it, or leaves it open and there is one; else ``cpu``.

    Raises:
        RecipeError: ``cuda`` is asked for and there is none.
    """
    if engine.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("engine.device has no such device", got="cuda", remedy="Use device: auto or cpu.")
    if engine.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return engine.device


def model_named(
    name: str,
    engine: Engine,
    *,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    tokenizer: str | None = None,
    building: Building | None = None,
    is_frozen: bool = False,
) -> LoadedModel:
    """The model of that name: a folder, a hub id, or a testbed model, which is made on first use.

    Args:
        is_frozen: it never learns; with ``engine.offload: teacher`` its home is the CPU.
    """
    folder = str(resolve_model(name, building)) if is_testbed(name) else name
    if is_there(engine, is_frozen=is_frozen):
        return papers_of(name, folder, trust_remote_code=trust_remote_code, tokenizer=tokenizer)
    device = "cpu" if is_frozen and engine.offload == "teacher" else device_of(engine)
    return load_model(folder, dtype=dtype, device=device, trust_remote_code=trust_remote_code, tokenizer=tokenizer)


def sampler_of(model: torch.nn.Module, loaded: LoadedModel, engine: Engine, dtype: str = "float32") -> LocalSampler:
    """A sampler on the module; with dtype ``bfloat16`` a float32 student samples under autocast, as it trains."""
    voice = voice_of(model)
    if voice is not None:
        return cast(LocalSampler, voice)  # nothing that is built asks for more than ``Sampler`` has
    return LocalSampler(
        model,
        vocab_size=loaded.vocab_size,
        max_length=loaded.max_length,
        device=loaded.device,
        autocast_dtype=torch.bfloat16 if dtype == "bfloat16" else None,
        max_batch_rows=engine.sampler_batch_rows,
    )


def examinee_of(
    loaded: LoadedModel,
    sampler: Sampler,
    kwargs: Mapping[str, object] | None = None,
    *,
    scorer: Scorer | None = None,
) -> Examinee:
    """A local model as one who writes and can be examined; ``scorer`` has the same weights."""
    return Examinee(sampler, loaded.known_tokenizer, loaded.stop_ids, loaded.max_length, kwargs or {}, scorer=scorer)


def load_models(
    recipe: Recipe, *, with_teacher: bool, building: Building | None
) -> tuple[LoadedModel, dict[str, LoadedModel]]:
    """The student and its teachers by ``Recipe.teachers``, all cut to the vocabulary that they all share.

    Teachers that are aligned keep their own. A model that several teachers name is loaded once; the student as its own
    teacher is not loaded again.

    Raises:
        ModelError: one is no model. TokenizerMismatchError: one reads text in another way than the student.
    """
    section = recipe.student
    teachers = {name: one for name, one in recipe.teachers.items() if with_teacher and not one.is_self}
    names = dict.fromkeys([section.model, *(one.model for one in teachers.values())])
    resolve_models([name for name in names if is_testbed(name)], building)  # side by side where they are missing
    student = model_named(
        section.model,
        recipe.engine,
        trust_remote_code=section.trust_remote_code,
        tokenizer=section.tokenizer,
        building=building,
    )
    loaded: dict[object, LoadedModel] = {}
    for one in teachers.values():
        if one.weights_key not in loaded:
            loaded[one.weights_key] = model_named(
                one.model,
                recipe.engine,
                dtype=one.dtype,
                trust_remote_code=one.trust_remote_code,
                building=building,
                is_frozen=True,
            )
    models = {name: loaded[one.weights_key] for name, one in teachers.items()}
    apart = {name: model for name, model in models.items() if is_aligned(teachers[name], student, model)}
    student, alike = sharing_vocabulary(student, {name: one for name, one in models.items() if name not in apart})
    return student, {name: apart.get(name) or alike[name] for name in models}


def make_testbed(recipe: Recipe, building: Building | None) -> None:
    """Make the testbed models that the recipe names, where they are missing."""
    models = [recipe.student.model, *(one.model for one in recipe.teachers.values() if not one.is_self)]
    resolve_models([name for name in dict.fromkeys(models) if is_testbed(name)], building)


def sharing_vocabulary(
    student: LoadedModel, teachers: Mapping[str, LoadedModel]
) -> tuple[LoadedModel, dict[str, LoadedModel]]:
    """All models cut to the smallest vocabulary among them; raises TokenizerMismatchError, naming the teacher."""
    for name, teacher in teachers.items():
        try:
            student, _ = share_vocabulary(student, teacher)
        except TokenizerMismatchError as error:
            error.what = error.what.replace("teacher", f"{name} ({teacher.name})") if len(teachers) > 1 else error.what
            raise
    return student, {name: share_vocabulary(student, teacher)[1] for name, teacher in teachers.items()}


def optimizer_of(recipe: Recipe, num_updates: int) -> OptimizerConfig:
    """The recipe's optimiser in updates: a step of the recipe takes ``num_updates`` of them."""
    options = recipe.optimizer
    return OptimizerConfig(
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        warmup_steps=options.warmup_steps * num_updates,
        betas=options.betas,
        eps=options.eps,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm or 0.0,
        states=options.states,
    )


def policy_of(
    recipe: Recipe,
    loaded: LoadedModel,
    objective: Objective,
    *,
    notice: Callable[[str], None] | None = None,
    group: Group | None = None,
) -> LocalPolicy:
    """The student that learns, all of it or its adapters; schedules count optimiser updates.

    Args:
        notice: told when memory ran out in the middle of a step and what helped. group: the ranks of a cluster.
    """
    if isinstance(recipe.engine, TinkerEngine):
        remote = tinker_policy(recipe, loaded, objective, optimizer_of(recipe, objective.num_updates))
        return cast(LocalPolicy, remote)  # it has all that is asked of a student where a run is built
    section = recipe.student.lora
    lora = None
    if section is not None:
        targets = section.target_modules
        lora = LoraConfig(
            rank=section.rank,
            alpha=section.resolved_alpha,
            dropout=section.dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
        )
    options: dict[str, Any] = {
        "optimizer": optimizer_of(recipe, objective.num_updates),
        "total_updates": recipe.steps * objective.num_updates,
        "lora": lora,
        "precision": recipe.student.dtype,
        "token_budget": recipe.engine.micro_batch_tokens,
        "chunk_rows": recipe.engine.head_chunk_rows,
        "activation_checkpointing": recipe.engine.activation_checkpointing,
        "ema_decay": recipe.student.ema_decay,
        "keep_initial": recipe.keeps_initial or objective.writing.weights == "initial",
        "seed": recipe.seed,
        "notice": notice,
    }
    if group is not None and isinstance(recipe.engine, ClusterEngine):
        return sharded_policy(recipe, recipe.engine, loaded, group=group, options=options)
    return LocalPolicy(loaded, **options)


def reference_scorer(
    recipe: Recipe, policy: LocalPolicy, building: Building | None, *, notice: Callable[[str], None] | None = None
) -> Scorer | None:
    """The recipe's reference; None where there is none in this process. ``notice`` as in ``local_scorer``."""
    section = recipe.reference
    if section is None or isinstance(section, ServedModel):
        return None
    if section.model == "initial":
        return policy.scorer("initial")
    reference = model_named(
        section.model,
        recipe.engine,
        dtype=section.dtype,
        trust_remote_code=section.trust_remote_code,
        building=building,
        is_frozen=True,
    )
    return local_scorer(share_vocabulary(policy.loaded, reference)[1], recipe.engine, notice=notice)


def local_scorer(loaded: LoadedModel, engine: Engine, *, notice: Callable[[str], None] | None = None) -> Scorer:
    """A frozen model in this process as a scorer; its home is the CPU where ``engine.offload`` says so.

    Args:
        notice: told when memory ran out and what helped.
    """
    if loaded.is_papers:
        return tinker_scorer(loaded, engine)
    scorer = LocalScorer(
        loaded, token_budget=engine.micro_batch_tokens, chunk_rows=engine.head_chunk_rows, notice=notice
    )
    if engine.offload == "none":
        return scorer
    return VisitingScorer(scorer, visits_of(loaded.model, torch.device(device_of(engine))))


def teacher_sampler(loaded: LoadedModel, engine: Engine) -> Sampler:
    """A frozen model in this process as a sampler; its home is the CPU where ``engine.offload`` says so."""
    if loaded.is_papers:
        return tinker_sampler(loaded, engine)
    if engine.offload == "none":
        return sampler_of(loaded.model, loaded, engine)
    device = torch.device(device_of(engine))
    sampler = LocalSampler(
        loaded.model,
        vocab_size=loaded.vocab_size,
        max_length=loaded.max_length,
        device=device,
        max_batch_rows=engine.sampler_batch_rows,
    )
    return VisitingSampler(sampler, visits_of(loaded.model, device))
