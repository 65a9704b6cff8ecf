"""What a probe says in figures: distance, agreement, imbalance, and how both change along an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from understudy.doctor.probe import Probe
from understudy.evaluation.statistics import Estimate, mean_interval
from understudy.rollouts import FinishReason

DECILES = 10
_RUN_TOKENS = 4


@dataclass(frozen=True)
class Measures:
    """Of the student's own tokens; nats. None where the teacher cannot say it.

    Args:
        num_rollouts, num_tokens: of the probe. length: mean tokens of an answer. truncated: share cut at the limit.
        reverse_kl: mean log pi_S - log pi_T a token, with an interval over rollouts.
        outliers: expected share of tokens outside TrOPD's region of trust, 1 - min(pi_T / pi_S, 1).
        student_entropy, teacher_entropy: means.
        overlap: share of the student's top k that are the teacher's too. mass: the teacher's on the student's top k.
        largest: share of sum |A| that the largest hundredth of the tokens has. negative: share of tokens with A < 0.
        special: share of sum |A| on tokens that are no text.
        by_decile: means along an answer.
    """

    num_rollouts: int
    num_tokens: int
    length: float
    truncated: float
    reverse_kl: Estimate
    outliers: float
    student_entropy: float
    teacher_entropy: float | None
    overlap: float | None
    mass: float | None
    largest: float
    negative: float
    special: float
    by_decile: Sequence[Decile]

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return {**asdict(self), "reverse_kl": self.reverse_kl.to_json()}


@dataclass(frozen=True)
class Decile:
    """The tokens of one tenth of all answers.

    Args:
        ratio: mean log pi_T - log pi_S. overlap, teacher_entropy: as in ``Measures``.
        repetition: share of tokens that end a run of four which stood in the answer before. num_tokens: of it.
    """

    ratio: float
    overlap: float | None
    teacher_entropy: float | None
    repetition: float
    num_tokens: int


def measures_of(probe: Probe) -> Measures:
    """All figures of a probe with at least one token."""
    table, ratio = probe.table, probe.ratio
    sizes = ratio.abs()
    agreement = overlap_of_rows(probe)
    special = torch.isin(table["token_id"], torch.tensor(sorted(probe.special_ids)))
    ended = [rollout.finish_reason for rollout in probe.rollouts]
    return Measures(
        num_rollouts=len(probe.rollouts),
        num_tokens=table.num_tokens,
        length=table.num_tokens / len(probe.rollouts),
        truncated=ended.count(FinishReason.LENGTH) / len(ended),
        reverse_kl=mean_interval(_by_rollout(-ratio, probe)),
        outliers=float((1 - ratio.exp().clamp_max(1)).mean()),
        student_entropy=float(table["student_entropy"].mean()),
        teacher_entropy=_mean_of(table.tokens.get("teacher_entropy")),
        overlap=_mean_of(agreement),
        mass=_mean_of(teacher_mass(probe)),
        largest=share_of_largest(sizes),
        negative=float((ratio < 0).double().mean()),
        special=share_of(sizes, special),
        by_decile=_deciles(probe, agreement),
    )


def share_of_largest(sizes: Tensor, *, part: float = 0.01) -> float:
    """Share of the sum that the largest entries have, a hundredth of them (at least one).

    >>> share_of_largest(torch.tensor([1.0, 1.0, 8.0]))
    0.8
    """
    total = float(sizes.sum())
    if total == 0:
        return 0.0
    count = max(1, math.ceil(part * sizes.numel()))
    return float(sizes.topk(count).values.sum()) / total


def share_of(sizes: Tensor, chosen: Tensor) -> float:
    """Share of the sum of the entries that are chosen; 0 where there is nothing."""
    total = float(sizes.sum())
    return float(sizes[chosen].sum()) / total if total else 0.0


def overlap_of_rows(probe: Probe) -> Tensor | None:
    """[N] float64: share of the student's top k that is in the teacher's; None without a top k."""
    if not probe.k:
        return None
    ours, theirs = (probe.table.wide_column(f"{who}_top_k").ids for who in ("student", "teacher"))
    return (ours[:, :, None] == theirs[:, None, :]).any(2).double().mean(1)


def teacher_mass(probe: Probe) -> Tensor | None:
    """[N] float64: what the teacher gives the student's top k together; None without a top k."""
    if not probe.k:
        return None
    return probe.table.wide_column("teacher_at_student_top_k").logprobs.double().exp().sum(1)


def repeated(probe: Probe) -> Tensor:
    """[N] bool: the token ends a run of four that stood in the same answer before."""
    table = probe.table
    found = torch.zeros(table.num_tokens, dtype=torch.bool)
    for rows in _rows_by_rollout(probe):
        ids = table["token_id"][rows].tolist()
        seen: set[tuple[int, ...]] = set()
        for end in range(_RUN_TOKENS, len(ids) + 1):
            run = tuple(ids[end - _RUN_TOKENS : end])
            found[rows[end - 1]] = run in seen
            seen.add(run)
    return found


def _deciles(probe: Probe, agreement: Tensor | None) -> list[Decile]:
    number = (probe.place * DECILES).long()
    again, entropy = repeated(probe).double(), probe.table.tokens.get("teacher_entropy")
    return [
        Decile(
            ratio=float(probe.ratio[here].mean()),
            overlap=None if agreement is None else float(agreement[here].mean()),
            teacher_entropy=None if entropy is None else float(entropy[here].mean()),
            repetition=float(again[here].mean()),
            num_tokens=int(here.sum()),
        )
        for here in (number == decile for decile in range(DECILES))
        if bool(here.any())
    ]


def _by_rollout(values: Tensor, probe: Probe) -> list[float]:
    """Means of the answers that have tokens."""
    return [float(values[rows].mean()) for rows in _rows_by_rollout(probe)]


def _rows_by_rollout(probe: Probe) -> list[Tensor]:
    counts = torch.bincount(probe.table["rollout"], minlength=probe.table.num_rollouts)
    order = probe.table["rollout"].argsort(stable=True)
    return [rows for rows in order.split(counts.tolist()) if rows.numel()]


def _mean_of(column: Tensor | None) -> float | None:
    return None if column is None else float(column.double().mean())
