"""How a server is to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["auto", "vllm", "sglang", "completions"]


@dataclass(frozen=True)
class ServerSettings:
    """Addresses of one model and the patience with them.

    Args:
        urls: at least one; several are copies of one model. model: its served name; None takes what is there.
        kind: wire form; ``auto`` finds out. key: sent as bearer token, never shown.
        timeout_seconds: for one answer, from the first byte sent to the last byte read.
        deadline_seconds: a server that fails is asked again for so long. start_seconds: the same, before step 0.
        max_concurrency: requests at one time, for each address. max_logprobs: ids a row where the server cannot tell.
        max_reply_bytes: a longer answer is cut off. prefix_cache: vLLM may take prompts from its cache.
    """

    urls: tuple[str, ...]
    model: str | None = None
    kind: Kind = "auto"
    key: str | None = field(default=None, repr=False)
    timeout_seconds: float = 120.0
    deadline_seconds: float = 300.0
    start_seconds: float = 10.0
    max_concurrency: int = 16
    max_logprobs: int | None = None
    max_reply_bytes: int = 1 << 30
    prefix_cache: bool = False
