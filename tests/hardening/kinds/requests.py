"""What clients send to ``understudy serve``: good requests with faults, over a real connection."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.hardening.mutating import broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from tests.serving.conftest import tiny_loaded
from understudy.serving.refusal import Refusal

_SPOKEN = {"messages": [{"role": "user", "content": "w2 w3"}], "max_tokens": 1}
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/inference/v1/generate",
        {"token_ids": [2, 3, 4, 5], "sampling_params": {"max_tokens": 1, "prompt_logprob_start": 1, "prompt_top_k": 2,
         "prompt_logprob_token_ids": [[3, 4], [5, -1]], "prompt_entropy": True, "logprobs": 1, "seed": 3}},
    ),
    ("/v1/completions", {"prompt": [2, 3], "max_tokens": 2, "echo": True, "logprobs": 2, "stop": ["w9"], "n": 2}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "w2 w3"}], "max_tokens": 2, "tools": [_TOOL]}),
    ("/tokenize", {"prompt": "w2 w3", "add_special_tokens": False}),
    ("/detokenize", {"tokens": [2, 3]}),
    ("/v1/load_lora_adapter", {"lora_name": "../../x", "lora_path": "/etc"}),
    ("/v1/unload_lora_adapter", {"lora_name": "x"}),
    ("/update_weight_version", {"new_version": "1"}),
)  # fmt: skip


def requests(folder: Path) -> Target:
    """The first byte is the route, the rest its body; the server answers within its deadline, and never with 5xx."""
    import atexit
    from contextlib import ExitStack

    from tests.serving.served import running_server

    stack = ExitStack()
    atexit.register(stack.close)
    server = stack.enter_context(running_server(tiny_loaded(), max_logprobs=8, allow_updates=True))
    client = stack.enter_context(httpx.Client(base_url=server.url, timeout=120))
    client.post("/v1/chat/completions", json=_SPOKEN).raise_for_status()  # starts the worker that renders templates

    def make(random: Random) -> bytes:
        number = random.randrange(len(REQUESTS))
        good = REQUESTS[number][1]
        if random.random() < 0.02:
            return bytes([number]) + random.choice((b"", nested(), nested(b'{"a":', b"}"), b"null", b"[]", b"\xff"))
        body = json_bytes(twisted(random, good)) if random.random() < 0.8 else broken(random, json_bytes(good))
        return bytes([number]) + body

    def attempt(content: bytes) -> None:
        path = REQUESTS[(content[0] if content else 0) % len(REQUESTS)][0]
        answer = client.post(path, content=content[1:], headers={"Content-Type": "application/json"})
        if answer.status_code >= 500:
            raise AssertionError(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        if answer.status_code >= 400:
            raise Refusal(answer.status_code, json.loads(answer.text)["error"]["message"])

    return Target("request", make, attempt)
