"""How a server runs: where it listens, what it serves, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from understudy.errors import UserMistakeError
from understudy.host_names import HostNames


@dataclass(frozen=True)
class Settings:
    """Of one server.

    Args:
        host, port: where it listens; port 0 takes a free one. allowed_hosts: further names to answer to.
        name: what clients call the model; None for the name it was loaded by.
        max_logprobs: ids a row that a client may ask for; -1 for no bound. max_model_len: longest context in tokens;
            None for the model's own. api_key: every route but ``/health`` asks for it; None asks for none.
        max_body_bytes: longest request. max_waiting: requests that may wait, the next is answered 503.
        batch_tokens: context tokens that are scored together. batch_rows: completions drawn together.
        allow_updates: clients may change weights, adapters and whether the server answers.
        ready_file: written with the address once the server answers, and removed when it stops.
        dtype: of the weights, told to clients.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    name: str | None = None
    max_logprobs: int = 128
    max_model_len: int | None = None
    api_key: str | None = field(default=None, repr=False)
    max_body_bytes: int = 64 << 20
    max_waiting: int = 1024
    batch_tokens: int = 16384
    batch_rows: int = 256
    allow_updates: bool = False
    ready_file: Path | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _ = self.names  # checked now, not at the first request
        checks = (
            ("--port", self.port, 0 <= self.port <= 65535, "0 to 65535"),
            ("--max-logprobs", self.max_logprobs, self.max_logprobs >= -1, "-1 (no bound) or above"),
            (
                "--max-model-len",
                self.max_model_len,
                self.max_model_len is None or self.max_model_len >= 2,
                "at least 2",
            ),
            ("--max-body-bytes", self.max_body_bytes, self.max_body_bytes >= 1, "at least 1"),
            ("--max-waiting", self.max_waiting, self.max_waiting >= 1, "at least 1"),
        )
        for name, value, good, expected in checks:
            if not good:
                raise UserMistakeError(f"{name} is out of range", got=value, expected=expected)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.names.is_local

    @cached_property
    def names(self) -> HostNames:
        """By which it answers."""
        return HostNames(self.host, self.allowed_hosts)
