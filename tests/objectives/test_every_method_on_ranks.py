"""World size is no part of a method: two ranks together have the gradient and the figures of one, for every method."""

from __future__ import annotations

import pytest

from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.methods import METHODS, objective_of
from understudy.rollouts import Origin


@pytest.mark.parametrize("config", list(METHODS), ids=lambda c: c.__name__)
def test_two_ranks_are_one(config):
    rollouts = rollouts_of([[4], [6], [3], [5], [7], [2], [6], [4], [5, 3], [4, 6]])
    rollouts[1].turns[0].origin[:] = Origin.DATA
    rollouts[2].turns[0].origin[:] = Origin.DATA
    rollouts[3].turns[0].origin[:] = Origin.TEACHER
    rollouts[4].turns[0].origin[:2] = Origin.TEACHER
    rollouts[7].turns[0].origin[:] = Origin.DATA
    rollouts[8].turns[0].origin[:] = Origin.TEACHER
    probe = make_probe(rollouts)
    gradients = check_on_ranks(objective_of(config(num_updates=2)), probe)
    assert len(gradients) == 2 and all(gradient.abs().max() > 0 for gradient in gradients)
