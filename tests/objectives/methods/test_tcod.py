"""tcod: the reverse KL of the states the student plays, and how many turns those are."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.methods.test_opd import per_state_reverse_kl
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.tcod import TCOD
from understudy.objectives.writing import ExpertReplay, TurnWindow
from understudy.rollouts import Origin


@pytest.mark.parametrize("curriculum", ["f2b", "b2f"])
def test_expected_gradient_is_the_claimed_one(curriculum):
    chain = make_chain(0)
    objective = objective_of(TCOD(curriculum=curriculum, coefficient=0.5, reduction="token_sum"))
    probability = chain.sequence_logprob(chain.logits).exp()
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    claim = 0.5 * gradient_of(per_state_reverse_kl(chain), chain)
    assert (found - claim).abs().max() < 1e-9
    assert (found + claim).abs().max() > 1e-3


def test_teacher_equal_to_student_gives_exactly_zero():
    chain = make_chain(1)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    objective = objective_of(TCOD(reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=torch.ones(len(chain.sequences)))
    assert torch.equal(found, torch.zeros_like(found))


def test_the_window_grows_by_a_turn_every_six_steps_up_to_thirty():
    turns = objective_of(TCOD()).writing.turns
    assert isinstance(turns, TurnWindow)
    assert [turns.num_turns(step) for step in (0, 5, 6, 11, 12, 173, 174, 1000)] == [1, 1, 2, 2, 3, 29, 30, 30]


def test_the_replay_leaves_a_turn_more_every_five_steps():
    """max(0, len - 1 - floor(step / 5)) of an episode's turns are the expert's."""
    turns = objective_of(TCOD(curriculum="b2f")).writing.turns
    assert isinstance(turns, ExpertReplay)
    for step in (0, 4, 5, 24, 40):
        for length in (1, 4, 9):
            assert max(0, length - turns.num_left(step)) == max(0, length - 1 - step // 5)
    assert objective_of(TCOD(curriculum="b2f")).writing.needs_teacher_text
    assert objective_of(TCOD(curriculum="b2f", steps_per_turn=2)).writing.turns.num_left(4) == 3


def test_replayed_turns_have_no_loss_and_no_part_in_the_mean():
    rollouts = rollouts_of([[3, 5, 2], [4], [2, 2], [6, 1]])
    for turn in (rollouts[0].turns[0], rollouts[0].turns[1], rollouts[3].turns[0]):
        turn.origin[:] = Origin.TEACHER
    probe = make_probe(rollouts)
    table = probe.table
    own = table["origin"] == Origin.STUDENT
    lengths = torch.tensor([2.0, 4.0, 4.0, 1.0], dtype=torch.float64)[table["rollout"]]
    signal = table["teacher_logprob"] - table["student_logprob"]

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        return -(own * rho * signal / lengths).sum() / 4

    (found,) = check_on_ranks(objective_of(TCOD(curriculum="b2f")), probe)
    assert (found - probe.claimed(loss)).abs().max() < 1e-12
    (plan,) = objective_of(TCOD(curriculum="b2f")).plan(table, PlanContext())
    assert torch.equal(plan.terms[0].rows, own.nonzero()[:, 0])
