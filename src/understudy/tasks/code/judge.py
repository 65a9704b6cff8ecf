"""The verifier of kind ``code``."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from understudy.errors import RecipeError
from understudy.recipe import Verifier as VerifierConfig
from understudy.sandbox import isolation
from understudy.tasks.code.daemon_pool import DaemonPool
from understudy.tasks.code.protocols import DEFAULT_SECONDS, PROTOCOLS, Settings
from understudy.tasks.verdicts import Columns, Verdict

_MOST_SIDE_BY_SIDE = 8
_MOST_KEPT = 10_000


class CodeJudge:
    """Runs programs against a row's tests, in sandboxes, as many side by side as there are cores.

    Building one raises SandboxUnavailableError where nothing can isolate a program: model-written code then does not
    run. The same question is asked once.

    Args:
        config: the recipe's section. column: of the tests, for ``function``.
    """

    def __init__(self, config: VerifierConfig, column: str) -> None:
        if config.protocol is None:
            raise RecipeError("a verifier of kind code has a protocol", expected=f"one of {', '.join(PROTOCOLS)}")
        isolation()
        self._protocol = PROTOCOLS[config.protocol]
        seconds = config.test_seconds or DEFAULT_SECONDS[config.protocol]
        self._settings = Settings(block=config.block, seconds=seconds, column=column)
        self._pool = DaemonPool(min(os.cpu_count() or 1, _MOST_SIDE_BY_SIDE))
        self._known: dict[bytes, Future[Verdict]] = {}
        self._lock = threading.Lock()

    def __call__(self, completion: str, columns: Columns) -> Verdict:
        """The verdict; raises DataError where the row's tests cannot be used."""
        return self.begin(completion, columns)()

    def begin(self, completion: str, columns: Columns) -> Callable[[], Verdict]:
        """Start to judge; the function that comes back waits for the verdict."""
        key = hashlib.sha256(json.dumps([completion, columns], default=str, sort_keys=True).encode()).digest()
        with self._lock:
            if key not in self._known:
                if len(self._known) >= _MOST_KEPT:
                    self._known.clear()
                self._known[key] = self._pool.submit(partial(self._protocol, completion, columns, self._settings))
            return self._known[key].result

    def check(self, columns: Columns) -> Callable[[], object]:
        """Start to try a row's tests on an empty program; the function that comes back waits, and raises as judging."""
        return self.begin("", columns)
