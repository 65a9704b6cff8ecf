"""A tiny model with a padded vocabulary behind a real server, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from tests.serving.served import running_server
from understudy.engines.local import LocalScorer
from understudy.models.load import LoadedModel, describe
from understudy.serving import ScoringServer

TRUE_VOCAB, PADDED_VOCAB = 17, 19
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }} {% endfor %}{% if add_generation_prompt %}w2{% endif %}"
)


def tiny_loaded(*, seed: int = 0, max_length: int = 64) -> LoadedModel:
    """A model whose last two embedding rows are padding, under a tokenizer with a chat template."""
    tokenizer = tiny_tokenizer(TRUE_VOCAB)
    tokenizer.chat_template = TEMPLATE
    return replace(describe(tiny_model(seed=seed), tokenizer, name="tiny"), max_length=max_length)


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return tiny_loaded()


@pytest.fixture(scope="module")
def scorer() -> LocalScorer:
    """The same weights in this process, a copy: two threads must not run one model."""
    return LocalScorer(tiny_loaded())


@pytest.fixture(scope="module")
def server(loaded: LoadedModel) -> Iterator[ScoringServer]:
    with running_server(loaded, max_logprobs=8) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ScoringServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
