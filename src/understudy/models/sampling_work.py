"""The requests of one call as the decoder sees them: their order, their ends and their draws."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from understudy import randomness
from understudy.protocols import SampleRequest, SamplingParams


class Work:
    """Requests with all that their decoding needs; which rows are decoded together is decided elsewhere.

    Args:
        requests: one completion each; prompts are not empty and shorter than ``max_length``.
        params: when a completion ends, and how tokens are drawn. seed, step: with a request's key they key its draws.
        max_length: longest context in tokens.
    """

    def __init__(
        self, requests: Sequence[SampleRequest], params: SamplingParams, *, seed: int, step: int, max_length: int
    ) -> None:
        self.requests, self.params, self.seed, self.step = requests, params, seed, step
        self.prompts = [tuple(request.prompt_ids.tolist()) for request in requests]
        longest = params.max_completion_length
        self.limits = [
            min(longest, request.max_new_tokens or longest, max_length - len(prompt))
            for request, prompt in zip(requests, self.prompts, strict=True)
        ]
        self.num_steps = max(self.limits, default=0)
        self.longest = max((n + len(prompt) for n, prompt in zip(self.limits, self.prompts, strict=True)), default=0)

    @property
    def ends_vary(self) -> bool:
        """Whether one completion may end before another."""
        return bool(self.params.stop_ids) or len(set(self.limits)) > 1

    def order(self) -> list[int]:
        """Places of the requests: prompts of like length together, equal prompts next to each other."""
        first: dict[tuple[int, ...], int] = {}
        for place, prompt in enumerate(self.prompts):
            first.setdefault(prompt, place)
        return sorted(range(len(self.prompts)), key=lambda n: (len(self.prompts[n]), first[self.prompts[n]], n))

    def uniform(self, places: Sequence[int]) -> Tensor:
        """[B, num_steps + 1] float64 draws, a function of each request's key and start index alone."""
        keys = torch.tensor([[self.requests[place].key] for place in places])
        index = torch.tensor([[self.requests[place].start_index] for place in places])
        index = index + torch.arange(self.num_steps + 1)
        return randomness.uniform(seed=self.seed, step=self.step, purpose="sample", rollout=keys, index=index)
