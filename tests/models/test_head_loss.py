from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.conformance.tiny import distinct_ids, some_logprobs, tiny_model
from understudy.errors import ShapeError
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.head_scores import score_rows
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood, ToTarget
from understudy.tokens import Hidden

ROWS, WIDTH, VOCAB = 12, 16, 19


def head_and_states(*, dtype: torch.dtype = torch.float64) -> tuple[Head, Tensor]:
    head = Head(tiny_model(dtype=dtype), vocab_size=VOCAB)
    return head, torch.randn(ROWS, WIDTH, dtype=dtype).requires_grad_()


def terms() -> list[RowTerm]:
    """A likelihood on some rows, a divergence on others that overlap, and the whole vocabulary on three."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.tensor([0, 1, 4, 5, 6, 11]), torch.tensor([1, 2, 5, 9])
    ids = distinct_ids(4, 3, vocab_size=VOCAB, generator=generator)
    teacher = Hidden(torch.randn(3, WIDTH, dtype=torch.float64), nn.Linear(WIDTH, VOCAB + 2, dtype=torch.float64))
    return [
        RowTerm("nll", first, torch.randn(6).double(), Likelihood(torch.ones(6, 1)), torch.arange(6)[:, None]),
        RowTerm(
            "kl",
            second,
            torch.randn(4).double(),
            Divergence("reverse", some_logprobs(4, ids, vocab_size=VOCAB, generator=generator), "tail"),
            ids,
        ),
        RowTerm("full", torch.tensor([0, 9, 10]), torch.rand(3).double(), Divergence("jsd"), target=teacher),
    ]


def gradients(head: Head, hidden: Tensor, *, scale: float = 1.0, **options: object) -> tuple[Tensor, Tensor, dict]:
    for tensor in (hidden, *head.parameters):
        tensor.grad = None
    loss, sums = head_loss(hidden, head, terms(), **{"chunk_rows": 100, **options})
    (loss * scale).backward()
    assert hidden.grad is not None
    return hidden.grad.clone(), head.parameters[0].grad.clone(), sums


@pytest.mark.parametrize("chunk_rows", [1, 4, 5, 12])
def test_chunks_change_nothing(chunk_rows: int) -> None:
    torch.manual_seed(0)
    head, hidden = head_and_states()
    torch.manual_seed(1)
    expected = gradients(head, hidden, temperature=0.8)
    torch.manual_seed(1)
    got = gradients(head, hidden, temperature=0.8, chunk_rows=chunk_rows)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-10)
    assert expected[0][3].abs().max() == 0  # no term has row 3
    assert expected[0][0].abs().max() > 1e-3


def test_never_more_logits_than_a_chunk() -> None:
    head, hidden = head_and_states()
    seen = []
    into = head.into
    head.into = lambda rows, out: (seen.append(rows.shape[0]), into(rows, out))[1]  # type: ignore[method-assign]
    head_loss(hidden, head, terms(), chunk_rows=5)
    score_rows(hidden, head, token_id=torch.zeros(ROWS, dtype=torch.int64), chunk_rows=5)
    assert seen == [5, 5, 2, 5, 5, 2]


def test_backward_scales_by_the_upstream_gradient() -> None:
    head, hidden = head_and_states()
    torch.manual_seed(1)
    once = gradients(head, hidden)
    torch.manual_seed(1)
    thrice = gradients(head, hidden, scale=-3.0)
    torch.testing.assert_close(thrice[0], -3 * once[0])
    torch.testing.assert_close(thrice[1], -3 * once[1])


def test_frozen_head_or_frozen_states() -> None:
    head, hidden = head_and_states()
    torch.manual_seed(1)
    both = gradients(head, hidden)
    for p in head.module.parameters():
        p.requires_grad_(False)
        p.grad = None
    hidden.grad = None
    torch.manual_seed(1)
    head_loss(hidden, head, terms(), chunk_rows=5)[0].backward()
    torch.testing.assert_close(hidden.grad, both[0])
    assert all(p.grad is None for p in head.module.parameters())
    head.module.requires_grad_(True)
    torch.manual_seed(1)
    head_loss(hidden.detach(), head, terms(), chunk_rows=5)[0].backward()
    torch.testing.assert_close(head.parameters[0].grad, both[1])
    head.module.requires_grad_(False)
    torch.manual_seed(1)
    loss, sums = head_loss(hidden.detach(), head, terms(), chunk_rows=5)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, torch.stack(list(sums.values())).sum())
    torch.testing.assert_close(sums["full"], both[2]["full"])


def test_no_rows_give_a_zero_attached_to_the_graph() -> None:
    head, hidden = head_and_states()
    loss, sums = head_loss(hidden[:0], head, [], chunk_rows=5)
    assert (float(loss.detach()), sums) == (0.0, {})
    loss.backward()
    assert hidden.grad is not None and hidden.grad.abs().max() == 0
    assert head.parameters[0].grad.abs().max() == 0


def test_whole_vocabulary_needs_a_target_of_that_vocabulary() -> None:
    head, hidden = head_and_states()
    good = terms()[2]
    narrow = Hidden(good.target.states, nn.Linear(WIDTH, VOCAB - 1, dtype=torch.float64))
    common = (good.index, good.weights)
    for term in (
        RowTerm("t", *common, Divergence("forward")),
        RowTerm("t", *common, Divergence("forward"), target=narrow),
        RowTerm("t", *common, ToTarget(torch.zeros(3, 1)), target=good.target),
    ):
        with pytest.raises(ShapeError, match="'t'"):
            head_loss(hidden, head, [term], chunk_rows=5)


def test_teacher_equal_to_student_gives_no_gradient() -> None:
    head, hidden = head_and_states()
    target = Hidden(hidden.detach(), head.frozen())
    every = torch.arange(ROWS)
    term = RowTerm("kl", every, torch.ones(ROWS).double(), Divergence("reverse"), target=target)
    loss, _ = head_loss(hidden, head, [term], chunk_rows=5, temperature=1.3)
    loss.backward()
    assert abs(float(loss.detach())) < 1e-12
    assert hidden.grad.abs().max() < 1e-12


def test_extreme_logits_stay_finite() -> None:
    head, hidden = head_and_states(dtype=torch.float32)
    big = (hidden * 1e4).detach().requires_grad_()
    scores = score_rows(big, head, token_id=torch.zeros(ROWS, dtype=torch.int64), entropy=True, top_k=2, chunk_rows=5)
    term = RowTerm(
        "nll", torch.arange(ROWS), torch.ones(ROWS), Likelihood(torch.ones(ROWS, 1)), torch.zeros(ROWS, 1).long()
    )
    loss, _ = head_loss(big, head, [term], chunk_rows=5)
    loss.backward()
    for value in (loss, big.grad, scores.sampled, scores.entropy, scores.top_logprobs):
        assert bool(torch.isfinite(value).all())
    assert float(scores.entropy.abs().max()) < 1e-3
