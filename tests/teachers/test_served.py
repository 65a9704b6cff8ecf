"""Our own server over a real socket: every scorer made of it answers as the model in this process does."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite, close
from tests.conformance.tiny import tiny_batch, tiny_model
from tests.serving.served import served_model
from tests.teachers import test_mixture, test_routed
from tests.teachers.members import local, second_model
from understudy.engines.local import LocalScorer
from understudy.errors import CapabilityError, ServerKeyError, ShapeError, WrongServerError
from understudy.models.load import describe, load_model
from understudy.protocols import Scorer, ScoreRequest
from understudy.servers.settings import ServerSettings
from understudy.teachers import CachedScorer, MixedScorer, RoutedScorer
from understudy.teachers.mixture import Share
from understudy.teachers.served import ServedScorer, connect

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., ServedScorer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """(model, vocab_size) -> a scorer behind a server of this model that runs until the test ends."""
    with ExitStack() as stack:

        def begin(model: PreTrainedModel, *, vocab_size: int, max_concurrency: int = 16, **settings: object) -> Scorer:
            loaded = replace(describe(_twin(model), None), vocab_size=vocab_size)
            url = stack.enter_context(served_model(loaded, max_logprobs=-1, **settings))
            asked = ServerSettings((url,), start_seconds=5, max_concurrency=max_concurrency)
            return connect(asked, vocab_size=vocab_size)

        yield begin


def _twin(model: PreTrainedModel) -> PreTrainedModel:
    """Another model with the same weights in memory: the server's hooks stay off the one that tests copy."""
    twin = copy.deepcopy(model)
    for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        mine.data = theirs.data
    return twin


class TestServed(ScorerSuite):
    """One server; also asked one text at a time."""

    variants = ({"max_concurrency": 1},)

    @pytest.fixture
    def make_scorer(self, serve: Serve) -> MakeScorer:
        return serve

    def test_is_the_local_scorer_to_the_last_bits(self, scorer: Scorer, model: PreTrainedModel) -> None:
        """The issue's bound is 1e-4; in float32 over JSON and npy nothing is lost but the batch's rounding."""
        request = self.request_of(scorer)
        ours, theirs = scorer.score(request), local(model, vocab_size=self.vocab_size).score(request)
        for name in ("sampled", "at_ids", "top_logprobs", "entropy", "hidden"):
            close(getattr(ours, name), getattr(theirs, name), 1e-5)
        assert ours.top_ids is not None and torch.equal(ours.top_ids, theirs.top_ids)
        assert scorer.fingerprint == local(model, vocab_size=self.vocab_size).fingerprint


class TestServedAndCached(ScorerSuite):
    @pytest.fixture
    def make_scorer(self, serve: Serve) -> MakeScorer:
        return lambda model, **options: CachedScorer(serve(model, **options))


class TestServedRoutes(test_routed.TestRoutedScorer):
    """Each route a server of its own, with states of its own width."""

    variants = ()

    @pytest.fixture
    def make_scorer(self, serve: Serve) -> MakeScorer:
        def make(model: PreTrainedModel, **options: object) -> Scorer:
            return RoutedScorer({"near": serve(model, **options), "far": serve(second_model(), **options)})

        return make


class TestServedMixture(test_mixture.TestMixedScorer):
    """One part behind a server, the other here."""

    variants = ()

    @pytest.fixture
    def make_scorer(self, serve: Serve) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int) -> Scorer:
            parts = (serve(model, vocab_size=vocab_size), local(second_model(), vocab_size=vocab_size))
            return MixedScorer([Share(*pair) for pair in zip(parts, test_mixture.WEIGHTS, strict=True)])

        return make


def request_of_rows(*places: tuple[int, int], **changes: object) -> ScoreRequest:
    contexts = [context.ids for context in tiny_batch(vocab_size=17).contexts]
    at = {"context": torch.tensor([c for c, _ in places]), "position": torch.tensor([p for _, p in places])}
    return ScoreRequest(contexts, **{**at, **changes})


def test_a_row_asked_for_twice_with_other_ids_comes_twice(serve: Serve) -> None:
    scorer = serve(tiny_model(), vocab_size=17)
    ids = torch.tensor([[3, 4], [5, 6], [7, 8]])
    request = request_of_rows((0, 3), (2, 4), (0, 3), ids=ids)
    close(scorer.score(request).at_ids, local(tiny_model(), vocab_size=17).score(request).at_ids, 1e-5)


def test_what_is_expected_is_not_asked_again(serve: Serve) -> None:
    scorer = serve(tiny_model(), vocab_size=17)
    request = request_of_rows((0, 2), (0, 3), (2, 4), top_k=3)
    sent: list[str] = []
    ask = scorer.pool.ask

    async def counted(call, **options):  # type: ignore[no-untyped-def]
        sent.append(call.path)
        return await ask(call, **options)

    scorer.pool.ask = counted  # type: ignore[method-assign]
    scorer.expect(request.rows(torch.tensor([0, 1])))
    scores = scorer.score(request)
    assert len(sent) == 2, "context 0 was under way, context 2 was not"
    close(scores.sampled, local(tiny_model(), vocab_size=17).score(request).sampled, 1e-5)
    scorer.score(request)
    assert len(sent) == 4, "what was picked up is not kept"


