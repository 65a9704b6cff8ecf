"""Where the student is sampled: in this process or on servers, beside its training or between two updates of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from understudy.build.cluster import meeting_of, samples_on_ranks
from understudy.build.models import sampler_of
from understudy.build.servers import sampling_settings
from understudy.build.supplies import supply_of
from understudy.build.vllm import vllm_sampler, vllm_supply
from understudy.engines.local import LocalPolicy
from understudy.engines.served_sampler import ServedSampler, connect_sampler
from understudy.engines.supply import HeldWeights, SharedWeights, Supply
from understudy.errors import RecipeError, TokenizerMismatchError
from understudy.models.load import LoadedModel
from understudy.models.products import exact_products
from understudy.models.sampling import LocalSampler
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.objectives.writing import ExpertReplay, Writing
from understudy.protocols import Sampler
from understudy.recipe import Recipe, SamplingServer
from understudy.training.ahead import Ahead
from understudy.training.carrying import Carrying
from understudy.training.collecting import Collector
from understudy.training.ranks import OneRank, Ranks
from understudy.training.segments import SegmentSampler
from understudy.training.staleness import Staleness
from understudy.training.step import Collect, Kept


@dataclass(frozen=True, eq=False)
class Sampling:
    """Who draws for the student.

    Args:
        rollouts: the sampler that training learns from. exams: one with the present weights. supply: of the first.
        segments: where a step draws a part of a rollout: that sampler around ``rollouts``.
        part: gives up a hand-over of weights that waits for other ranks. notices: what the user should know.
    """

    rollouts: Sampler
    exams: Sampler
    supply: Supply
    segments: SegmentSampler | None = None
    part: Callable[[], None] = lambda: None
    notices: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Intake:
    """How a run gets the rollouts of a step.

    Args:
        collect, announce, close, kept: as ``training.step.Parts`` has them. ahead: where steps are drawn beforehand.
    """

    collect: Collect
    announce: Callable[[int], None]
    close: Callable[[], None]
    kept: Kept | None = None
    ahead: Ahead | None = None


def sampling_of(recipe: Recipe, policy: LocalPolicy, *, run: Path | None, ranks: Ranks | None = None) -> Sampling:
    """The student's samplers as the recipe wants them.

    Args:
        run: folder of the run, seen by the servers; None takes a temporary one. ranks: the first has the servers take
            new weights, from its folder.
    Raises:
        UnderstudyError: a server is down, or has another model than the student.
    """
    rollout, loaded = recipe.rollout, policy.loaded
    if rollout.server is not None:
        return _served(recipe, policy, served_sampler(rollout.server, loaded), run=run, ranks=ranks or OneRank())
    local = _local(recipe, policy, policy.sampling_model)
    if rollout.sampler is not None:
        beside = vllm_sampler(rollout.sampler, recipe, policy)
        exams = local if rollout.overlap.max_staleness else beside
        return _in_segments(recipe, beside, exams, vllm_supply(policy, beside, recipe, run=run))
    if rollout.overlap.ahead == 0:
        return _in_segments(recipe, local, local, SharedWeights(local))
    learning = [name for name, weight in policy.model.named_parameters() if weight.requires_grad]
    held = HeldWeights(policy.sampling_model, learning)
    held.sampler = _local(recipe, policy, held.module)
    return _in_segments(recipe, held.sampler, local, held)


def _served(recipe: Recipe, policy: LocalPolicy, served: ServedSampler, *, run: Path | None, ranks: Ranks) -> Sampling:
    rollout, meeting = recipe.rollout, meeting_of(ranks)
    supply = supply_of(rollout.weights, policy, served, run=run, ranks=ranks, meet=meeting)
    # Servers that draw ahead have older weights than are examined.
    has_own = rollout.overlap.max_staleness > 0 and samples_on_ranks(recipe)
    exams = _local(recipe, policy, policy.sampling_model) if has_own else served
    sampling = _in_segments(recipe, served, exams, supply)
    return replace(sampling, part=meeting.close, notices=_doubts(recipe, served, policy.loaded))


def _local(recipe: Recipe, policy: LocalPolicy, module: nn.Module) -> LocalSampler:
    return sampler_of(module, policy.loaded, recipe.engine, recipe.student.dtype)


def _in_segments(recipe: Recipe, rollouts: Sampler, exams: Sampler, supply: Supply) -> Sampling:
    if recipe.rollout.overlap.segment_tokens is None:
        return Sampling(rollouts, exams, supply)
    segments = SegmentSampler(rollouts)
    return Sampling(segments, exams, supply, segments)


def _doubts(recipe: Recipe, sampler: ServedSampler, student: LoadedModel) -> list[str]:
    """Adapters go on top of what is served, which should be the student's own weights."""
    theirs, mine = sampler.identity.fingerprint, student.fingerprint
    if recipe.student.lora is None or sampler.identity.kind != "understudy" or theirs == mine:
        return []
    urls = ", ".join(sampler.pool.settings.urls)
    return [
        f"The servers at {urls} have other weights ({theirs}) than the student ({mine}), and an adapter goes on top of "
        "them: right only where they are served in another precision."
    ]


