"""The soft-or of uncertainty and disagreement, over the batch of all ranks."""

from __future__ import annotations

import torch

from tests.fake_world import on_ranks
from tests.objectives.oracle import rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.importance import min_max_over_batch, most_informative
from understudy.objectives.needs import requires
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.world import SingleProcess


@requires("disagreement")
def disagreement(table, _):
    return table["disagreement"]


def table_of(entropy, divergence, *, origin=Origin.STUDENT) -> TokenTable:
    rollout = rollout_of([1] * len(entropy), key=0, group=0, origin=origin)
    table = batch_of([rollout], contexts_of([rollout])).table
    columns = {"student_entropy": entropy, "disagreement": divergence}
    return table.with_tokens(**{name: torch.tensor(c, dtype=torch.float64) for name, c in columns.items()})


def kept(table, share, **options):
    return most_informative(share, divergence=disagreement, **options)(table, PlanContext()).tolist()


def test_unsure_tokens_and_confident_mistakes_are_kept_by_hand():
    table = table_of([0.0, 1.0, 0.1, 0.2], [0.0, 0.0, 8.0, 0.8])  # scores 0, 1, 1, 0.28
    assert kept(table, 0.5, clip_quantile=1.0) == [False, True, True, False]
    assert kept(table, 0.75, clip_quantile=1.0) == [False, True, True, True]
    assert kept(table, 1.0, clip_quantile=1.0) == [True] * 4


def test_an_outlier_of_entropy_does_not_hide_the_others():
    table = table_of([0.0, 1.0, 2.0, 3.0, 1000.0], [0.0, 0.9, 0.0, 0.0, 1.0])
    assert kept(table, 0.5, clip_quantile=1.0) == [False, True, False, True, True]
    # Cut at its 0.75-quantile 3: scores 0, 0.93, 0.67, 1, 1.
    assert kept(table, 0.4, clip_quantile=0.75) == [False, False, False, True, True]
    assert kept(table, 0.4, clip_quantile=1.0) == [False, True, False, False, True]


def test_only_the_student_s_tokens_set_the_scale_and_are_kept():
    table = table_of([9.0, 1.0, 0.0], [9.0, 0.0, 0.0])
    table = table.with_tokens(origin=torch.tensor([Origin.DATA, Origin.STUDENT, Origin.STUDENT]))
    assert kept(table, 0.5, clip_quantile=1.0) == [False, True, False]


def test_the_line_is_drawn_through_the_student_s_tokens_alone():
    """Scores 0, 1, 2/3 and 1/3 of the student's; a teacher's two stand below all of them."""
    table = table_of([0.0, 3.0, 2.0, 1.0, -9.0, -9.0], [0.0] * 6)
    table = table.with_tokens(origin=torch.tensor([Origin.STUDENT] * 4 + [Origin.TEACHER] * 2))
    assert kept(table, 0.5, clip_quantile=1.0) == [False, True, True, False, False, False]


def test_the_scale_is_that_of_all_ranks():
    values = [torch.tensor([1.0, 9.0]), torch.tensor([5.0]), torch.tensor([-3.0, 2.0])]
    among = [torch.tensor([True, False]), torch.tensor([True]), torch.tensor([False, True])]

    def work(rank, world):
        return min_max_over_batch(values[rank], among=among[rank], world=world)

    expected = [[0.0, 2.0], [1.0], [-1.0, 0.25]]
    assert [scaled.tolist() for scaled in on_ranks(work, 3)] == expected


def test_equal_values_and_no_values_stand_out_nowhere():
    world = SingleProcess()
    flat, none = torch.full((3,), 2.0), torch.zeros(3, dtype=torch.bool)
    assert min_max_over_batch(flat, among=~none, world=world).tolist() == [0, 0, 0]
    assert min_max_over_batch(flat, among=none, world=world).tolist() == [0, 0, 0]
