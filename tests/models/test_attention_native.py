"""Attention in C is attention in float64, forward and backward, whatever stands beside a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from transformers.masking_utils import sliding_window_overlay

from understudy.models import native, packed_attention
from understudy.models.attention import Rule
from understudy.models.attention_native import LONGEST, attend_in_c, can_attend
from understudy.models.packed_attention import SequenceMask, attend

HERE = can_attend(*(torch.zeros(1, 1, 8),) * 3, longest=1)
needs_c = pytest.mark.skipif(not HERE, reason="there is no C compiler")
LENGTHS = (1, 5, 12, 13, 100, 33, 197)
SHAPES = [(4, 2, 32), (3, 3, 40), (4, 1, 8), (2, 1, 128), (2, 2, 50)]  # heads, groups, width


def plain(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], scaling: float) -> Tensor:
    """The same, written out, one sequence after the other."""
    mixed = []
    for q, k, v in zip(*(x.split(list(lengths)) for x in (query, key, value)), strict=True):
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) * scaling
        hidden = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
        mixed.append(torch.einsum("hqk,khd->qhd", scores.masked_fill(hidden, -torch.inf).softmax(-1), v))
    return torch.cat(mixed)


def inputs(shape: tuple[int, int, int], total: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    heads, groups, width = shape
    return [torch.randn(total, count, width).to(dtype) for count in (heads, groups, groups)]


@needs_c
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradients(shape: tuple[int, int, int], dtype: torch.dtype, tolerance: float) -> None:
    given = inputs(shape, sum(LENGTHS), dtype)
    leaves, exact = [x.clone().requires_grad_() for x in given], [x.double().requires_grad_() for x in given]
    one, other = attend_in_c(*leaves, LENGTHS, scaling=0.3), plain(*exact, LENGTHS, 0.3)
    g = torch.randn(other.shape).to(dtype)
    made = torch.autograd.grad(one, leaves, g), torch.autograd.grad(other, exact, g.double())
    for got, wanted in zip((one, *made[0]), (other, *made[1]), strict=True):
        assert got.dtype == dtype and got.shape == wanted.shape
        assert (got.double() - wanted).abs().max() <= tolerance * wanted.abs().max()


@needs_c
def test_views_are_read_where_they_lie() -> None:
    """Projections come as one row of all heads, and keys beside values: steps between tokens are wider than a head."""
    together = torch.randn(30, 8, 32)
    query, key, value = together[:, :4], together[:, 4:6], together[:, 6:]
    assert not query.is_contiguous()
    expected = attend_in_c(*(x.contiguous() for x in (query, key, value)), (10, 20), scaling=0.2)
    assert torch.equal(attend_in_c(query, key, value, (10, 20), scaling=0.2), expected)
    turned = query.transpose(1, 2).contiguous().transpose(1, 2)  # numbers of a head apart
    assert torch.equal(attend_in_c(turned, key, value, (10, 20), scaling=0.2), expected)


@needs_c
def test_no_bit_depends_on_neighbours_or_threads() -> None:
    query, key, value = inputs((4, 2, 32), sum(LENGTHS))
    together = attend_in_c(query, key, value, LENGTHS, scaling=0.2).split(LENGTHS)
    for length, *parts, found in zip(LENGTHS, *(x.split(LENGTHS) for x in (query, key, value)), together, strict=True):
        assert torch.equal(attend_in_c(*parts, (length,), scaling=0.2), found)
    threads = torch.get_num_threads()
    native.threads.cache_clear()
    torch.set_num_threads(3)
    try:
        assert torch.equal(attend_in_c(query, key, value, LENGTHS, scaling=0.2), torch.cat(together))
    finally:
        torch.set_num_threads(threads)
        native.threads.cache_clear()


@needs_c
def test_what_is_not_a_number_shows_in_every_token_that_sees_it() -> None:
    query, key, value = inputs((1, 1, 16), 20)
    key[7] = torch.nan
    found = attend_in_c(query, key, value, (20,), scaling=0.2).isnan().flatten(1).any(1)
    assert found.tolist() == [False] * 7 + [True] * 13
    key[7], query[3] = torch.inf, 1.0
    assert bool(attend_in_c(query, key, value, (20,), scaling=0.2)[7:].isnan().flatten(1).any())


@needs_c
def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    query, key, value = inputs((1, 1, 16), 40)
    given = [(30 * query).requires_grad_(), (30 * key).requires_grad_(), value.requires_grad_()]
    found = attend_in_c(*given, (40,), scaling=1.0)
    expected = plain(*(x.double() for x in given), (40,), 1.0)
    assert float((found.detach().double() - expected.detach()).abs().max()) < 1e-4
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(found.sum(), given))


def test_who_is_taken() -> None:
    narrow, wide = torch.zeros(2, 2, 16), torch.zeros(2, 2, 512)
    assert can_attend(narrow, narrow, narrow, longest=2) is HERE
    assert not can_attend(narrow, narrow, narrow, longest=LONGEST + 1)
    assert not can_attend(narrow, narrow, narrow, longest=0)
    assert not can_attend(wide, wide, wide, longest=2)
    assert not can_attend(narrow, narrow.bfloat16(), narrow, longest=2)
    assert not can_attend(*(narrow.double(),) * 3, longest=2)
    assert not can_attend(*(narrow.to("meta"),) * 3, longest=2)


@needs_c
@pytest.mark.parametrize("lengths", [(3, 30, 7), None], ids=["packed", "padded"])
def test_models_attend_through_it_where_the_mask_is_plainly_causal(
    lengths: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (1, 40) if lengths else (3, 20)
    query, key, value = (torch.randn(*shape, count, 16).transpose(1, 2) for count in (4, 2, 2))
    window = Rule(sliding_window_overlay(4), 4)
    calls: list[Sequence[int]] = []

    def counted(*rows: Tensor, scaling: float) -> Tensor:
        calls.append(rows[3])  # type: ignore[arg-type]
        return attend_in_c(*rows, scaling=scaling)  # type: ignore[arg-type, misc]

    def answer(rule: Rule, **options: float) -> Tensor:
        return attend(nn.Module(), query, key, value, SequenceMask(lengths, rule), **options)[0]  # type: ignore[arg-type]

    monkeypatch.setattr(packed_attention, "attend_in_c", counted)
    found = answer(Rule())
    assert calls == [lengths or (20, 20, 20)]
    answer(window), answer(Rule(), softcap=2.0), answer(Rule(), dropout=0.5)
    assert len(calls) == 1, "none of these is plain"
    monkeypatch.setattr(packed_attention, "can_attend", lambda *_, **__: False)
    torch.testing.assert_close(found, answer(Rule()), rtol=1e-5, atol=1e-6)
