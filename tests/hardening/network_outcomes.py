"""One client of a network, struck by one fault: what it told, how often it asked, and what is wrong with that."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.hardening.hostile_server import HostileServer
from tests.hardening.network_calls import TIMEOUT_SECONDS, NetworkCall
from understudy.errors import UnderstudyError

_AT_ONCE = 8


@dataclass(frozen=True)
class Outcome:
    """What came of one call: ``told`` in a sentence, or ``escaped``; how many requests, how many seconds."""

    told: str
    escaped: str
    asked: int
    seconds: float


def outcome(call: NetworkCall, fault: str) -> Outcome:
    began, told, escaped = time.monotonic(), "", ""
    with HostileServer(fault) as server:
        try:
            told = call.go(server.url)
        except UnderstudyError as error:
            told = str(error)
        except BaseException:
            escaped = traceback.format_exc()
        return Outcome(told, escaped, server.asked, time.monotonic() - began)


def fault_of(found: Outcome, call: NetworkCall) -> str:
    """What is wrong with it; empty where nothing is."""
    if found.escaped:
        return found.escaped
    if found.seconds > call.most_seconds:
        return f"took {found.seconds:.1f} s"
    least = 0 if found.seconds > TIMEOUT_SECONDS else 1  # a busy machine may let a call's time pass before it is made
    if not least <= found.asked <= call.most_asked:
        return f"asked {found.asked} times"
    return "" if found.told and "\n" not in found.told and len(found.told) < 1500 else f"said {found.told[:2000]!r}"


def outcomes(call: NetworkCall, faults: Sequence[str]) -> Mapping[str, Outcome]:
    """By fault, several side by side."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        begun = {fault: threads.submit(outcome, call, fault) for fault in faults}
        return {fault: future.result(timeout=4 * call.most_seconds) for fault, future in begun.items()}
