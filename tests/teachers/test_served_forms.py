"""Servers that are not ours, in the forms their documentation gives: the same answers as from a dense softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_model
from tests.servers import other_servers
from tests.servers.other_servers import Scored
from tests.servers.scripted import Answer, scripted
from understudy.errors import CapabilityError
from understudy.protocols import Scorer, ScoreRequest
from understudy.servers.settings import ServerSettings
from understudy.teachers.served import connect

pytestmark = pytest.mark.timeout(120)


class FormSuite(ScorerSuite):
    """What every form must do; these servers know no temperature but 1, and their model is a name."""

    form: Callable[[Scored], Answer]
    top_k: int = 0
    at_ids: int = 0
    settings: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def make_scorer(self) -> Iterator[MakeScorer]:
        with ExitStack() as stack:

            def make(model: PreTrainedModel, *, vocab_size: int) -> Scorer:
                server = stack.enter_context(scripted(type(self).form(Scored(model, vocab_size))))
                return connect(ServerSettings((server.url,), start_seconds=5, **self.settings), vocab_size=vocab_size)

            yield make

    def test_what_the_probe_finds(self, scorer: Scorer) -> None:
        can = scorer.capabilities
        assert (can.top_k, can.at_ids, can.entropy, can.hidden) == (self.top_k, self.at_ids, False, False)

    def test_equals_a_dense_float64_softmax(self, scorer: Scorer, model: PreTrainedModel) -> None:  # type: ignore[override]
        request = self.request_of(scorer)
        self.check(scorer.score(request), self.truth(model, request), request, tolerance=self.tolerance)

    def test_another_temperature_is_refused(self, scorer: Scorer) -> None:
        with pytest.raises(CapabilityError, match=r"temperature 1 only; got 0\.5"):
            scorer.score(self.request_of(scorer, temperature=0.5))

    test_fingerprint_follows_the_weights = None  # type: ignore[assignment]


class TestVllm(FormSuite):
    form = staticmethod(other_servers.vllm)
    top_k = at_ids = 17


class TestVllmWithASmallLimit(FormSuite):
    form = staticmethod(partial(other_servers.vllm, max_logprobs=5))
    top_k = at_ids = 5


class TestVllmWithItsCache(FormSuite):
    """Every text that comes again is answered with null first, and read whole then."""

    form = staticmethod(partial(other_servers.vllm, caches=True))
    settings: ClassVar[Mapping[str, Any]] = {"prefix_cache": True}
    top_k = at_ids = 17

    def test_only_what_the_cache_swallows_is_asked_twice(self, model: PreTrainedModel) -> None:
        with scripted(other_servers.vllm(Scored(model, self.vocab_size), caches=True)) as server:
            scorer = connect(ServerSettings((server.url,), prefix_cache=True), vocab_size=self.vocab_size)
            request = replace(self.request_of(scorer), top_k=0)
            count = len(request.context.unique())
            told = []
            for _ in range(2):
                before = len(server.asked)
                scorer.score(request)
                told.append(
                    [one.body["sampling_params"].get("skip_reading_prefix_cache") for one in server.asked[before:]]
                )
        assert told[0] == [False] * count
        assert sorted(told[1], key=str) == [False] * count + [None] * count


class TestOlderVllm(FormSuite):
    form = staticmethod(partial(other_servers.vllm, takes_ids=False))
    top_k = 17


class TestSglang(FormSuite):
    form = staticmethod(other_servers.sglang)
    top_k = 17


class TestCompletions(FormSuite):
    form = staticmethod(partial(other_servers.openai, echo=False))
    top_k = 17


class TestEcho(FormSuite):
    form = staticmethod(partial(other_servers.openai, echo=True))
    top_k = 17


@pytest.mark.parametrize("form", [partial(other_servers.vllm, takes_ids=False), other_servers.sglang])
def test_ids_past_the_shared_vocabulary_are_nobodys(form: Callable[[Scored], Answer]) -> None:
    """A server whose padded rows are among the likeliest, as those of a model in the middle of its training can be."""
    tokens, rows = torch.tensor([2, 3, 4, 5]), torch.tensor([2, 3])
    request = ScoreRequest([tokens], torch.zeros_like(rows), rows, top_k=6)
    with scripted(form(Scored(tiny_model(), 11))) as server:
        scorers = [connect(ServerSettings((server.url,), start_seconds=5), vocab_size=size) for size in (11, 8)]
        whole, shared = (scorer.score(request) for scorer in scorers)
    assert whole.top_ids is not None and whole.top_logprobs is not None and bool((whole.top_ids >= 8).any())
    assert shared.top_ids is not None and shared.top_logprobs is not None
    for ids, values, all_ids, all_values in zip(
        shared.top_ids, shared.top_logprobs, whole.top_ids, whole.top_logprobs, strict=True
    ):
        assert len(set(ids.tolist())) == 6 and int(ids.max()) < 8
        kept = all_ids < 8
        assert ids[: int(kept.sum())].tolist() == all_ids[kept].tolist()
        torch.testing.assert_close(values[: int(kept.sum())], all_values[kept])
        assert bool(values[int(kept.sum()) :].isneginf().all())
