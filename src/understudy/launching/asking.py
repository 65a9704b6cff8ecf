"""What a server says of itself: whether it answers, and how many requests wait."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import httpx

from understudy.errors import ServerError, UserMistakeError
from understudy.launching.part import Part
from understudy.servers.background import background
from understudy.servers.http import Call, UnavailableError, ask

_MOST_BYTES = 1 << 20

_NUMBERS = {
    "waiting": ("understudy_waiting_requests", "vllm:num_requests_waiting", "sglang:num_queue_reqs"),
    "running": ("understudy_running_requests", "vllm:num_requests_running", "sglang:num_running_reqs"),
    "tokens": ("understudy_tokens_total", "vllm:generation_tokens_total", "sglang:generation_tokens_total"),
}
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)")


@dataclass(frozen=True)
class Answer:
    """A server, a moment ago.

    Args:
        is_well: ``/health`` was answered with 200. figures: ``waiting`` and ``running`` requests, ``tokens`` so far.
    """

    is_well: bool
    figures: Mapping[str, float] = field(default_factory=dict)


def is_well(url: str, *, seconds: float = 2.0) -> bool:
    """Whether ``/health`` answers as one that is well."""
    return _got(url, "/health", seconds=seconds) is not None


def asked(part: Part, environment: Mapping[str, str], *, seconds: float = 1.0) -> Answer:
    """Ask a server for its health and its counters, with the key from ``environment``; without counters no figures."""
    if part.url is None or not is_well(part.url, seconds=seconds):
        return Answer(False)
    key = environment.get(part.key_variable or "", "")
    metrics = _got(part.url, "/metrics", key=key, seconds=seconds)
    return Answer(True, {} if metrics is None else figures_in(metrics.decode("utf-8", "replace")))


def figures_in(text: str) -> dict[str, float]:
    """The figures in Prometheus's text form, summed over labels; those that are there.

    >>> figures_in('understudy_waiting_requests{kind="score"} 2.0\\nunderstudy_waiting_requests{kind="sample"} 1.0')
    {'waiting': 3.0}
    """
    sums: dict[str, float] = {}
    meanings = {name: short for short, names in _NUMBERS.items() for name in names}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and found[1] in meanings:
            with suppress(ValueError):
                value, short = float(found[2]), meanings[found[1]]
                if math.isfinite(value):
                    sums[short] = sums.get(short, 0.0) + value
    return sums


def _got(url: str, path: str, *, key: str = "", seconds: float) -> bytes | None:
    """The whole answer, bounded in time and size; None where there is none."""
    call = Call(f"{url}{path}", bytes, is_json=False)
    try:
        return background().run(ask(_client(key), call, timeout_seconds=seconds, max_bytes=_MOST_BYTES))
    except (UnavailableError, ServerError, UserMistakeError):
        return None


@cache
def _client(key: str) -> httpx.AsyncClient:
    """One for all servers: making one costs more than asking. No proxy stands between the machines of a launch."""
    return httpx.AsyncClient(
        headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),
    )