def test_a_vocabulary_smaller_than_the_servers_is_the_whole_of_every_softmax(serve: Serve) -> None:
    scorer = serve(tiny_model(), vocab_size=17)
    smaller = scorer.sharing(15)
    assert smaller.capabilities.vocab_size == 15
    request = request_of_rows(
        (0, 2), (2, 4), top_k=4, entropy=True, ids=torch.tensor([[1, 2], [3, 14]]), temperature=0.7
    )
    ours, theirs = smaller.score(request), local(tiny_model(), vocab_size=15).score(request)
    for name in ("sampled", "at_ids", "top_logprobs", "entropy"):
        close(getattr(ours, name), getattr(theirs, name), 1e-5)


def test_rows_outside_their_text_are_refused(serve: Serve) -> None:
    scorer = serve(tiny_model(), vocab_size=17)
    for position in (0, 400):
        with pytest.raises(ShapeError, match="a row to score"):
            scorer.score(request_of_rows((0, position)))


def test_a_small_limit_is_found_and_kept(serve: Serve) -> None:
    with served_model(describe(tiny_model(), None), max_logprobs=3) as url:
        scorer = connect(ServerSettings((url,)), vocab_size=19)
        can = scorer.capabilities
        assert (can.top_k, can.at_ids, can.entropy, can.hidden) == (3, 3, True, True)
        request = request_of_rows((0, 2), (2, 4), ids=torch.tensor([[1, 2, 3], [3, 4, 5]]))
        close(scorer.score(request).at_ids, local(tiny_model(), vocab_size=19).score(request).at_ids, 1e-5)
        with pytest.raises(CapabilityError, match=r"the top 4 tokens \(its limit: 3\)"):
            scorer.score(replace(request, top_k=4))


def test_a_key_is_sent_and_never_shown() -> None:
    with served_model(describe(tiny_model(), None), api_key="sesame-1234") as url:
        known = connect(ServerSettings((url,), key="sesame-1234"), vocab_size=19)
        known.score(request_of_rows((0, 2)))
        for key in (None, "wrong-5678"):
            with pytest.raises(ServerKeyError, match="api_key_env") as caught:
                connect(ServerSettings((url,), key=key), vocab_size=19)
            assert "5678" not in str(caught.value)
        assert "sesame" not in repr(known.pool.settings)


def test_a_server_started_anew_with_another_model_is_refused() -> None:
    """Between two batches, when nobody was looking."""
    first = served_model(describe(tiny_model(), None))
    url = first.__enter__()
    scorer = connect(ServerSettings((url,), deadline_seconds=10), vocab_size=19)
    scorer.score(request_of_rows((0, 2)))
    first.__exit__(None, None, None)
    time.sleep(1.1)  # no process starts sooner
    port = int(url.rpartition(":")[2])
    with (
        served_model(describe(tiny_model(seed=4), None), port=port),
        pytest.raises(WrongServerError, match=r"not the one that was there.*fingerprint"),
    ):
        scorer.score(request_of_rows((0, 2)))


EXTERNAL = [name for name in ("UNDERSTUDY_VLLM_URL", "UNDERSTUDY_SGLANG_URL") if os.environ.get(name)]


@pytest.mark.parametrize("variable", EXTERNAL)
def test_a_real_server_agrees_with_the_model_in_this_process(variable: str) -> None:
    """Set the variable to a running server's address and UNDERSTUDY_SERVED_MODEL to the folder of its model."""
    loaded = load_model(os.environ["UNDERSTUDY_SERVED_MODEL"])
    scorer = connect(ServerSettings((os.environ[variable],)), vocab_size=loaded.vocab_size)
    generator, most = torch.Generator().manual_seed(0), min(1000, loaded.vocab_size)
    contexts = [torch.randint(0, most, (n,), generator=generator) for n in (5, 17, 33)]
    context = torch.tensor([2, 0, 1, 2])
    can, position = scorer.capabilities, torch.tensor([30, 4, 9, 12])
    ids = torch.randint(0, most, (4, 3), generator=generator) if can.at_ids >= 3 else None
    request = ScoreRequest(contexts, context, position, ids=ids, top_k=min(5, can.top_k))
    ours, theirs = scorer.score(request), LocalScorer(loaded).score(request)
    tolerance = float(os.environ.get("UNDERSTUDY_SERVED_TOLERANCE", "1e-4"))
    for name in ("sampled", "at_ids", "top_logprobs"):
        if getattr(theirs, name) is not None:
            close(getattr(ours, name), getattr(theirs, name), tolerance)


def test_another_model_than_named_is_refused() -> None:
    with (
        served_model(describe(tiny_model(), None), name="small") as url,
        pytest.raises(WrongServerError, match="another model; got small; expected large"),
    ):
        connect(ServerSettings((url,), model="large"), vocab_size=19)
