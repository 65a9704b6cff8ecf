from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from understudy.randomness import bits, derived_seed, permutation, uniform

MASK = (1 << 64) - 1
seeds = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 10_000)


def _splitmix(state: int) -> int:
    """One output of SplitMix64 in plain integers, after the reference C code by Vigna."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def _draws(count: int, *, seed: int = 0, step: int = 0, purpose: str = "gate") -> np.ndarray:
    return uniform(seed=seed, step=step, purpose=purpose, rollout=0, index=torch.arange(count)).numpy()


def test_reference_mixer_gives_the_published_first_outputs_of_seed_zero():
    golden = 0x9E3779B97F4A7C15
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [_splitmix(k * golden & MASK) for k in range(3)] == published


@given(seed=seeds, step=small, rollout=small, index=small)
def test_bits_equal_the_same_hash_in_plain_integers(seed: int, step: int, rollout: int, index: int):
    word = _splitmix(seed & MASK)
    for part in (step, 0xB82B9894, rollout, index):  # crc32 of "gate" stands second
        word = _splitmix(word ^ _splitmix(part))
    assert int(bits(seed=seed, step=step, purpose="gate", rollout=rollout, index=index)) == word


def test_a_draw_is_pinned_for_ever():
    """Resuming an old run must repeat its gates: these numbers may never change."""
    draws = uniform(seed=7, step=3, purpose="trust_region", rollout=2, index=torch.arange(3))
    assert draws.tolist() == [0.16764107171689202, 0.8972493408540415, 0.2594229678708522]


@given(seed=seeds, rollouts=st.lists(small, min_size=1, max_size=20), step=small)
def test_a_draw_does_not_depend_on_what_it_is_batched_with(seed: int, rollouts: list[int], step: int):
    index = torch.arange(len(rollouts))
    together = uniform(seed=seed, step=step, purpose="gate", rollout=torch.tensor(rollouts), index=index)
    alone = [uniform(seed=seed, step=step, purpose="gate", rollout=r, index=i) for i, r in enumerate(rollouts)]
    assert together.tolist() == [float(draw) for draw in alone]
    assert bool(((together >= 0) & (together < 1)).all())


def test_draws_are_uniform():
    assert stats.kstest(_draws(20_000), "uniform").pvalue > 0.01


@pytest.mark.parametrize("other", [{"seed": 1}, {"step": 1}, {"purpose": "sampling"}])
def test_neighbouring_keys_are_independent(other: dict[str, int]):
    first, second = _draws(20_000), _draws(20_000, **other)
    assert not np.isin(first, second).any()
    assert abs(stats.spearmanr(first, second).statistic) < 0.03  # four standard errors
    cells = np.histogram2d(first, second, bins=8, range=((0, 1), (0, 1)))[0]
    assert stats.chisquare(cells.ravel()).pvalue > 0.001


def test_rollout_and_index_are_not_interchangeable():
    assert uniform(seed=0, step=0, purpose="gate", rollout=1, index=2) != uniform(
        seed=0, step=0, purpose="gate", rollout=2, index=1
    )


def test_rollout_and_index_broadcast():
    grid = uniform(seed=0, step=0, purpose="gate", rollout=torch.arange(3)[:, None], index=torch.arange(4)[None, :])
    assert grid.shape == (3, 4)
    assert grid[2, 1] == uniform(seed=0, step=0, purpose="gate", rollout=2, index=1)


@given(seed=seeds, step=small)
def test_a_derived_seed_fits_every_generator(seed: int, step: int):
    derived = derived_seed(seed=seed, step=step, purpose="sampler")
    assert 0 <= derived < 2**63
    torch.Generator().manual_seed(derived)


@given(count=st.integers(0, 200), seed=seeds, epoch=small)
def test_a_permutation_holds_every_item_once(count: int, seed: int, epoch: int):
    order = permutation(count, seed=seed, purpose="data", epoch=epoch)
    assert sorted(order) == list(range(count))
    assert order == permutation(count, seed=seed, purpose="data", epoch=epoch)


def test_epochs_shuffle_anew_and_every_item_comes_first_equally_often():
    firsts = [permutation(5, seed=0, purpose="data", epoch=epoch)[0] for epoch in range(2000)]
    assert stats.chisquare(np.bincount(firsts, minlength=5)).pvalue > 0.001
