"""What the whole distribution of a mixture tells, where its head forbids a token."""

from __future__ import annotations

import math

import torch

from understudy.protocols import ScoreRequest
from understudy.teachers.mixed_states import over_vocabulary


def test_a_forbidden_token_adds_nothing_to_the_entropy_and_is_last() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 0.0, 0.0]])
    request = ScoreRequest(
        contexts=[torch.tensor([0, 1])], context=torch.tensor([0]), position=torch.tensor([1]), top_k=4, entropy=True
    )
    found = over_vocabulary(logits, lambda states: states, request=request)
    assert found.entropy is not None and found.top_ids is not None and found.top_logprobs is not None
    torch.testing.assert_close(found.entropy, torch.tensor([math.log(3)]))
    assert int(found.top_ids[0, -1]) == 1 and found.top_logprobs[0, -1] == -torch.inf
