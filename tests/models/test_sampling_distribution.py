"""The draw against distributions small enough to write down, and wide enough to need blocks."""

from __future__ import annotations

import math

import pytest
import torch

from understudy.models.sampling_distribution import draw, inverse_cdf, kept_tokens
from understudy.protocols import SamplingParams


def test_inverse_cdf_by_hand() -> None:
    weights = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]]).expand(6, -1)
    uniform = torch.tensor([0.0, 0.1, 0.2499, 0.25, 0.7, 1 - 2**-53], dtype=torch.float64)
    assert inverse_cdf(weights, uniform).tolist() == [1, 1, 1, 3, 3, 3]


def test_blocks_agree_with_one_cumulative_sum() -> None:
    torch.manual_seed(0)
    weights = torch.rand(64, 3001).pow(8) * (torch.rand(64, 3001) < 0.1)
    uniform = torch.rand(64, dtype=torch.float64)
    cumulative = weights.double().cumsum(-1)
    expected = (cumulative <= (uniform * cumulative[:, -1])[:, None]).sum(-1)
    assert inverse_cdf(weights, uniform).tolist() == expected.tolist()


def test_the_largest_draw_stays_on_a_token_with_weight() -> None:
    torch.manual_seed(0)
    weights = torch.rand(200, 1100)
    weights[:, 700:] = 0
    weights[:, 699] = 1e-30
    ids = inverse_cdf(weights, torch.full((200,), 1 - 2**-53, dtype=torch.float64))
    assert ids.max() <= 699
    assert (weights.gather(1, ids[:, None]) > 0).all()


def test_nucleus_by_hand() -> None:
    weights = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
    assert kept_tokens(weights, top_k=0, top_p=0.7).tolist() == [[False, True, False, True]]
    assert kept_tokens(weights, top_k=0, top_p=0.71).tolist() == [[False, True, True, True]]
    assert kept_tokens(weights, top_k=2, top_p=1.0).tolist() == [[False, True, False, True]]
    assert kept_tokens(weights, top_k=2, top_p=0.57).tolist() == [[False, True, False, False]], "4/7 of the two kept"
    assert kept_tokens(weights, top_k=0, top_p=1e-9).tolist() == [[False, True, False, False]]


def test_a_nucleus_wider_than_the_first_look_is_whole() -> None:
    torch.manual_seed(0)
    weights = torch.rand(3, 5000)
    weights[0, 0] = 1e6
    kept = kept_tokens(weights, top_k=0, top_p=0.9)
    for row, keep in zip(weights.double(), kept, strict=True):
        assert row[keep].sum() >= 0.9 * row.sum()
        assert row[keep].sum() - row[keep].min() < 0.9 * row.sum()
        assert keep.all() or row[keep].min() >= row[~keep].max()


@pytest.mark.parametrize("temperature", [0.6, 0.1, 0.01, 1e-38])
def test_log_probs_hold_at_low_temperatures(temperature: float) -> None:
    """Behaviour and scores are compared to 1e-5 nats, wherever a model's logits lie."""
    torch.manual_seed(0)
    logits = torch.randn(64, 5000) * 2 + 300
    drawn = draw(logits, torch.rand(64, dtype=torch.float64), SamplingParams(4, temperature=temperature))
    exact = (logits.double() / temperature).log_softmax(-1).gather(1, drawn.ids[:, None]).squeeze(1)
    torch.testing.assert_close(drawn.logprobs, exact.float(), atol=2e-6, rtol=1e-6)


def test_log_probs_of_a_wide_row_keep_five_digits() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 150_000) * 2
    drawn = draw(logits, torch.rand(4, dtype=torch.float64), SamplingParams(1))
    exact = logits.double().log_softmax(-1).gather(1, drawn.ids[:, None]).squeeze(1)
    torch.testing.assert_close(drawn.logprobs.double(), exact, atol=2e-6, rtol=0)


def test_temperature_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    drawn = draw(logits, torch.tensor([0.9], dtype=torch.float64), SamplingParams(1, temperature=0.5))
    assert drawn.ids.item() == 1
    assert math.isclose(drawn.logprobs.item(), math.log(0.9), abs_tol=1e-6)
    greedy = draw(logits, torch.tensor([0.0], dtype=torch.float64), SamplingParams(1, temperature=0.0))
    assert greedy.ids.item() == 1
    assert math.isclose(greedy.logprobs.item(), math.log(0.75), abs_tol=1e-6)


def test_tokens_without_mass_are_never_drawn() -> None:
    logits = torch.full((50, 9), float("-inf"))
    logits[:, 4] = -500.0
    drawn = draw(logits, torch.rand(50, dtype=torch.float64), SamplingParams(1))
    assert set(drawn.ids.tolist()) == {4}
    assert drawn.logprobs.abs().max() == 0
