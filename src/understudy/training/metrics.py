"""The figures of a step, named as TRL names them where TRL has a name.

Every figure that depends on the clock or the machine is ``step_time`` or begins with ``time/`` or ``memory/``; all
others repeat exactly on resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from understudy.rollouts import FinishReason, Origin, Rollout
from understudy.tokens import TokenTable, Wide
from understudy.training.agent_metrics import action_figures, gap_figures, success_figures
from understudy.training.divergence_metrics import divergence_figures, domain_figures
from understudy.training.pooling import Figure, mean, share, total
from understudy.training.step import StepResult
from understudy.training.world_figures import world_figures
from understudy.world import SingleProcess, World


def figures_of(result: StepResult, *, world: World | None = None, domains: Sequence[str] = ()) -> dict[str, float]:
    """All figures of one step; a figure that nothing tells is absent.

    Args:
        world, domains: see ``domain_figures``. Most other figures are of this rank's rollouts, see ``pooling``; all
            ranks together decide whether one that is told of some batches only is told.
    """
    table, world = result.batch.table, world or SingleProcess()
    return {
        **update_figures(result),
        **rollout_figures(table, result.rollouts),
        **prefix_figures(result.rollouts),
        **world_figures(result.rollouts),
        **divergence_figures(table),
        **gap_figures(table),
        **domain_figures(table, world=world, domains=domains),
        **success_figures(table, world=world, domains=domains),
        **action_figures(result.rollouts),
        **surprisal_figures(table),
        **distribution_figures(table, world=world),
        **_unaligned(result, world=world),
        **result.staleness,
        **({} if result.drift is None else {"drift/trainer_vs_sampler": result.drift}),
        **_means([plan.statistics for plan in result.plans]),
        **{f"time/{phase}": seconds for phase, seconds in result.seconds.items()},
        **({} if result.idle_share is None else {"time/sampler_idle_share": result.idle_share}),
    }


def is_time(name: str) -> bool:
    """Whether a figure depends on the clock or the machine.

    >>> [is_time(name) for name in ("time/sample", "step_time", "memory/peak_gib", "loss")]
    [True, True, True, False]
    """
    return name.startswith(("time/", "memory/")) or name == "step_time"


def update_figures(result: StepResult) -> dict[str, float]:
    """Loss, its terms and the gradient norm, each the mean over the step's updates; tokens, their sum."""
    updates = result.updates
    if not updates:
        return {}
    return {
        "loss": fmean(update.loss for update in updates),
        **{f"loss/{name}": value for name, value in _means([update.sums for update in updates]).items()},
        "grad_norm": fmean(update.grad_norm for update in updates),
        "learning_rate": updates[-1].learning_rate,
        "num_tokens": float(sum(update.num_tokens for update in updates)),
    }


def rollout_figures(table: TokenTable, rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Lengths and turns of all rollouts, and how the student's own attempts (and the teacher's) were graded.

    Empty and failed rollouts count as the student's, with length 0; so does a rollout that a teacher only began.
    """
    if not rollouts:
        return {"rollouts/failed": total(0.0)}
    lengths = table.rollouts["num_tokens"].double()
    by_teacher = _wrote(table, Origin.TEACHER) & ~_wrote(table, Origin.STUDENT)
    by_data = _wrote(table, Origin.DATA) & ~_wrote(table, Origin.STUDENT) & ~by_teacher
    return {
        "completions/mean_length": mean(lengths),
        "completions/min_length": Figure(float(lengths.min()), "min"),
        "completions/max_length": Figure(float(lengths.max()), "max"),
        "completions/clipped_ratio": mean(table.rollouts["truncated"]),
        "rollouts/mean_turns": mean([len(rollout.turns) for rollout in rollouts]),
        "rollouts/failed": total(sum(rollout.finish_reason is FinishReason.FAILED for rollout in rollouts)),
        **_unread(rollouts, ~by_teacher & ~by_data),
        **_grades(table, ~by_teacher & ~by_data, prefix=""),
        **_grades(table, by_teacher, prefix="teacher/"),
    }


def prefix_figures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """What a teacher wrote beforehand of the rollouts that it was to begin: a prefix, or replayed turns.

    ``prefix/share`` of their tokens, ``prefix/mean_length`` in tokens, and how many have nothing else: ``prefix/only``.
    """
    begun = [(one.num_given, sum(turn.completion_ids.numel() for turn in one.turns)) for one in rollouts]
    pairs = [(given, length) for given, length in begun if given is not None]
    if not pairs:
        return {}
    return {
        "prefix/share": share(sum(given for given, _ in pairs), max(1, sum(length for _, length in pairs))),
        "prefix/mean_length": mean([given for given, _ in pairs]),
        "prefix/only": total(sum(0 < given == length for given, length in pairs)),
    }


def surprisal_figures(table: TokenTable) -> dict[str, float]:
    """``entropy/sampled``: mean -log pi_S over the student's own tokens: an estimate of its entropy for free."""
    own = table["origin"] == Origin.STUDENT
    student = table.tokens.get("student_logprob", table["behaviour_logprob"])
    return _mean_of("entropy/sampled", -student[own & student.isfinite()])


