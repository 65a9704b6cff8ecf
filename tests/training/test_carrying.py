"""What is carried over from step to step, by hand; runs that carry are in tests/servers/test_sampling.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from understudy.environments.episodes import Episode
from understudy.protocols import Sample, Sampler, SampleRequest, SamplingParams, Task
from understudy.rollouts import FinishReason, Rollout
from understudy.training.carrying import Carrying
from understudy.training.collecting import Collector
from understudy.training.segments import SegmentSampler


class OneToken:
    """Draws all that it is allowed to."""

    def sample(self, requests: Sequence[SampleRequest], params: SamplingParams, **_: object) -> list[Sample]:
        most = [request.max_new_tokens or params.max_completion_length for request in requests]
        ids = [torch.full((count,), 5) for count in most]
        return [Sample(one, torch.zeros(one.shape), torch.zeros_like(one), FinishReason.LENGTH) for one in ids]

    def load_weights(self, source: object, version: int) -> None:
        raise NotImplementedError


def test_a_writer_that_draws_nothing_is_not_told_what_was_cut_before() -> None:
    """Of attempts whose context is full nobody samples: another step's groups have the same keys."""
    inner: Sampler = OneToken()
    segments = SegmentSampler(inner)

    def write(
        episodes: Sequence[Episode], step: int, progress: Callable[[int], None] | None, **_: object
    ) -> list[Rollout]:
        if step == 0 and not any(episode.opening for episode in episodes):
            requests = [SampleRequest(torch.tensor([1]), episode.key) for episode in episodes]
            segments.sample(requests, SamplingParams(8), seed=0, step=step)
        return [Rollout(one.key, one.group, one.task.problem, (), FinishReason.LENGTH) for one in episodes]

    collector = Collector([Task("p", "")], seed=0, prompts_per_step=1, num_generations=2, write={"student": write})
    carrying = Carrying(collector, segments, segment_tokens=3, most_steps=4, total_steps=9)
    assert carrying(0, lambda _: None) == [] and carrying.carried(0) == 2
    assert [rollout.problem for rollout in carrying(1, lambda _: None)] == ["p"] * 4
    assert carrying.carried(1) == 0
