"""What a server says of itself: whether it answers, and how many requests wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import httpx

from understudy.launching.part import Part

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
    """Whether ``/health`` answers with 200."""
    try:
        return _client().get(f"{url}/health", timeout=seconds).status_code == 200
    except httpx.HTTPError:
        return False


def asked(part: Part, environment: Mapping[str, str], *, seconds: float = 1.0) -> Answer:
    """Ask a server for its health and its counters, with the key from ``environment``; without counters no figures."""
    if part.url is None or not is_well(part.url, seconds=seconds):
        return Answer(False)
    key = environment.get(part.key_variable or "", "")
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = _client().get(f"{part.url}/metrics", headers=headers, timeout=seconds)
        return Answer(True, figures_in(answer.text) if answer.status_code == 200 else {})
    except httpx.HTTPError:
        return Answer(True)


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
            short = meanings[found[1]]
            sums[short] = sums.get(short, 0.0) + float(found[2])
    return sums


@cache
def _client() -> httpx.Client:
    """One for all: making one costs more than asking. No proxy stands between the machines of a launch."""
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
