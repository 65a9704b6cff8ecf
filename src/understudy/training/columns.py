"""From an objective's needs to columns of the token table: who is asked, once, for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from understudy.errors import CapabilityError
from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.protocols import Policy, Scorer, ScoreRequest, Scores
from understudy.rollouts import Origin
from understudy.tokens import Hidden, TokenTable, Wide
from understudy.training.views import Reading
from understudy.world import SingleProcess, World

DRIFT_BOUNDS: Mapping[str, float] = {"float32": 1e-3, "bfloat16": 1e-2}
"""Largest mean |trainer - sampler| that is trusted, nats a token, by the precision of the student's products.

In bfloat16 a second pass rounds as well and is no nearer to the truth than the sampler's own figure: measured 1.3e-3
between the two and 2e-3 from each to float32 at a vocabulary of 32,768, 7e-3 in a tiny model with large weights.
"""


@dataclass(frozen=True)
class Trust:
    """When the sampler's own log-probs stand for the student's.

    Args:
        exact: the sampler truncates nothing and its temperature is the loss's.
        num_rollouts: so many rollouts of each step are scored again to measure the drift.
        bound: largest mean |trainer - sampler|, in nats a token, that is still trusted.
    """

    exact: bool = True
    num_rollouts: int = 2
    bound: float = DRIFT_BOUNDS["float32"]


def check_needs(objective: Objective, *, policy: Scorer, scorers: Mapping[str, Scorer]) -> None:
    """Refuse, before step 0, an objective that asks for what nobody here can give.

    Raises:
        CapabilityError: a scorer is missing, or lacks a capability.
    """
    needs = objective.needs
    for name in sorted(needs.scorers()):
        scorer = policy if name == "student" else scorers.get(name)
        if scorer is None:
            raise CapabilityError(
                f"the method needs a {name}",
                expected=", ".join(one for one in needs.describe() if one.startswith(name)),
                remedy=f"Give the recipe a section '{name}', or choose another method.",
            )
        needs.check(name, scorer.capabilities)


@dataclass(frozen=True, eq=False)
class Scoring:
    """What it takes to score one batch.

    Args:
        needs: of the objective. readings: what each scorer reads, by name. temperature: of every softmax.
        trust: when the sampler's log-probs stand for the student's. world: all ranks score alike, or none does.
    """

    needs: Needs
    readings: Mapping[str, Reading]
    temperature: float = 1.0
    trust: Trust = field(default_factory=Trust)
    world: World = field(default_factory=SingleProcess)

    def at_ids_of(self, name: str) -> list[str]:
        """Wide columns at whose ids that scorer must give log-probs."""
        return sorted(column for scorer, column in self.needs.at_ids if scorer == name)

    def only_logprob_of(self, name: str) -> bool:
        """Whether that scorer is asked for nothing but the log-prob of the token that stands there."""
        needs = self.needs
        wide = name in needs.top_k or name in needs.hidden or bool(self.at_ids_of(name))
        return not wide and not needs.has_column(name, "entropy")


def with_student(table: TokenTable, policy: Policy, scoring: Scoring) -> tuple[TokenTable, float | None]:
    """The student's columns, and the drift of its sampler: mean |trainer - sampler| (None where nothing tells it).

    The sampler's figures are taken where only ``student_logprob`` is needed and nothing sets them apart from the
    trainer's; otherwise one ``policy.score`` fetches all of the student's columns together.
    """
    if "student" not in scoring.needs.scorers():
        return table, None
    comparable = _comparable(table, policy.version) & scoring.trust.exact
    sampled, world = table["behaviour_logprob"], scoring.world
    if scoring.only_logprob_of("student") and bool(world.min(comparable.all())):
        rows = torch.isin(table["rollout"], table["rollout"].unique()[: scoring.trust.num_rollouts])
        drift = _drift(_rescored(policy, rows, scoring), sampled[rows], world=world)
        if drift is None or drift <= scoring.trust.bound:
            return table.with_tokens(student_logprob=sampled), drift
    table = with_scorer(table, "student", policy, scoring)
    return table, _drift(table["student_logprob"][comparable], sampled[comparable], world=world)


def with_scorer(table: TokenTable, name: str, scorer: Scorer, scoring: Scoring) -> TokenTable:
    """All columns needed of one scorer, in one call; log-probs at ids that do not exist yet are left for later."""
    columns = [column for column in scoring.at_ids_of(name) if column in table.wide]
    return _written(table, name, scorer.score(request_of(table, name, scorer, scoring)), columns=columns)


def request_of(table: TokenTable, name: str, scorer: Scorer, scoring: Scoring) -> ScoreRequest:
    """What ``with_scorer`` asks of a scorer, given the wide columns that are there."""
    needs, reading = scoring.needs, scoring.readings[name]
    columns = [column for column in scoring.at_ids_of(name) if column in table.wide]
    return ScoreRequest(
        contexts=reading.contexts,
        context=reading.context,
        position=reading.position,
        ids=_joined_ids(table, columns),
        top_k=scorer.capabilities.width(needs.top_k.get(name, 0)),
        entropy=needs.has_column(name, "entropy"),
        hidden=name in needs.hidden,
        temperature=scoring.temperature,
        routes=reading.routes,
    )


def with_late_ids(table: TokenTable, scorers: Mapping[str, Scorer], scoring: Scoring) -> TokenTable:
    """Log-probs at ids that another scorer chose after this one had answered (the student at the teacher's top-k)."""
    for name, scorer in scorers.items():
        columns = [column for column in scoring.at_ids_of(name) if f"{name}_at_{column}" not in table.wide]
        if columns:
            reading = scoring.readings[name]
            request = ScoreRequest(
                contexts=reading.contexts,
                context=reading.context,
                position=reading.position,
                ids=_joined_ids(table, columns),
                temperature=scoring.temperature,
                routes=reading.routes,
            )
            table = _with_wide_scores(table, name, scorer.score(request), columns=columns)
    return table


def _comparable(table: TokenTable, version: int) -> Tensor:
    """[N] bool: the student chose the token under the weights it has now, and the sampler told its log-prob."""
    own = (table["origin"] == Origin.STUDENT) & (table["weight_version"] == version)
    return own & table["behaviour_logprob"].isfinite()


def _rescored(policy: Policy, rows: Tensor, scoring: Scoring) -> Tensor:
    reading = scoring.readings["student"]
    return policy.score(
        ScoreRequest(
            contexts=reading.contexts,
            context=reading.context[rows],
            position=reading.position[rows],
            temperature=scoring.temperature,
            routes=reading.routes,
        )
    ).sampled


def _drift(fresh: Tensor, sampled: Tensor, *, world: World) -> float | None:
    apart = (fresh - sampled).detach().abs()
    if world.size == 1:
        return float(apart.mean()) if apart.numel() else None
    total, count = world.sum(torch.stack([apart.double().sum(), torch.tensor(float(apart.numel())).double()])).tolist()
    return total / count if count else None


def _joined_ids(table: TokenTable, columns: Sequence[str]) -> Tensor | None:
    return torch.cat([table.wide_column(column).ids for column in columns], dim=1) if columns else None


def _written(table: TokenTable, name: str, scores: Scores, *, columns: Sequence[str]) -> TokenTable:
    narrow = {f"{name}_logprob": scores.sampled}
    if scores.entropy is not None:
        narrow[f"{name}_entropy"] = scores.entropy
    table = _with_wide_scores(table.with_tokens(**narrow), name, scores, columns=columns)
    if scores.hidden is not None and scores.project is not None:
        table = table.with_hidden(**{name: Hidden(scores.hidden, scores.project)})
    return table


def _with_wide_scores(table: TokenTable, name: str, scores: Scores, *, columns: Sequence[str]) -> TokenTable:
    wide = {}
    if scores.top_ids is not None and scores.top_logprobs is not None:
        wide[f"{name}_top_k"] = _listed(scores.top_ids, scores.top_logprobs)
    if scores.at_ids is not None:
        sources = [table.wide_column(column) for column in columns]
        parts = scores.at_ids.split([source.ids.shape[1] for source in sources], dim=1)
        for column, source, part in zip(columns, sources, parts, strict=True):
            wide[f"{name}_at_{column}"] = Wide(source.ids, part, source.valid)
    return table.with_wide(**wide)


def _listed(ids: Tensor, logprobs: Tensor) -> Wide:
    """A scorer's likeliest tokens; one of -inf is no candidate: it fills a row for which the scorer had no more.

    What the scorer thinks of such a token nobody knows, and a divergence would take it for forbidden.
    """
    told = logprobs > -torch.inf
    return Wide(ids, logprobs, None if bool(told.all()) else told)
