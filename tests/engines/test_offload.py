"""On a CPU a model that visits the device stays where it is; here its moves are made to copy, so that they show.

Not shown here: pinned memory and a real accelerator.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.conformance.policy import request_of
from tests.conformance.tiny import VOCAB, tiny_batch, tiny_model
from understudy.engines.local import LocalScorer, VisitingSampler, VisitingScorer, visits_of
from understudy.engines.local.offload import Visits
from understudy.errors import MemoryExhaustedError
from understudy.models.forward import backbone
from understudy.models.load import describe
from understudy.models.sampling import LocalSampler
from understudy.protocols import SampleRequest, SamplingParams

CPU = torch.device("cpu")


class Copying:
    """Moves by a real copy, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, tensor: Tensor, device: torch.device) -> Tensor:
        self.count += 1
        return tensor.to(device, copy=True)


def test_the_scores_are_the_same_and_the_weights_are_home_again() -> None:
    model, request = tiny_model(), replace(request_of(tiny_batch()), entropy=True, top_k=3)
    expected = LocalScorer(describe(tiny_model(), None)).score(request)
    home = [p.data_ptr() for p in model.parameters()]
    moves, seen = Copying(), []
    backbone(model).register_forward_pre_hook(lambda *_: seen.append([p.data_ptr() for p in model.parameters()]))
    scorer = VisitingScorer(LocalScorer(describe(model, None)), Visits(model, CPU, move=moves))
    seen.clear()
    scores = scorer.score(request)
    assert torch.equal(scores.sampled, expected.sampled)
    assert torch.equal(scores.entropy, expected.entropy)
    assert torch.equal(scores.top_ids, expected.top_ids)
    assert scores.fingerprint == expected.fingerprint
    assert seen
    assert all(not set(during) & set(home) for during in seen), "it scored with the copies"
    assert [p.data_ptr() for p in model.parameters()] == home
    held = len(list(model.parameters())) + len(list(model.buffers()))
    assert moves.count == held, "one move a tensor on the way there, none on the way back; tied weights once"
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_hidden_states_find_their_head_after_the_model_has_left() -> None:
    model, request = tiny_model(), replace(request_of(tiny_batch()), hidden=True)
    moves = Copying()
    scorer = VisitingScorer(LocalScorer(describe(model, None)), Visits(model, CPU, move=moves))
    scores = scorer.score(request)
    assert scores.hidden is not None
    assert scores.project is not None
    before = scores.project(scores.hidden)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    assert torch.equal(scores.project(scores.hidden), before), "the head that it took along is its own"
    token_id = torch.stack([request.contexts[c][p] for c, p in zip(request.context, request.position, strict=True)])
    logprobs = before.log_softmax(1).gather(1, token_id[:, None]).squeeze(1)
    torch.testing.assert_close(logprobs, scores.sampled, atol=1e-5, rtol=1e-5)


def test_a_visit_inside_a_visit_moves_nothing() -> None:
    model, moves = tiny_model(), Copying()
    visits = Visits(model, CPU, move=moves)
    with visits.here():
        once = moves.count
        with visits.here():
            pass
        inside = [p.data_ptr() for p in model.parameters()]
    assert moves.count == once
    assert inside != [p.data_ptr() for p in model.parameters()]


def test_the_weights_go_home_when_the_work_fails() -> None:
    model = tiny_model()
    home = [p.data_ptr() for p in model.parameters()]
    visits = Visits(model, CPU, move=Copying())
    try:
        with visits.here():
            raise KeyError
    except KeyError:
        pass
    assert [p.data_ptr() for p in model.parameters()] == home


def test_none_stays_where_not_all_fit() -> None:
    """What has arrived would take memory from the student for good."""
    model, copies = tiny_model(), Copying()
    home = [p.data_ptr() for p in model.parameters()]

    def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        if copies.count == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return copies(tensor, device)

    visits = Visits(model, CPU, move=move)
    for _ in range(2):
        with pytest.raises(MemoryExhaustedError, match=r"visits the device; got CUDA out of memory"), visits.here():
            pass
        assert [p.data_ptr() for p in model.parameters()] == home
        copies.count = 0


def test_a_teacher_that_visits_writes_the_same() -> None:
    model = tiny_model()
    plain = LocalSampler(tiny_model(), vocab_size=VOCAB, max_length=64, device=CPU)
    sampler = LocalSampler(model, vocab_size=VOCAB, max_length=64, device=CPU)
    visiting = VisitingSampler(sampler, Visits(model, CPU, move=Copying()))
    requests = [SampleRequest(torch.tensor([2, 3, 4]), key=key) for key in range(4)]
    params = SamplingParams(max_completion_length=6)
    first, second = (one.sample(requests, params, seed=1, step=2) for one in (plain, visiting))
    assert [a.completion_ids.tolist() for a in first] == [b.completion_ids.tolist() for b in second]


def test_all_who_use_a_model_share_its_visits() -> None:
    model = tiny_model()
    assert visits_of(model, CPU) is visits_of(model, CPU)
    assert visits_of(tiny_model(), CPU) is not visits_of(model, CPU)
