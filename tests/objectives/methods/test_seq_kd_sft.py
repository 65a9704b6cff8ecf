"""seq_kd and sft: maximum likelihood on the teacher's samples and on the data's completions."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from understudy.objectives.methods import SFT, SeqKD, objective_of
from understudy.rollouts import Origin


@pytest.mark.parametrize("seed", [0, 1])
def test_seq_kd_follows_the_forward_kl_of_sequences(seed):
    chain = make_chain(seed)
    teacher = chain.sequence_logprob(chain.teacher)
    found = expected_gradient(
        objective_of(SeqKD(reduction="token_sum")), chain, origin=Origin.TEACHER, probability=teacher.exp()
    )

    def forward_kl(logits):
        return (teacher.exp() * (teacher - chain.sequence_logprob(logits))).sum()

    assert (found - gradient_of(forward_kl, chain)).abs().max() < 1e-9


def test_sft_follows_the_likelihood_of_the_data():
    chain = make_chain(2)
    data = torch.rand(len(chain.sequences), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = expected_gradient(objective_of(SFT(reduction="token_sum")), chain, origin=Origin.DATA, probability=data)
    claim = gradient_of(lambda logits: -(data * chain.sequence_logprob(logits)).sum(), chain)
    assert (found - claim).abs().max() < 1e-9


def test_each_learns_only_from_its_own_writer():
    chain = make_chain(0)
    for config, writer in ((SFT(), Origin.DATA), (SeqKD(), Origin.TEACHER)):
        for origin in (Origin.STUDENT, Origin.TEACHER, Origin.DATA):
            found = expected_gradient(
                objective_of(config), chain, origin=origin, probability=torch.ones(len(chain.sequences))
            )
            assert bool(found.abs().max() > 0) == (origin == writer)
