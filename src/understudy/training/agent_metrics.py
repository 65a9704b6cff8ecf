"""Figures of agents: what their actions were worth, by the tally of each episode, and success by sort of task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from understudy.environments.agents import TALLY
from understudy.objectives.row_losses import NO_MASS
from understudy.rollouts import Origin, Rollout
from understudy.tokens import TokenTable
from understudy.training.pooling import Figure, mean, share
from understudy.world import World


def action_figures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Shares of actions that were malformed, inadmissible, either (invalid), or repeated; penalties and cuts a rollout.

    Of the episodes that an agent's world tallied; nothing where there are none. A repeated action saw and did what an
    earlier turn of its episode had seen and done.
    """
    tallies = [tally for one in rollouts if isinstance(tally := one.extra.get(TALLY), Mapping)]
    steps = _total(tallies, "steps")
    if not tallies or not steps:
        return {}
    malformed, inadmissible = _total(tallies, "malformed") / steps, _total(tallies, "inadmissible") / steps
    return {
        "actions/malformed_rate": Figure(malformed, "mean", steps),
        "actions/inadmissible_rate": Figure(inadmissible, "mean", steps),
        "actions/invalid_rate": Figure(malformed + inadmissible, "mean", steps),
        "actions/repeated_rate": share(_total(tallies, "repeated"), steps),
        "actions/mean_penalty": share(_total(tallies, "penalties"), len(tallies)),
        "actions/mean_cut_observations": share(_total(tallies, "cut"), len(tallies)),
    }


def success_figures(table: TokenTable, *, world: World, domains: Sequence[str] = ()) -> dict[str, float]:
    """``accuracy/<domain>``: the share that solved its task, by sort of task or question set, where there are several.

    The student's own attempts count, as in ``accuracy``, and those that a teacher only began; equal on every rank.

    Args:
        world, domains: as in ``domain_figures``.
    """
    names = list(domains) or sorted(set(table.domains))
    if len(names) < 2:
        return {}
    correct, own = table.rollouts["correct"].double(), ~_wholly_others(table)
    sums = torch.zeros(len(names), 2, dtype=torch.float64)
    for row, domain in enumerate(table.domains):
        if bool(own[row]) and domain in names and not bool(correct[row].isnan()):
            sums[names.index(domain)] += torch.stack([correct[row], torch.ones((), dtype=torch.float64)])
    totals = world.sum(sums)
    return {
        f"accuracy/{name or 'none'}": float(totals[number, 0] / totals[number, 1])
        for number, name in enumerate(names)
        if totals[number, 1] > 0
    }


def gap_figures(table: TokenTable) -> dict[str, float]:
    """``gap/teacher_student``: mean |log pi_T - log pi_S| over the student's own tokens, nats: the mean of T-DUR's d.

    Where only the teacher was scored, the sampler's log-probs stand for the student's; no mass is ``NO_MASS`` nats.
    """
    if "teacher_logprob" not in table.tokens:
        return {}
    student = table.tokens.get("student_logprob", table["behaviour_logprob"])
    gap = (table["teacher_logprob"].clamp_min(NO_MASS) - student)[table["origin"] == Origin.STUDENT].double().abs()
    return {"gap/teacher_student": mean(gap)} if gap.numel() else {}


def _wholly_others(table: TokenTable) -> torch.Tensor:
    """[R] bool: the rollout has tokens, and none of them is the student's."""
    wrote = torch.bincount(table["rollout"], minlength=table.num_rollouts) > 0
    own = torch.bincount(table["rollout"][table["origin"] == Origin.STUDENT], minlength=table.num_rollouts) > 0
    return wrote & ~own


def _total(tallies: Sequence[Mapping[str, object]], name: str) -> float:
    values = (tally.get(name, 0) for tally in tallies)
    return float(sum(value for value in values if isinstance(value, int | float)))