def served_sampler(section: SamplingServer, student: LoadedModel) -> ServedSampler:
    """The servers of a recipe as a sampler of the student.

    Raises:
        TokenizerMismatchError: they tell that their tokens are others, or another number of them.
    """
    sampler = connect_sampler(sampling_settings(section), max_length=student.max_length, vocab_size=student.vocab_size)
    told, urls = sampler.identity, ", ".join(section.addresses)
    own = tokenizer_fingerprint(student.known_tokenizer, student.stop_ids)
    pairs = (("tokens", told.vocab_size, student.vocab_size), ("tokenizer", told.tokenizer_fingerprint, own))
    for name, theirs, mine in pairs:
        if theirs not in (None, mine):
            raise TokenizerMismatchError(
                f"the servers that sample have another model than the student: their {name} differ",
                got=f"{theirs} at {urls}",
                expected=mine,
                remedy="Serve student.model there.",
            )
    return sampler


def intake_of(recipe: Recipe, collector: Collector, sampling: Sampling, *, ranks: Ranks | None = None) -> Intake:
    """The collector as it is, or drawing ahead and in segments as ``rollout.overlap`` says."""
    overlap, supply = recipe.rollout.overlap, sampling.supply

    def announce(version: int) -> None:
        supply.keep(version)
        supply.give(version)

    collect: Collect = collector
    kept: Carrying | None = None
    if sampling.segments is not None and overlap.segment_tokens is not None:
        collect = kept = Carrying(
            collector,
            sampling.segments,
            segment_tokens=overlap.segment_tokens,
            most_steps=overlap.max_staleness - overlap.ahead,
            total_steps=recipe.steps,
            ranks=ranks,
        )
    if overlap.ahead == 0:
        return Intake(collect, announce, sampling.part, kept)
    ahead = Ahead(collect, supply, steps_ahead=overlap.ahead, total_steps=recipe.steps)
    # Where the thread that draws has products of its own, from the first step to the end.
    beside, waiting = ExitStack(), [exact_products()] if isinstance(supply, HeldWeights) else []

    def begin(version: int) -> None:
        while waiting:
            beside.enter_context(waiting.pop())
        ahead.announce(version)

    def close() -> None:
        sampling.part()
        ahead.close()
        beside.close()

    return Intake(ahead, begin, close, kept, ahead)


def staleness_of(recipe: Recipe) -> Staleness | None:
    """What is done about tokens of older weights; None where there are none."""
    overlap = recipe.rollout.overlap
    return Staleness(overlap.correction, overlap.cap) if overlap.max_staleness else None


def check_overlap(recipe: Recipe, writing: Writing) -> None:
    """Refuse to draw ahead, or in segments, what a model of this process writes beside the student.

    Raises:
        RecipeError: the method has a teacher write, or the student as it was before step 0.
    """
    overlap, mix = recipe.rollout.overlap, writing.mix
    others = mix.teacher > 0 or writing.prefix is not None or isinstance(writing.turns, ExpertReplay)
    if overlap.max_staleness and (others or writing.weights != "live"):
        raise RecipeError(
            "rollout.overlap samples while the student learns, and this method has other models write as well",
            got=f"method {recipe.objective.method}",
            expected="a method whose rollouts the student alone writes",
            remedy="Set rollout.overlap.max_staleness: 0.",
        )
    if overlap.segment_tokens is not None and mix.data:
        raise RecipeError(
            "rollout.overlap.segment_tokens carries the student's own rollouts over",
            got=f"a method that takes {mix.data:.0%} of the completions from the data",
            remedy="Leave segment_tokens out.",
        )
