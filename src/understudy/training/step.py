"""One training step: sample -> reward -> student columns -> teacher's view -> scores -> plan -> update -> publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from understudy.errors import NonFiniteError
from understudy.objectives.context import PlanContext
from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.plans import LossPlan
from understudy.protocols import Policy, Scorer, UpdateResult, View
from understudy.randomness import derived_seed
from understudy.rollouts import Rollout, contexts_of
from understudy.teachers.eager import Eager
from understudy.tokens import Batch, TokenTable, batch_of
from understudy.training.busy import Busy
from understudy.training.clock import Clock
from understudy.training.collecting import Ended
from understudy.training.columns import Scoring, Trust, request_of, with_late_ids, with_scorer, with_student
from understudy.training.early import early_scorers
from understudy.training.magnifying import Magnified, Magnifier, magnified
from understudy.training.pooling import total
from understudy.training.ranks import OneRank, Ranks, agreed
from understudy.training.staleness import Staleness
from understudy.training.views import as_the_student, read_through, rows_seen_by_all
from understudy.world import SingleProcess, World


class Collect(Protocol):
    """Gives the graded rollouts of a step."""

    def __call__(self, step: int, progress: Progress, /, *, ended: Ended | None = None) -> Sequence[Rollout]:
        """``ended`` is given only where a scorer can begin early; see ``Write``."""
        ...


class Kept(Protocol):
    """What a checkpoint holds beside the policy."""

    def save(self, folder: Path, done: int) -> None:
        """Write what is needed to go on after ``done`` steps."""
        ...

    def load(self, folder: Path) -> None:
        """Go on from there."""
        ...

    def carried(self, step: int) -> int:
        """Rollouts that ``step`` left for later steps."""
        ...


Progress = Callable[[int], None]
"""Told how many more items (rollouts, problems) have ended; it may raise to give the work up."""


@dataclass(frozen=True)
class StepSettings:
    """What every step of a run has in common.

    Args:
        seed: of the run. total_steps: for schedules. temperature: of the loss and of every scorer.
        trust: when the sampler's log-probs stand for the student's. world: reductions over ranks.
        ranks: the processes that make the run, and what they must agree on.
        domains: every domain that a rollout of the run may have, on any rank; none where nobody knows.
        staleness: what is done about tokens of older weights; None where every step is drawn with the newest.
    """

    seed: int
    total_steps: int
    temperature: float = 1.0
    trust: Trust = field(default_factory=Trust)
    world: World = field(default_factory=SingleProcess)
    ranks: Ranks = field(default_factory=OneRank)
    domains: Sequence[str] = ()
    staleness: Staleness | None = None


def by_domain(rollout: Rollout) -> str:
    """The route that is the rollout's domain."""
    return rollout.domain


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything that takes part in a step, wired together.

    Args:
        collect: (step, progress) -> graded rollouts of that step; it mixes the writers that the objective asks for
            and depends on the step and the student's weights alone.
        policy: the student. objective: what is minimised. settings: of every step.
        scorers: ``teacher`` and ``reference`` by name, those there are. views: what each of them reads; the
            student's own contexts where none is named.
        route: which of several scorers behind one name answers for a rollout.
        announce: tells the samplers that the live weights are now called so.
        busy: how long the samplers behind ``collect`` have run; nothing where nobody tells it.
        kept: what a checkpoint holds of ``collect``. close: ends what goes on behind ``collect``.
    """

    collect: Collect
    policy: Policy
    objective: Objective
    settings: StepSettings
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    route: Callable[[Rollout], str] = by_domain
    announce: Callable[[int], None] = lambda _: None
    busy: Busy = field(default_factory=Busy)
    kept: Kept | None = None
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class StepResult:
    """What a step did.

    Args:
        step: its number, from 0. rollouts, batch: with all columns. plans, updates: one each an optimiser step.
        drift: mean |trainer - sampler| in nats a token, where it was measured.
        seconds: by phase. idle_share: of the sampling, in which no sampler ran; None where nobody told.
        staleness: figures of tokens with older weights, where there may be any.
        magnified: the likeliest tokens of ``student`` and ``teacher`` in a few rollouts, where they were asked for.
    """

    step: int
    rollouts: Sequence[Rollout]
    batch: Batch
    plans: Sequence[LossPlan]
    updates: Sequence[UpdateResult]
    drift: float | None
    seconds: Mapping[str, float]
    idle_share: float | None = None
    staleness: Mapping[str, float] = field(default_factory=dict)
    magnified: Mapping[str, Magnified] = field(default_factory=dict)


class NonFiniteStepError(NonFiniteError):
    """A loss or gradient of a step is not finite; ``result`` holds the step up to the update that failed."""

    def __init__(self, error: NonFiniteError, result: StepResult) -> None:
        super().__init__(f"step {result.step}: {error.what}", got=error.got, expected=error.expected)
        self.result = result


def run_step(
    parts: Parts, step: int, *, clock: Clock, progress: Progress, magnifier: Magnifier | None = None
) -> StepResult:
    """One step, from prompts to published weights.

    Args:
        magnifier: whose likeliest tokens are kept, for people to look at; not with several ranks, whose scorers are
            only asked by all at once.
    Raises:
        NonFiniteStepError: a loss or gradient is NaN or infinite; the weights are those before the failed update.
    """
    if parts.settings.staleness is not None:  # scorers are told of rollouts where they are drawn, steps before
        return _run_step(parts, step, {}, clock=clock, progress=progress, magnifier=magnifier or Magnifier())
    early = early_scorers(asked(parts), parts.views, parts.objective.needs)
    try:
        return _run_step(parts, step, early, clock=clock, progress=progress, magnifier=magnifier or Magnifier())
    finally:
        for scorer in early.values():
            scorer.forget()


def _run_step(
    parts: Parts,
    step: int,
    early: Mapping[str, Eager],
    *,
    clock: Clock,
    progress: Progress,
    magnifier: Magnifier,
) -> StepResult:
    torch.manual_seed(derived_seed(seed=parts.settings.seed, step=step, purpose="training step"))
    busy_before = parts.busy.seconds
    with clock("sample"):
        tell: dict[str, Ended] = {"ended": partial(_expect, parts, early)} if early else {}
        rollouts = agreed(parts.settings.ranks, lambda: parts.collect(step, progress, **tell))
        batch = batch_of(rollouts, contexts_of(rollouts))
    idle_share = parts.busy.idle_share(busy_before, clock.seconds["sample"])
    with clock("view"):
        table, scoring = _seen(parts, rollouts, batch)
    with clock("student_score"):
        table, drift = with_student(table, parts.policy, scoring)
    for name, scorer in asked(parts).items():
        with clock(f"{name}_score"):
            table = agreed(parts.settings.ranks, partial(with_scorer, table, name, scorer, scoring))
    with clock("late_score"):
        table = with_late_ids(table, {"student": parts.policy, **asked(parts)}, scoring)
    with clock("plan"):
        plans, figures = _planned(parts, table, step)
    shown: Mapping[str, Magnified] = {}
    if parts.settings.world.size == 1 and magnifier.is_due(step, total_steps=parts.settings.total_steps):
        with clock("magnify"):
            teachers = {name: scorer for name, scorer in asked(parts).items() if name == "teacher"}
            shown = magnified(table, {"student": parts.policy, **teachers}, scoring, magnifier)
    batch = Batch(batch.contexts, table)
    result = StepResult(step, rollouts, batch, plans, [], drift, clock.seconds, idle_share, figures, shown)
    with clock("update"):
        result = _updated(parts.policy, result)
    with clock("publish"):
        parts.announce(parts.policy.publish())
    return result


def asked(parts: Parts) -> dict[str, Scorer]:
    """The scorers, the student aside, that the objective needs, in the order of ``parts``."""
    needed = parts.objective.needs.scorers()
    return {name: scorer for name, scorer in parts.scorers.items() if name in needed}


def expecting(parts: Parts) -> Ended | None:
    """Has the scorers that can begin with a rollout as soon as it has ended; None where none can."""
    early = early_scorers(asked(parts), parts.views, parts.objective.needs)
    return partial(_expect, parts, early) if early else None


def _planned(parts: Parts, table: TokenTable, step: int) -> tuple[Sequence[LossPlan], Mapping[str, float]]:
    """The plans, with tokens of older weights corrected, and the figures of these."""
    settings, version = parts.settings, parts.policy.version
    context = _plan_context(settings, step)
    stale = settings.staleness
    if stale is None:
        return parts.objective.plan(table, context), {}
    plans = parts.objective.plan(stale.columns(table, version), context)
    figures = dict(stale.figures(table, version, settings.world))
    if parts.kept is not None:
        figures["rollouts/carried"] = total(float(parts.kept.carried(step)))
    return stale.plans(plans, table, version), figures


def _expect(parts: Parts, early: Mapping[str, Eager], rollout: Rollout) -> None:
    """Have the scorers that can begin with this rollout, with the requests that the whole step will make of it."""
    table, scoring = _seen(parts, [rollout], batch_of([rollout], contexts_of([rollout])))
    for name, scorer in early.items():
        if table.num_tokens:
            scorer.expect(request_of(table, name, parts.scorers[name], scoring))


def _seen(parts: Parts, rollouts: Sequence[Rollout], batch: Batch) -> tuple[TokenTable, Scoring]:
    """What each scorer reads, and the rows that all of them can: a token without a counterpart has no row."""
    table, contexts = batch.table, batch.contexts
    routes = [parts.route(rollouts[context.rollout]) for context in contexts]
    readings = {"student": as_the_student(contexts, table, routes=routes)}
    for name in asked(parts):
        view = parts.views.get(name)
        readings[name] = read_through(view, rollouts, contexts, table, routes=routes) if view else readings["student"]
    rows = rows_seen_by_all(readings.values(), table.num_tokens)
    if rows.numel() < table.num_tokens:
        table, readings = table.keep_rows(rows), {name: one.keep_rows(rows) for name, one in readings.items()}
    settings = parts.settings
    needs = parts.objective.needs | (Needs() if settings.staleness is None else settings.staleness.needs)
    return table, Scoring(needs, readings, temperature=settings.temperature, trust=settings.trust, world=settings.world)


def _plan_context(settings: StepSettings, step: int) -> PlanContext:
    return PlanContext(
        step=step,
        total_steps=settings.total_steps,
        seed=settings.seed,
        temperature=settings.temperature,
        world=settings.world,
    )


def _updated(policy: Policy, result: StepResult) -> StepResult:
    updates: list[UpdateResult] = []
    for plan in result.plans:
        try:
            updates.append(policy.update(result.batch, plan))
        except NonFiniteError as error:
            raise NonFiniteStepError(error, replace(result, updates=updates)) from error
    return replace(result, updates=updates)
