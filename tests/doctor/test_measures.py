"""The figures of a probe, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from understudy.doctor.measures import measures_of, repeated, share_of_largest, teacher_mass
from understudy.doctor.probe import Probe
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Wide, batch_of


def probe_with(
    completions: list[list[int]], ratios: list[list[float]], *, special: frozenset[int] = frozenset()
) -> Probe:
    """Answers whose student says -1 everywhere and whose teacher says as much more as ``ratios`` tell."""
    rollouts = [
        Rollout(
            key=number,
            group=number,
            problem=str(number),
            turns=(turn_of(ids),),
            finish_reason=FinishReason.LENGTH if number == 0 else FinishReason.STOP,
        )
        for number, ids in enumerate(completions)
    ]
    table = batch_of(rollouts, contexts_of(rollouts)).table
    count = table.num_tokens
    student = torch.full((count,), -1.0)
    ids = torch.tensor([[0, 1]]).expand(count, 2)
    table = table.with_tokens(
        student_logprob=student,
        teacher_logprob=student + torch.tensor([one for row in ratios for one in row]),
        student_entropy=torch.full((count,), 0.5),
        teacher_entropy=torch.arange(count).float(),
    ).with_wide(
        student_top_k=Wide(ids, torch.full((count, 2), -1.0)),
        teacher_top_k=Wide(torch.tensor([[1, 2]]).expand(count, 2), torch.full((count, 2), -1.0)),
        teacher_at_student_top_k=Wide(ids, torch.tensor([[math.log(0.25), math.log(0.5)]]).expand(count, 2)),
    )
    return Probe(rollouts, table, 2, special, [Task(r.problem, "") for r in rollouts], limit=9)


def turn_of(ids: list[int]) -> Turn:
    count = len(ids)
    return Turn(
        prompt_ids=torch.tensor([3]),
        completion_ids=torch.tensor(ids),
        origin=torch.full((count,), Origin.STUDENT),
        behaviour_logprob=torch.full((count,), -1.0),
        weight_version=torch.zeros(count, dtype=torch.int64),
        finish_reason=FinishReason.STOP,
    )


def test_figures_by_hand() -> None:
    probe = probe_with([[5, 6, 9], [7]], [[-1.0, 0.0, -3.0], [2.0]], special=frozenset({9}))
    found = measures_of(probe)
    assert (found.num_rollouts, found.num_tokens, found.length, found.truncated) == (2, 4, 2.0, 0.5)
    assert found.reverse_kl.mean == pytest.approx((4 / 3 - 2) / 2)  # the mean of the answers' means
    assert found.outliers == pytest.approx(((1 - math.exp(-1)) + 0 + (1 - math.exp(-3)) + 0) / 4)
    assert found.overlap == 0.5 and found.mass == pytest.approx(0.75)
    assert found.negative == 0.5 and found.largest == 0.5  # 3 of 6
    assert found.special == 0.5  # token 9 has 3 of 6
    assert found.student_entropy == 0.5 and found.teacher_entropy == 1.5


def test_deciles_follow_the_place_in_each_answer() -> None:
    ten = list(range(10, 20))
    found = measures_of(probe_with([ten, ten], [[-float(n) for n in range(10)]] * 2)).by_decile
    assert [one.ratio for one in found] == [-float(n) for n in range(10)]
    assert all(one.num_tokens == 2 and one.overlap == 0.5 for one in found)


def test_a_run_of_four_counts_from_its_second_time_on() -> None:
    probe = probe_with([[5, 6, 7, 8, 5, 6, 7, 8, 5], [5, 6, 7, 8]], [[0.0] * 9, [0.0] * 4])
    assert repeated(probe).tolist() == [False] * 7 + [True, True] + [False] * 4


def test_without_a_top_k_nothing_is_claimed() -> None:
    probe = probe_with([[5, 6]], [[0.0, 0.0]])
    blind = Probe(probe.rollouts, probe.table, 0, probe.special_ids, probe.problems, probe.limit)
    assert teacher_mass(blind) is None and measures_of(blind).overlap is None


def test_the_largest_hundredth() -> None:
    assert share_of_largest(torch.zeros(5)) == 0.0
    sizes = torch.ones(200)
    sizes[:2] = 99.0
    assert share_of_largest(sizes) == pytest.approx(198 / 396)


def test_deciles_count_only_tokens_that_the_teacher_reads() -> None:
    """Of a teacher of another tokenizer, tokens without a counterpart have no row: the others still span the answer."""
    whole = probe_with([list(range(20))], [[0.0] * 20])
    half = replace(whole, table=whole.table.keep_rows(torch.arange(10, 20)))
    assert [one.num_tokens for one in measures_of(half).by_decile] == [1] * 10
    assert measures_of(whole).by_decile[0].num_tokens == 2
