"""The sampler over architecture families: exact to a re-score, the same in waves, refilled slots and alone."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from transformers import PreTrainedModel

from tests.models.families import PACKABLE, RECURRENT, VOCAB, tiny
from understudy.engines.local import LocalScorer
from understudy.models import sampling
from understudy.models.load import describe
from understudy.models.sampling import LocalSampler
from understudy.models.sampling_decode import Seating
from understudy.protocols import Sample, SampleRequest, SamplingParams, ScoreRequest

FAMILIES = [*PACKABLE, *RECURRENT]
# Greater than every window and chunk of the families; some completions stop early.
PARAMS = SamplingParams(max_completion_length=18, stop_ids=frozenset({1, 2}))


@cache
def model_of(family: str) -> PreTrainedModel:
    return tiny(family, dtype=torch.float32)


def requests() -> list[SampleRequest]:
    """Three completions of a long prompt, two of a short one, and prompts of other lengths between them."""
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, VOCAB, (length,), generator=generator) for length in (17, 4, 9, 1)]
    return [SampleRequest(prompts[n], key=10 + key) for key, n in enumerate([0, 1, 2, 0, 3, 0, 1])]


def sampler_of(family: str, rows: int = 256) -> LocalSampler:
    return LocalSampler(model_of(family), vocab_size=VOCAB, max_length=64, max_batch_rows=rows)


@cache
def together(family: str) -> list[Sample]:
    return sampler_of(family).sample(requests(), PARAMS, seed=3, step=1)


def assert_same(got: list[Sample], wanted: list[Sample]) -> None:
    assert [one.completion_ids.tolist() for one in got] == [one.completion_ids.tolist() for one in wanted]
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-5, rtol=0)
        assert one.finish_reason == other.finish_reason


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probs_equal_a_re_score(family: str) -> None:
    scorer = LocalScorer(describe(model_of(family), None))
    for request, sample in zip(requests(), together(family), strict=True):
        start, count = request.prompt_ids.numel(), sample.completion_ids.numel()
        scores = scorer.score(
            ScoreRequest(
                contexts=[torch.cat([request.prompt_ids, sample.completion_ids])],
                context=torch.zeros(count, dtype=torch.int64),
                position=torch.arange(start, start + count),
            )
        )
        torch.testing.assert_close(sample.logprobs, scores.sampled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("refill", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_waves_and_refilled_slots_give_the_same_samples(
    family: str, refill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "seating", lambda count, rows, **_: Seating(rows, refill=refill))
    assert_same(sampler_of(family, rows=3).sample(requests(), PARAMS, seed=3, step=1), together(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_is_what_transformers_generates(family: str) -> None:
    params = SamplingParams(max_completion_length=16, temperature=0.0, stop_ids=frozenset({1}))
    for request, sample in zip(requests(), sampler_of(family).sample(requests(), params, seed=0, step=0), strict=True):
        ids = request.prompt_ids[None]
        made = model_of(family).generate(  # type: ignore[operator]
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=16
        )
        assert sample.completion_ids.tolist() == made[0, ids.shape[1] :].tolist()
