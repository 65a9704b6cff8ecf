"""A rank does not outlive torchrun: where that is killed, its ranks end as if they had been asked to."""

from __future__ import annotations

import os
import signal
import threading
import time

_LOOK_SECONDS = 0.5


def end_with_torchrun() -> None:
    """From now on this process gets SIGTERM when torchrun has died, as it does when torchrun ends it.

    The kernel's own death signal comes once for each thread of torchrun, and a second one ends a run at once.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=_watch, args=(os.getppid(),), name="understudy-orphans", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
