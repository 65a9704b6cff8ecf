"""The policy gradient of K candidates: weights, entries that do not count, and its statistics."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.oracle import rollout_of
from understudy.errors import ShapeError
from understudy.objectives.candidates import candidate_gradient, equal_weight, student_share, teacher_share
from understudy.objectives.context import PlanContext
from understudy.objectives.objective import Objective
from understudy.objectives.supports import Candidates, intersection, student_top_k, teacher_top_k
from understudy.plans import Ratio
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import Wide, batch_of

CANDIDATES = Candidates(
    torch.tensor([[4, 7, 2]]),
    target=torch.tensor([[0.3, 0.1, 0.6]], dtype=torch.float64).log(),
    student=torch.tensor([[0.2, 0.6, 0.1]], dtype=torch.float64).log(),
    valid=torch.tensor([[True, True, False]]),
)


def test_weights_by_hand():
    assert student_share(CANDIDATES)[0].tolist() == pytest.approx([0.25, 0.75, 0.0])
    assert teacher_share(CANDIDATES)[0].tolist() == pytest.approx([0.75, 0.25, 0.0])
    assert equal_weight(CANDIDATES)[0].tolist() == [1, 1, 1]


def one_row():
    rollout = rollout_of([4], key=0, group=0, origin=Origin.STUDENT)
    table = batch_of([rollout], contexts_of([rollout])).table
    ids, other = torch.tensor([[4, 7]]), torch.tensor([[7, 2]])

    def wide(at, *values):
        return Wide(at, torch.tensor([values], dtype=torch.float64).log())

    return table.with_wide(
        student_top_k=wide(ids, 0.2, 0.6),
        teacher_at_student_top_k=wide(ids, 0.0, 0.3),
        teacher_top_k=wide(other, 0.3, 0.6),
        student_at_teacher_top_k=wide(other, 0.6, 0.1),
    )


def test_advantages_by_hand_and_a_teacher_without_mass():
    support = student_top_k(2, student=True)
    (plan,) = Objective({"policy": candidate_gradient(support=support, coefficient=2.0)}).plan(one_row(), PlanContext())
    (term,) = plan.terms
    low = -100 - torch.tensor(0.2, dtype=torch.float64).log()
    half = torch.tensor(0.5, dtype=torch.float64).log()
    assert term.row_loss.advantage[0].tolist() == pytest.approx([2 * 0.25 * float(low), 2 * 0.75 * float(half)])
    assert term.row_loss.ratio == Ratio() and term.row_loss.old_logprob is None
    assert term.support.ids.tolist() == [[4, 7]]


@pytest.mark.parametrize("weight", [student_share, teacher_share, equal_weight])
def test_entries_outside_the_set_have_no_advantage(weight):
    support = intersection(student_top_k(2, student=True), teacher_top_k(2, student=True))
    term = candidate_gradient(support=support, weight=weight, ratio=Ratio("ppo", low=0.8, high=1.2))
    (plan,) = Objective({"policy": term}).plan(one_row(), PlanContext())
    half = float(torch.tensor(0.5, dtype=torch.float64).log())
    assert plan.terms[0].row_loss.advantage[0].tolist() == pytest.approx([0.0, half])
    assert plan.terms[0].row_loss.old_logprob[0].exp().tolist() == pytest.approx([0.2, 0.6])
    assert plan.statistics["advantage/policy/mean"] == pytest.approx(half)


def test_a_difference_of_rounding_is_no_advantage():
    """The teacher's 0.6 as prefill has it, 1e-5 nats beside the student's; and one that is no rounding."""
    for apart, expected in ((1e-5, 0.0), (1e-3, 1e-3)):
        table = one_row()
        own = table.wide_column("student_top_k")
        same = Wide(own.ids, own.logprobs + torch.tensor([0.0, apart]))
        term = candidate_gradient(support=student_top_k(2, student=True), weight=equal_weight)
        (plan,) = Objective({"policy": term}).plan(table.with_wide(teacher_at_student_top_k=same), PlanContext())
        assert plan.terms[0].row_loss.advantage[0].tolist() == pytest.approx([0.0, expected], abs=1e-9)


def test_a_support_without_the_student_is_refused():
    with pytest.raises(ShapeError, match="student"):
        Objective({"policy": candidate_gradient(support=student_top_k(2))}).plan(one_row(), PlanContext())