def distribution_figures(table: TokenTable, *, world: World) -> dict[str, float]:
    """Entropies, the mass that student and teacher put on the chosen ids, and how often their first choices agree.

    Of the student's own tokens; of all where no rank has any of those.
    """
    own = table["origin"] == Origin.STUDENT
    rows = own if bool(world.max(own.any())) else torch.ones_like(own)
    figures: dict[str, float] = {}
    for name, column in (("entropy", "student_entropy"), ("teacher/entropy", "teacher_entropy")):
        if column in table.tokens:
            figures |= _mean_of(name, table[column][rows])
    supports = {
        "support/student_mass": ("student_at_teacher_top_k", "student_top_k"),
        "support/teacher_mass": ("teacher_at_student_top_k", "teacher_top_k"),
    }
    for name, columns in supports.items():
        for column in [column for column in columns if column in table.wide][:1]:
            figures |= _mean_of(name, _mass(table.wide_column(column))[rows])
    if "student_top_k" in table.wide and "teacher_top_k" in table.wide:
        first = [table.wide_column(column).ids[rows, 0] for column in ("student_top_k", "teacher_top_k")]
        figures |= _mean_of("agreement/top1", first[0] == first[1])
    return figures


def _unaligned(result: StepResult, *, world: World) -> dict[str, float]:
    """Tokens that some scorer's view has no place for, and rollouts that have no other, where any rank has some."""
    table = result.batch.table
    scored = sum(int((turn.origin != Origin.ENVIRONMENT).sum()) for r in result.rollouts for turn in r.turns)
    missing = scored - table.num_tokens
    if not bool(world.max(torch.tensor(missing))):
        return {}
    left = torch.bincount(table["rollout"], minlength=table.num_rollouts)
    lost = (left == 0) & (table.rollouts["num_tokens"] > 0)
    return {
        "rollouts/unaligned_tokens": total(missing),
        "rollouts/unaligned_share": Figure(missing / max(1, scored), "mean", float(scored)),
        "rollouts/unaligned": total(float(lost.sum())),
    }


def _mass(column: Wide) -> Tensor:
    """[N] float64: the probability of the ids that count."""
    mass = column.logprobs.double().exp()
    return mass.sum(1) if column.valid is None else (mass * column.valid).sum(1)


def _wrote(table: TokenTable, origin: Origin) -> Tensor:
    """[R] bool: some scored token of the rollout was chosen by ``origin``."""
    rows = table["rollout"][table["origin"] == origin]
    return torch.bincount(rows, minlength=table.num_rollouts) > 0


def _grades(table: TokenTable, rollouts: Tensor, *, prefix: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, column in (("reward", "reward"), ("accuracy", "correct")):
        values = table.rollouts[column][rollouts]
        figures |= _mean_of(prefix + name, values[~values.isnan()])
    return figures


def _unread(rollouts: Sequence[Rollout], own: Tensor) -> dict[str, float]:
    """The share of the student's answers that no verifier could read, where one looked."""
    parsed = [one.parsed for one, mine in zip(rollouts, own.tolist(), strict=True) if mine and one.parsed is not None]
    return {"parse_failure_rate": mean([not one for one in parsed])} if parsed else {}


def _mean_of(name: str, values: Tensor) -> dict[str, float]:
    return {name: mean(values)} if values.numel() else {}


def _means(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: fmean(record[name] for record in records if name in record) for name in names}
