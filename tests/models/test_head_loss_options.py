"""Options of divergences and candidates of likelihoods through the executor, against dense autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.conformance.tiny import distinct_ids, some_logprobs, tiny_model
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood, Ratio
from understudy.tokens import Hidden

ROWS, WIDTH, VOCAB, K, TEMPERATURE = 12, 16, 19, 4, 0.8
INDEX = torch.tensor([0, 1, 4, 5, 9, 11])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


TEACHER = Hidden(
    torch.randn(len(INDEX), WIDTH, generator=generator(), dtype=torch.float64),
    nn.Linear(WIDTH, VOCAB + 2, dtype=torch.float64),
)
IDS = distinct_ids(len(INDEX), K, vocab_size=VOCAB, generator=generator())
TARGET = some_logprobs(len(INDEX), IDS, vocab_size=VOCAB, generator=generator())
VALID = torch.tensor([[True, True, False, True], [True] * 4, [False] * 4] * 2)
WEIGHTS = torch.rand(len(INDEX), generator=generator(), dtype=torch.float64)


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(1)


def teacher_logprobs() -> Tensor:
    return (TEACHER.project(TEACHER.states)[:, :VOCAB] / TEMPERATURE).log_softmax(1).detach()


def product_forward(live: Tensor) -> Tensor:
    return kl((teacher_logprobs() + 0.6 * live.detach()).log_softmax(1), live)


def clipped_reverse(live: Tensor) -> Tensor:
    return (live.exp() * (live - teacher_logprobs()).clamp(-0.5, 0.5)).sum(1)


def renormalised_on_valid(live: Tensor) -> Tensor:
    rows = []
    for l, t, keep in zip(live.gather(1, IDS), TARGET.double(), VALID, strict=True):
        rows.append(kl(l[keep].log_softmax(0)[None], t[keep].log_softmax(0)[None])[0] if keep.any() else 0 * l.sum())
    return torch.stack(rows)


ADVANTAGE = torch.randn(len(INDEX), K, generator=generator(), dtype=torch.float64)
OLD = TARGET.double()


def clipped_candidates(live: Tensor) -> Tensor:
    rho = (live.gather(1, IDS) - OLD).exp()
    surrogate = torch.minimum(rho * ADVANTAGE, rho.clamp(0.8, 1.2) * ADVANTAGE)
    return -(surrogate * VALID).sum(1)


CASES = {
    "product with the student, whole vocabulary": (
        RowTerm("t", INDEX, WEIGHTS, Divergence("forward", student_power=0.6), target=TEACHER),
        product_forward,
    ),
    "clipped log ratio, whole vocabulary": (
        RowTerm("t", INDEX, WEIGHTS, Divergence("reverse", log_ratio_clip=0.5), target=TEACHER),
        clipped_reverse,
    ),
    "entries that do not count": (
        RowTerm("t", INDEX, WEIGHTS, Divergence("reverse", TARGET, "renormalised"), IDS, VALID),
        renormalised_on_valid,
    ),
    "candidates, each with its clip": (
        RowTerm("t", INDEX, WEIGHTS, Likelihood(ADVANTAGE, Ratio("ppo", low=0.8, high=1.2), OLD), IDS, VALID),
        clipped_candidates,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chunk_rows", [1, 5, 12])
def test_the_executor_gives_the_value_and_gradient_of_the_written_out_loss(name: str, chunk_rows: int) -> None:
    term, claim = CASES[name]
    torch.manual_seed(0)
    head = Head(tiny_model(dtype=torch.float64), vocab_size=VOCAB)
    hidden = torch.randn(ROWS, WIDTH, dtype=torch.float64).requires_grad_()
    weight = head.parameters[0]
    loss, _ = head_loss(hidden, head, [term], temperature=TEMPERATURE, chunk_rows=chunk_rows)
    found = torch.autograd.grad(loss, [hidden, weight])
    live = (head(hidden)[INDEX] / TEMPERATURE).log_softmax(1)
    dense = (WEIGHTS * claim(live)).sum()
    expected = torch.autograd.grad(dense, [hidden, weight])
    torch.testing.assert_close(loss, dense, atol=1e-10, rtol=0)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    assert expected[0].abs().max() > 1e-3 and expected[0][3].abs().max() == 0
