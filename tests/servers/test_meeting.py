"""Who is met behind an address: asked once, with a key that can be sent, and told where nobody is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serving.conftest import tiny_loaded
from tests.serving.served import running_server
from understudy.errors import ServerDownError, ServerKeyError
from understudy.servers.meeting import meet

TERMS: dict[str, Any] = {
    "model": None,
    "key": None,
    "timeout_seconds": 5.0,
    "deadline_seconds": 0.5,
    "max_concurrency": 1,
}


def test_a_server_is_known_by_its_model_with_or_without_the_version_in_its_address() -> None:
    with running_server(tiny_loaded()) as server:
        terms = {**TERMS, "deadline_seconds": 5.0}
        url = server.url
        first, second = meet(url, **terms), meet(f"{url}/v1/", **terms)
    assert first.url == second.url == url
    assert first.name == second.name == f"{first.identity.model} at {url}"
    assert first.identity == second.identity


def test_a_key_that_no_header_holds_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ServerKeyError, match="cannot be sent"):
        meet("http://127.0.0.1:9", **{**TERMS, "key": "schlüssel\n"})


def test_nobody_there_is_told() -> None:
    with pytest.raises(ServerDownError):
        meet("http://127.0.0.1:9", **TERMS)
