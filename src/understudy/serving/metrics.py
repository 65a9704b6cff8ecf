"""Counters for Prometheus, in a registry of the server's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from understudy.serving.jobs import KINDS, Kind

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """What ``/metrics`` shows.

    Args:
        waiting: how many jobs of a kind wait. running: how many jobs the running batch has.
    """

    def __init__(self, waiting: Callable[[Kind], int], running: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "understudy_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "understudy_request_seconds",
            "From request to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter("understudy_tokens", "Tokens scored, or drawn.", ["kind"], registry=self._registry)
        self._batch_jobs = Histogram(
            "understudy_batch_requests", "Requests of a batch.", ["kind"], buckets=_SIZES, registry=self._registry
        )
        self._batch_seconds = Histogram(
            "understudy_batch_seconds", "What a batch took.", ["kind"], buckets=_SECONDS, registry=self._registry
        )
        queue = Gauge("understudy_waiting_requests", "Requests that wait.", ["kind"], registry=self._registry)
        for kind in KINDS:
            queue.labels(kind).set_function(partial(waiting, kind))
        now = Gauge("understudy_running_requests", "Requests of the running batch.", registry=self._registry)
        now.set_function(running)

    def request(self, route: str, *, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def batch(self, kind: str, *, jobs: int, tokens: int, seconds: float) -> None:
        """Count one batch."""
        self._tokens.labels(kind).inc(tokens)
        self._batch_jobs.labels(kind).observe(jobs)
        self._batch_seconds.labels(kind).observe(seconds)

    def text(self) -> bytes:
        """Prometheus's text form."""
        return generate_latest(self._registry)
