"""A real server on a free port, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.models.load import LoadedModel, load_model
from understudy.recipe import Engine
from understudy.serving import ScoringServer, Settings


@contextmanager
def running_server(
    model: LoadedModel | str | Path, *, engine: Engine | None = None, **settings: Any
) -> Iterator[ScoringServer]:
    """A server that answers; ``settings`` are those of ``Settings``."""
    loaded = model if isinstance(model, LoadedModel) else load_model(model, dtype=settings.get("dtype", "float32"))
    server = ScoringServer(loaded, Settings(**{"port": 0, **settings}), engine)
    thread = threading.Thread(target=server.serve_until_stopped, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        yield server
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def served_model(model: LoadedModel | str | Path, **settings: Any) -> Iterator[str]:
    """The URL of a server of this model: a folder, or one in memory; ``settings`` are those of ``Settings``.

    A model in memory must not be run by the test while the server is busy: two threads must not run one model.
    """
    with running_server(model, **settings) as server:
        yield server.url
