"""What every sampler must do. An engine's test subclasses ``SamplerSuite`` and gives a ``subject``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from understudy.errors import ContextLengthError, RecipeError
from understudy.protocols import Sample, Sampler, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason


@dataclass(frozen=True, eq=False)
class SamplerSubject:
    """A sampler under test.

    Args:
        sampler: fresh, weights version 7.
        logits: [L] ids -> [L, V] float32 logits of the same weights, one dense forward without a cache.
        vocab_size: V, at most 16 so that distributions can be counted. max_length: context, 41 to 64 tokens.
    """

    sampler: Sampler
    logits: Callable[[Tensor], Tensor]
    vocab_size: int
    max_length: int


PARAMS = SamplingParams(max_completion_length=12, stop_ids=frozenset({1}))
TRUNCATIONS = {
    "plain": PARAMS,
    "hot": replace(PARAMS, temperature=1.7),
    "cold": replace(PARAMS, temperature=0.4),
    "top_k": replace(PARAMS, top_k=3),
    "top_p": replace(PARAMS, top_p=0.6),
    "all": replace(PARAMS, temperature=0.8, top_k=5, top_p=0.7),
}


def reference_logprobs(logits: Tensor, params: SamplingParams) -> Tensor:
    """[V] float64 log-probs of the distribution to sample, written the slow plain way; -inf where truncated."""
    scaled = logits.double() / params.temperature
    order = scaled.argsort(descending=True)
    keep = order[: params.top_k or None]
    mass = scaled[keep].softmax(0)
    before = mass.cumsum(0) - mass
    keep = keep[before < params.top_p]
    result = torch.full_like(scaled, float("-inf"))
    result[keep] = scaled[keep].log_softmax(0)
    return result


class SamplerSuite:
    """The suite; subclasses define the fixture ``subject``.

    Args:
        num_draws: of the test of distributions; fewer where each costs a request.
    """

    num_draws = 4000

    @pytest.fixture
    def subject(self) -> SamplerSubject:
        raise NotImplementedError

    def requests(self, subject: SamplerSubject, count: int = 9) -> list[SampleRequest]:
        generator = torch.Generator().manual_seed(5)
        lengths = [1, 7, 3, 3, 12, 2, 5, 5, 9][:count]
        prompts = [torch.randint(0, subject.vocab_size, (n,), generator=generator) for n in lengths]
        prompts[3] = prompts[2]
        return [SampleRequest(prompt, key=100 + i) for i, prompt in enumerate(prompts)]

    @pytest.mark.parametrize("name", TRUNCATIONS)
    def test_log_probs_are_those_of_a_dense_forward(self, subject: SamplerSubject, name: str) -> None:
        params = TRUNCATIONS[name]
        requests = self.requests(subject)
        for request, sample in zip(requests, subject.sampler.sample(requests, params, seed=1, step=2), strict=True):
            expected = _rescore(subject, request, sample, params)
            assert sample.logprobs.dtype == torch.float32
            torch.testing.assert_close(sample.logprobs.double(), expected, atol=1e-5, rtol=0)

    def test_the_same_key_gives_the_same_sample(self, subject: SamplerSubject) -> None:
        requests = self.requests(subject)
        first = subject.sampler.sample(requests, PARAMS, seed=1, step=2)
        again = subject.sampler.sample(requests, PARAMS, seed=1, step=2)
        assert _ids(first) == _ids(again)
        for change in ({"seed": 2, "step": 2}, {"seed": 1, "step": 3}):
            assert _ids(subject.sampler.sample(requests, PARAMS, **change)) != _ids(first)

    def test_other_keys_give_other_samples_of_one_prompt(self, subject: SamplerSubject) -> None:
        prompt = torch.tensor([2, 3])
        samples = subject.sampler.sample([SampleRequest(prompt, key=k) for k in range(8)], PARAMS, seed=1, step=0)
        assert len({tuple(ids) for ids in _ids(samples)}) > 4

    @pytest.mark.parametrize("name", ["plain", "all"])
    def test_a_sample_does_not_depend_on_its_batch(self, subject: SamplerSubject, name: str) -> None:
        requests, params = self.requests(subject), TRUNCATIONS[name]
        together = subject.sampler.sample(requests, params, seed=1, step=2)
        backwards = subject.sampler.sample(requests[::-1], params, seed=1, step=2)[::-1]
        alone = [subject.sampler.sample([request], params, seed=1, step=2)[0] for request in requests]
        assert _ids(together) == _ids(backwards) == _ids(alone)
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-5, rtol=0)

    def test_start_index_moves_along_the_keys_stream(self, subject: SamplerSubject) -> None:
        """A completion cut after n tokens and continued at index n is the completion never cut."""
        request = SampleRequest(torch.tensor([4, 2, 3]), key=5)
        params = replace(PARAMS, stop_ids=frozenset())
        whole = subject.sampler.sample([request], params, seed=3, step=0)[0].completion_ids
        rest = SampleRequest(torch.cat([request.prompt_ids, whole[:5]]), key=5, start_index=5)
        continued = subject.sampler.sample([rest], replace(params, max_completion_length=7), seed=3, step=0)[0]
        assert continued.completion_ids.tolist() == whole[5:].tolist()

    def test_stop_ids_end_a_completion_and_stay_in_it(self, subject: SamplerSubject) -> None:
        params = replace(PARAMS, stop_ids=frozenset({1, 3}), max_completion_length=20)
        requests = [SampleRequest(torch.tensor([2]), key=k) for k in range(24)]
        samples = subject.sampler.sample(requests, params, seed=0, step=0)
        assert any(s.finish_reason == FinishReason.STOP and s.completion_ids.numel() < 20 for s in samples)
        for sample in samples:
            ids = sample.completion_ids.tolist()
            assert not {1, 3} & set(ids[:-1])
            assert (ids[-1] in {1, 3}) == (sample.finish_reason == FinishReason.STOP)
            assert sample.finish_reason == FinishReason.STOP or len(ids) == 20

    def test_without_stop_ids_length_ends_a_completion(self, subject: SamplerSubject) -> None:
        params = replace(PARAMS, stop_ids=frozenset(), max_completion_length=4)
        for sample in subject.sampler.sample(self.requests(subject), params, seed=0, step=0):
            assert (sample.completion_ids.numel(), sample.finish_reason) == (4, FinishReason.LENGTH)

    def test_a_request_may_have_a_limit_of_its_own(self, subject: SamplerSubject) -> None:
        """It cuts what would be drawn without it, and changes nothing for the others."""
        params = replace(PARAMS, stop_ids=frozenset(), max_completion_length=6)
        requests = self.requests(subject)
        whole = subject.sampler.sample(requests, params, seed=0, step=0)
        limits = [1, None, 3, 6, 99, 2, None, 5, 4]
        limited = [replace(one, max_new_tokens=most) for one, most in zip(requests, limits, strict=True)]
        for sample, full, most in zip(
            subject.sampler.sample(limited, params, seed=0, step=0), whole, limits, strict=True
        ):
            assert sample.completion_ids.tolist() == full.completion_ids[:most].tolist()
            assert sample.finish_reason == FinishReason.LENGTH
        with pytest.raises(RecipeError, match="max_new_tokens"):
            subject.sampler.sample([replace(requests[0], max_new_tokens=0)], params, seed=0, step=0)

    def test_the_context_ends_a_completion(self, subject: SamplerSubject) -> None:
        room = [3, 6, 1, 5, 2, 40]
        requests = [SampleRequest(torch.full((subject.max_length - n,), 2), key=n) for n in room]
        params = replace(PARAMS, stop_ids=frozenset(), max_completion_length=6)
        samples = subject.sampler.sample(requests, params, seed=0, step=0)
        assert [s.completion_ids.numel() for s in samples] == [3, 6, 1, 5, 2, 6]
        assert all(s.finish_reason == FinishReason.LENGTH for s in samples)

    def test_the_context_ends_completions_after_others_have_stopped(self, subject: SamplerSubject) -> None:
        room = [40] * 24 + [9, 7, 8, 9]
        requests = [SampleRequest(torch.full((subject.max_length - n,), 2), key=key) for key, n in enumerate(room)]
        params = replace(PARAMS, stop_ids=frozenset({1, 3, 5, 7}), max_completion_length=40)
        samples = subject.sampler.sample(requests, params, seed=0, step=0)
        assert sum(s.completion_ids.numel() < 7 for s in samples[:24]) > 4, "rows have left the batch"
        for sample, most in zip(samples, room, strict=True):
            stopped = int(sample.completion_ids[-1]) in params.stop_ids
            assert sample.completion_ids.numel() <= most
            assert (sample.finish_reason == FinishReason.STOP) == stopped
            assert stopped or sample.completion_ids.numel() == most

    def test_a_prompt_that_fills_the_context_is_refused(self, subject: SamplerSubject) -> None:
        requests = [SampleRequest(torch.full((subject.max_length,), 2), key=0)]
        with pytest.raises(ContextLengthError, match=rf"{subject.max_length} tokens.*context") as caught:
            subject.sampler.sample(requests, PARAMS, seed=0, step=0)
        assert caught.value.remedy

    def test_greedy_is_the_argmax_of_a_dense_forward(self, subject: SamplerSubject) -> None:
        params = replace(PARAMS, temperature=0.0)
        requests = self.requests(subject)
        for request, sample in zip(requests, subject.sampler.sample(requests, params, seed=0, step=0), strict=True):
            context, start = torch.cat([request.prompt_ids, sample.completion_ids]), request.prompt_ids.numel()
            logits = subject.logits(context)[start - 1 : -1]
            assert sample.completion_ids.tolist() == logits.argmax(-1).tolist()
            full = logits.double().log_softmax(-1).gather(1, sample.completion_ids[:, None]).squeeze(1)
            torch.testing.assert_close(sample.logprobs.double(), full, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("name", ["plain", "all"])
    def test_samples_follow_the_distribution(self, subject: SamplerSubject, name: str) -> None:
        """Chi-square of ``num_draws`` first tokens against the dense forward; p < 1e-4 fails."""
        params = replace(TRUNCATIONS[name], max_completion_length=1, stop_ids=frozenset())
        prompts = [request.prompt_ids for request in self.requests(subject)]
        prompt = max(prompts, key=lambda ids: _num_kept(subject, ids, params))
        assert _num_kept(subject, prompt, params) > 2
        requests = [SampleRequest(prompt, key=key) for key in range(self.num_draws)]
        counts = torch.zeros(subject.vocab_size)
        for sample in subject.sampler.sample(requests, params, seed=11, step=4):
            counts[sample.completion_ids] += 1
        expected = reference_logprobs(subject.logits(prompt)[-1], params).exp() * self.num_draws
        assert counts[expected == 0].sum() == 0
        common = expected >= 5
        observed = torch.cat([counts[common], counts[~common].sum()[None]]).numpy()
        wanted = torch.cat([expected[common], expected[~common].sum()[None]]).numpy()
        filled = wanted > 0
        assert stats.chisquare(observed[filled], wanted[filled]).pvalue > 1e-4

    def test_progress_counts_every_completion_once(self, subject: SamplerSubject) -> None:
        told: list[int] = []
        subject.sampler.sample(self.requests(subject), PARAMS, seed=0, step=0, progress=told.append)
        assert sum(told) == 9
        assert min(told) > 0

    def test_every_completion_is_told_once_as_soon_as_it_has_ended(self, subject: SamplerSubject) -> None:
        """Its place and its own sample, before those that go on have ended."""
        params = replace(PARAMS, stop_ids=frozenset())
        limits = [9, 2, 1, 5, 9, 7, 3, 4, 6]
        requests = [replace(one, max_new_tokens=n) for one, n in zip(self.requests(subject), limits, strict=True)]
        told: dict[int, Sample] = {}
        numbers: list[int] = []

        def ended(place: int, sample: Sample) -> None:
            assert place not in told
            told[place] = sample

        samples = subject.sampler.sample(requests, params, seed=0, step=0, progress=numbers.append, ended=ended)
        assert sorted(told) == list(range(9))
        assert all(told[place] is sample for place, sample in enumerate(samples))
        assert list(told).index(2) < list(told).index(0), "one token, and nine of a prompt of like length"
        assert sum(numbers) == 9

    def check_all_are_told(self, subject: SamplerSubject) -> None:
        """What is left of the test before where the order is another's to choose."""
        told: dict[int, Sample] = {}
        samples = subject.sampler.sample(self.requests(subject), PARAMS, seed=0, step=0, ended=told.__setitem__)
        assert [told[place] for place in range(9)] == samples

    def test_tokens_carry_the_version_of_the_weights(self, subject: SamplerSubject) -> None:
        request = SampleRequest(torch.tensor([2]), key=0)
        assert set(subject.sampler.sample([request], PARAMS, seed=0, step=0)[0].weight_version.tolist()) == {7}
        subject.sampler.load_weights(None, 8)
        assert set(subject.sampler.sample([request], PARAMS, seed=0, step=0)[0].weight_version.tolist()) == {8}

    def test_no_requests_give_no_samples(self, subject: SamplerSubject) -> None:
        assert subject.sampler.sample([], PARAMS, seed=0, step=0) == []


def _ids(samples: list[Sample]) -> list[list[int]]:
    return [sample.completion_ids.tolist() for sample in samples]


def _num_kept(subject: SamplerSubject, prompt: Tensor, params: SamplingParams) -> int:
    return int(reference_logprobs(subject.logits(prompt)[-1], params).isfinite().sum())


def _rescore(subject: SamplerSubject, request: SampleRequest, sample: Sample, params: SamplingParams) -> Tensor:
    context, start = torch.cat([request.prompt_ids, sample.completion_ids]), request.prompt_ids.numel()
    rows = subject.logits(context)[start - 1 : -1]
    chosen = zip(rows, sample.completion_ids.tolist(), strict=True)
    return torch.stack([reference_logprobs(row, params)[token] for row, token in chosen])
