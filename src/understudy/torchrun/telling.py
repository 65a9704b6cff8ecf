"""What all ranks of a run find out, and one of them says: they agree through the store of torchrun's own process.

It answers before the ranks have met, and after they have lost each other. Where there is none, everybody speaks.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from understudy.errors import UnderstudyError

_PATIENCE_SECONDS = 60.0
_CONNECTION_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_MET, _TOLD = "the first rank meets the others", "somebody has told why the run ends"


class Store(Protocol):
    """Of torch.distributed."""

    def set(self, key: str, value: str) -> None:
        """Of all ranks."""
        ...

    def add(self, key: str, amount: int) -> int:
        """The sum after it."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Whether all are set."""
        ...


def is_one_of_several() -> bool:
    """Whether torchrun's variables say that this process is one of several ranks."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1")


def met() -> None:
    """Note that this rank is about to meet the others, so it has not made a mistake that it could find alone."""
    global _has_met
    _has_met = True
    if is_one_of_several() and _rank() == 0:
        _set(_MET)


def tell(error: UnderstudyError, say: Callable[[str], None]) -> None:
    """Say why the run ends, or wait until the rank whose part it is has said it.

    Ranks that stopped together have agreed on who tells (``training.ranks.agreed``). Before they have met that is the
    first rank; another one only where the first has not the same to tell.
    """
    if not is_one_of_several():
        say(f"understudy: {error}")
        return
    is_agreed = bool(getattr(error, "is_agreed", False))
    if getattr(error, "is_told", False) or not _is_for_me(error, is_agreed=is_agreed):
        _wait_for(_TOLD)
        return
    is_alone = _rank() > 0 and (is_agreed or not _has_met)
    sentence = f"understudy: {f'rank {_rank()}: ' if is_alone else ''}{error}"
    say(sentence)
    _leave_for_torchrun(sentence)
    _set(_TOLD)


def is_first_to_say(sentence: str) -> bool:
    """Whether no other rank has asked this before; then it is this one's part to say so."""
    store = _store()
    key = f"said {sha256(sentence.encode()).hexdigest()}"
    try:
        return store is None or store.add(key, 1) == 1
    except RuntimeError:
        return True


def mark_told() -> None:
    """Note that why the run ends has been said."""
    _set(_TOLD)


_has_met = False


def _is_for_me(error: UnderstudyError, *, is_agreed: bool) -> bool:
    if is_agreed or _rank() == 0:
        return True
    if not _has_met and _wait_for(_MET, _TOLD) == _TOLD:
        return False
    return is_first_to_say(str(error))


def _wait_for(*keys: str) -> str | None:
    """The first of the keys that is set; None where nobody answers, or not in time."""
    store, until = _store(), time.monotonic() + _PATIENCE_SECONDS
    try:
        while store is not None and time.monotonic() < until:
            for key in keys:
                if store.check([key]):
                    return key
            time.sleep(_LOOK_SECONDS)
    except RuntimeError:  # torchrun has ended on the first machine, so it has been told there
        return _TOLD
    return None


def _set(key: str) -> None:
    store = _store()
    try:
        if store is not None:
            store.set(key, "yes")
    except RuntimeError:
        return


def _leave_for_torchrun(sentence: str) -> None:
    """Where torchrun itself reports the failure, its report ends with this sentence."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        message = {"message": sentence, "extraInfo": {"timestamp": str(int(time.time()))}}
        Path(file).write_text(json.dumps({"message": message}))


@cache
def _store() -> Store | None:
    variables = os.environ
    if variables.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch.distributed import PrefixStore, TCPStore

    found: list[TCPStore] = []

    def connect() -> None:
        with suppress(KeyError, ValueError, RuntimeError):
            host, port = variables["MASTER_ADDR"], int(variables["MASTER_PORT"])
            wait = timedelta(seconds=_CONNECTION_SECONDS)
            found.append(TCPStore(host, port, is_master=False, timeout=wait, wait_for_workers=False))

    # Its own bound is none where torchrun has died and somebody else holds the port: then nothing ever answers.
    thread = threading.Thread(target=connect, name="understudy-telling", daemon=True)
    thread.start()
    thread.join(_CONNECTION_SECONDS)
    prefix = f"understudy {variables.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    return PrefixStore(prefix, found[0]) if found else None


def _rank() -> int:
    told = os.environ.get("RANK", "0")
    return int(told) if told.isdigit() else 0
