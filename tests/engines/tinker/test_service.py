"""Waiting for the service: told while it lasts, and ended."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future

import pytest

from understudy.engines.tinker import TinkerService, TinkerSettings
from understudy.engines.tinker import service as module
from understudy.errors import ServerDownError

pytest.importorskip("tinker", reason="the Tinker SDK is not installed")


def test_silence_is_told_once_while_it_lasts_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK itself says nothing for five minutes."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)
    service = TinkerService(TinkerSettings("tml-key", "http://there", timeout_seconds=0.4))
    with caplog.at_level(logging.WARNING), pytest.raises(ServerDownError, match="did not answer: a step; got nothing"):
        service.result(Future(), "a step")
    told = "http://there has not answered for 0.1 s (a step); waiting, 0.4 s at most."
    assert [record.getMessage() for record in caplog.records] == [told]


def test_an_answer_that_comes_after_the_word_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    service, future = TinkerService(TinkerSettings("tml-key", "http://there")), Future[int]()
    threading.Timer(0.3, future.set_result, (7,)).start()
    assert service.result(future, "a step") == 7
