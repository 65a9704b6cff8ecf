"""The health page: what it shows, to whom, and that every text in it is escaped."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.launching.light import server, trainer
from tests.launching.test_supervising import wait_until
from understudy.errors import UserMistakeError
from understudy.launching.page import HealthPage, page_of
from understudy.launching.process import Process
from understudy.launching.snapshot import PartNow, RunNow, Snapshot, run_now, snapshot
from understudy.training import metric_lines


def test_it_shows_parts_queues_and_the_run(tmp_path: Path) -> None:
    for step in range(4):
        metric_lines.append(tmp_path / "metrics.jsonl", step, {"step_time": 2.0, "loss": 0.5, "other": 1.0})
    one, other = (Process(part, tmp_path, grace_seconds=1) for part in (server(), trainer("time.sleep(600)")))
    for process in (one, other):
        process.start(dict(os.environ))
        process.state = "running"
    page = HealthPage(lambda: snapshot([one, other], tmp_path, 10, {}))
    try:
        wait_until(lambda: httpx.get(f"{page.url}/health.json").json()["is_well"])
        told = httpx.get(f"{page.url}/health.json").json()
        assert told["run"] == {
            "folder": str(tmp_path), "step": 4, "steps": 10, "seconds_left": 12.0, "figures": {"loss": 0.5},
        }  # fmt: skip
        first, second = told["parts"]
        assert (first["name"], first["pid"], first["figures"]) == ("teacher-0", one.pid, {"waiting": 3.0})
        assert (second["kind"], second["url"], second["is_well"]) == ("trainer", None, None)
        one.kill()
        wait_until(one.poll)
        time.sleep(1.1)  # a snapshot is kept for a second
        assert not httpx.get(f"{page.url}/health.json").json()["is_well"]
        assert "Not every part" in httpx.get(page.url).text
        assert httpx.get(page.url, headers={"Host": "evil.example:80"}).status_code == 403
        assert httpx.get(f"{page.url}/other").status_code == 404 and httpx.post(page.url).status_code == 501
        with pytest.raises(UserMistakeError, match="--health-port"):
            HealthPage(lambda: snapshot([], tmp_path, 1, {}), port=int(page.url.rpartition(":")[2]))
    finally:
        page.close()
        other.kill()
        wait_until(other.poll)


def test_texts_are_escaped_and_a_run_without_lines_is_at_its_start(tmp_path: Path) -> None:
    part = PartNow("<b>", "teacher", "failed", None, 1, 0.0, None, None, {}, (), 3, "<script>")
    page = page_of(Snapshot(0.0, RunNow("<i>", 0, 5, None), [part]))
    assert "<b>" not in page and "<script>" not in page and "&lt;script&gt;" in page and "failed (3)" in page
    assert run_now(tmp_path, 5) == RunNow(str(tmp_path), 0, 5, None)


def test_readers_that_say_nothing_hold_no_more_than_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.launching.page._Handler.timeout", 0.5)
    page = HealthPage(lambda: snapshot([], tmp_path, 1, {}))
    address = ("127.0.0.1", int(page.url.rpartition(":")[2]))
    held = [socket.create_connection(address, timeout=10) for _ in range(40)]
    try:
        assert held[-1].recv(1) == b"", "the connection beyond the bound is closed at once"
        assert held[0].recv(1) == b"", "and those within it once they have been silent"
        wait_until(lambda: _status(page.url) == 200)
    finally:
        for connection in held:
            connection.close()
        page.close()


def test_readers_that_drip_hold_their_places_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece of theirs is late, and no request of theirs is ever whole."""
    monkeypatch.setattr("understudy.launching.page._WHOLE_SECONDS", 0.6)
    page = HealthPage(lambda: snapshot([], tmp_path, 1, {}))
    address = ("127.0.0.1", int(page.url.rpartition(":")[2]))
    held = [socket.create_connection(address, timeout=10) for _ in range(32)]
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.1):
            for connection in held:
                with suppress(OSError):
                    connection.sendall(b"x")

    threading.Thread(target=drip, daemon=True).start()
    try:
        wait_until(lambda: _status(page.url) == 200, seconds=5)
    finally:
        over.set()
        for connection in held:
            connection.close()
        page.close()


def _status(url: str) -> int | None:
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code
    return None
