"""The figures of a step, named as TRL names them where TRL has a name.

Every figure that depends on the clock is ``step_time`` or begins with ``time/``; all others repeat exactly on resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from understudy.rollouts import FinishReason, Origin, Rollout
from understudy.tokens import TokenTable
from understudy.training.step import StepResult

_LARGEST_RATIO = 20.0
"""Log ratios are cut to this in ``kl/k3`` only, where one wild token would drown the rest."""


def figures_of(result: StepResult) -> dict[str, float]:
    """All figures of one step; a figure that nothing tells is absent."""
    table = result.batch.table
    return {
        **update_figures(result),
        **rollout_figures(table, result.rollouts),
        **divergence_figures(table),
        **surprisal_figures(table),
        **distribution_figures(table),
        **_unaligned(result),
        **({} if result.drift is None else {"drift/trainer_vs_sampler": result.drift}),
        **_means([plan.statistics for plan in result.plans]),
        **{f"time/{phase}": seconds for phase, seconds in result.seconds.items()},
    }


def is_time(name: str) -> bool:
    """Whether a figure depends on the clock.

    >>> [is_time(name) for name in ("time/sample", "step_time", "loss")]
    [True, True, False]
    """
    return name.startswith("time/") or name == "step_time"


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
    """Lengths of all completions, and how the student's own attempts (and the teacher's) were graded.

    Empty and failed rollouts count as the student's, with length 0.
    """
    if not rollouts:
        return {"rollouts/failed": 0.0}
    lengths = table.rollouts["num_tokens"].double()
    by_teacher = _wrote(table, Origin.TEACHER) & ~_wrote(table, Origin.STUDENT)
    by_data = _wrote(table, Origin.DATA) & ~_wrote(table, Origin.STUDENT) & ~by_teacher
    return {
        "completions/mean_length": float(lengths.mean()),
        "completions/min_length": float(lengths.min()),
        "completions/max_length": float(lengths.max()),
        "completions/clipped_ratio": float(table.rollouts["truncated"].double().mean()),
        "rollouts/failed": float(sum(rollout.finish_reason is FinishReason.FAILED for rollout in rollouts)),
        **_grades(table, ~by_teacher & ~by_data, prefix=""),
        **_grades(table, by_teacher, prefix="teacher/"),
    }


def divergence_figures(table: TokenTable) -> dict[str, float]:
    """Reverse KL over the student's tokens by the estimators k1 and k3, k1 also for each of several domains.

    Where only the teacher was scored, the sampler's log-probs stand for the student's.
    """
    own = table["origin"] == Origin.STUDENT
    if "teacher_logprob" not in table.tokens or not bool(own.any()):
        return {}
    student = table.tokens.get("student_logprob", table["behaviour_logprob"])
    advantage = (table["teacher_logprob"] - student)[own].double()
    bounded = advantage.clamp(-_LARGEST_RATIO, _LARGEST_RATIO)
    figures = {
        "kl/reverse_k1": float(-advantage.mean()),
        "kl/k3": float((bounded.exp() - bounded - 1).mean()),
    }
    names = sorted(set(table.domains))
    if len(names) > 1:
        domain = torch.tensor([names.index(name) for name in table.domains])[table["rollout"][own]]
        for number, name in enumerate(names):
            figures |= _mean_of(f"kl/reverse_k1/{name or 'none'}", -advantage[domain == number])
    return figures


def surprisal_figures(table: TokenTable) -> dict[str, float]:
    """``entropy/sampled``: mean -log pi_S over the student's own tokens: an estimate of its entropy for free."""
    own = table["origin"] == Origin.STUDENT
    student = table.tokens.get("student_logprob", table["behaviour_logprob"])
    return _mean_of("entropy/sampled", -student[own & student.isfinite()])


def distribution_figures(table: TokenTable) -> dict[str, float]:
    """Entropies, the mass that student and teacher put on the chosen ids, and how often their first choices agree."""
    own = table["origin"] == Origin.STUDENT
    rows = own if bool(own.any()) else torch.ones_like(own)
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
            figures |= _mean_of(name, table.wide_column(column).logprobs[rows].double().exp().sum(1))
    if "student_top_k" in table.wide and "teacher_top_k" in table.wide:
        first = [table.wide_column(column).ids[rows, 0] for column in ("student_top_k", "teacher_top_k")]
        figures |= _mean_of("agreement/top1", first[0] == first[1])
    return figures


def _unaligned(result: StepResult) -> dict[str, float]:
    """Tokens that some scorer's view has no place for, where there are any."""
    scored = sum(int((turn.origin != Origin.ENVIRONMENT).sum()) for r in result.rollouts for turn in r.turns)
    missing = scored - result.batch.table.num_tokens
    return {"rollouts/unaligned_tokens": float(missing)} if missing else {}


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


def _mean_of(name: str, values: Tensor) -> dict[str, float]:
    return {name: float(values.double().mean())} if values.numel() else {}


def _means(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: fmean(record[name] for record in records if name in record) for name in names}
