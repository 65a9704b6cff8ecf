"""What servers answer: good answers of vLLM, SGLang, OpenAI-like servers and ours, with every kind of fault."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
import torch
from safetensors.torch import save

from tests.hardening.mutating import broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from understudy.environments.search_qa.remote import _hits
from understudy.errors import ServerAnswerError
from understudy.evaluation.endpoint import _completion, _message
from understudy.evaluation.grading.answers import reply_of, votes_in
from understudy.protocols import SamplingParams
from understudy.servers.completions import CompletionsForm
from understudy.servers.drawing import Draw, Key, sglang_call, vllm_call
from understudy.servers.http import Call, UnavailableError, ask
from understudy.servers.identity import identify
from understudy.servers.rows import Ask
from understudy.servers.settings import ServerSettings
from understudy.servers.sglang import SglangForm
from understudy.servers.vllm import VllmForm
from understudy.teachers.served_head import head_from

TOKENS = np.arange(6, dtype=np.int64)
NARROW = Ask(TOKENS, 1)
WIDE = Ask(TOKENS, 1, ids=np.arange(8, dtype=np.int64).reshape(4, 2), top_k=2, entropy=True, hidden=True)
TOP = Ask(TOKENS, 1, top_k=2)
DRAW = Draw([1, 2, 3], max_tokens=4, key=Key(seed=0, step=0, rollout=0, index=0))
PARAMS = SamplingParams(max_completion_length=4, stop_ids=frozenset({1}))
_MAX_BYTES = 1 << 20


def npy(array: Any) -> str:
    """Base64 of a .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return base64.b64encode(out.getvalue()).decode()


def _plain(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _classic(k: int) -> list[Any]:
    rest = [{str(t): {"logprob": -1.5}, **{str(9 + n): {"logprob": -2.0 - n} for n in range(k)}} for t in TOKENS[1:]]
    return [None, *rest]


def _ours() -> dict[str, Any]:
    shape = (4, 3)
    return {
        "prompt_token_id_logprobs": npy(np.full(shape, -1.0, dtype=np.float32)),
        "prompt_top_ids": npy(np.ones((4, 2), dtype=np.int32)),
        "prompt_top_logprobs": npy(np.full((4, 2), -1.0, dtype=np.float32)),
        "prompt_entropy": npy(np.ones(4, dtype=np.float32)),
        "prompt_hidden": npy(np.ones((4, 5), dtype=np.float32)),
    }


def _sglang(k: int) -> dict[str, Any]:
    meta: dict[str, Any] = {"input_token_logprobs": [[None, 1], *([-1.0, int(t)] for t in TOKENS[2:])]}
    if k:
        meta |= {
            "input_top_logprobs_shape": [4, k],
            "input_top_logprobs_idx_flat_b64": _plain(np.ones((4, k), dtype=np.int32)),
            "input_top_logprobs_val_flat_b64": _plain(np.full((4, k), -1.0, dtype=np.float32)),
        }
    return {"meta_info": meta}


_CHAT = {
    "choices": [
        {
            "message": {"role": "assistant", "content": '{"verdicts": [{"id": "a", "met": true}]}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7},
}
_ECHO = {
    "choices": [
        {
            "logprobs": {
                "token_logprobs": [None] + [-1.0] * 5,
                "top_logprobs": [None] + [{"token_id:3": -1.0, "token_id:4": -2.0}] * 5,
            }
        }
    ]
}
_DRAWN = {
    "choices": [
        {
            "finish_reason": "stop",
            "token_ids": [4, 5],
            "logprobs": {"content": [{"token_id": 4, "logprob": -1.0}, {"token_id": 5, "logprob": -1.0}]},
            "weight_versions": [{"start": 0, "end": 2, "version": "3"}],
        }
    ]
}
_SG_DRAWN = {
    "output_ids": [4, 5],
    "meta_info": {
        "finish_reason": {"type": "length"},
        "output_token_logprobs": [[-1.0, 4, None], [-1.0, 5, None]],
        "weight_version": "2",
        "weight_versions": [{"start": 0, "end": 2, "version": "3"}],
    },
}
_FOUND = {"result": [[{"document": {"id": "1", "contents": '"T"\ntext'}, "score": 1.5}, {"id": 2, "contents": "bare"}]]}


def _one(form: Any, asked: Ask, place: int = 0) -> Call[Any]:
    return form.calls(asked)[place]


def _graded(answer: Any) -> object:
    return votes_in(reply_of(answer), ["a", "b"])


EXCHANGES: tuple[tuple[Call[Any], Any], ...] = (
    (_one(VllmForm("m", 8, takes_ids=False), TOP), {"prompt_logprobs": _classic(2)}),
    (_one(VllmForm("m", 8), NARROW), {"prompt_token_id_logprobs": npy(np.full((4, 1), -1.0, dtype=np.float32))}),
    (_one(VllmForm("m", 8, is_understudy=True, vocab_size=9, hidden_size=5), WIDE), _ours()),
    (_one(SglangForm(vocab_size=9), TOP), _sglang(2)),
    (_one(SglangForm(), NARROW), _sglang(0)),
    (_one(CompletionsForm("m"), TOP), {"choices": [{"prompt_logprobs": _classic(2)}]}),
    (_one(CompletionsForm("m", echo=True), TOP), _ECHO),
    (vllm_call(DRAW, PARAMS, model="m", salt="w0"), _DRAWN),
    (sglang_call(DRAW, PARAMS, adapter=None), _SG_DRAWN),
    (Call("/retrieve", lambda answer: _hits(answer, num_queries=1, top_k=2), {}), _FOUND),
    (Call("/v1/chat/completions", _message, {}), _CHAT),
    (
        Call("/v1/completions", _completion, {}),
        {"choices": [{"text": "yes", "finish_reason": "length"}], "usage": None},
    ),
    (Call("/chat/completions", _graded, {}), _CHAT),
)


@dataclass
class Wire:
    """A server whose answers are given: what ``ServerPool`` is to those who ask, over the real reading of answers."""

    answers: Callable[[str], httpx.Response]
    settings: ServerSettings = field(default_factory=lambda: ServerSettings(("http://127.0.0.1:9",)))

    async def ask(self, call: Call[Any]) -> Any:
        transport = httpx.MockTransport(lambda request: self.answers(request.url.path))
        async with httpx.AsyncClient(base_url=self.settings.urls[0], transport=transport) as client:
            return await ask(client, call, timeout_seconds=5.0, max_bytes=_MAX_BYTES)


def scores_and_draws(folder: Path) -> Target:
    """The first byte names the exchange, the second the status; the rest is the body."""
    statuses = (200,) * 12 + (204, 301, 400, 401, 429, 500, 503, 599)

    def make(random: Random) -> bytes:
        number = random.randrange(len(EXCHANGES))
        good = EXCHANGES[number][1]
        body = json_bytes(twisted(random, good)) if random.random() < 0.7 else broken(random, json_bytes(good))
        if random.random() < 0.01:
            body = random.choice((b"", nested(), nested(b'{"choices":', b"}"), b"x" * (_MAX_BYTES + 1), b"9" * 9999))
        return bytes([number, random.randrange(len(statuses))]) + body

    def attempt(content: bytes) -> None:
        if len(content) >= 2:
            call, status = EXCHANGES[content[0] % len(EXCHANGES)][0], statuses[content[1] % len(statuses)]
            wire = Wire(lambda _: httpx.Response(status, content=content[2:], headers={"retry-after": "nan"}))
            _asked(wire.ask(call))

    return Target("server answer", make, attempt)


_IDENTITIES: tuple[dict[str, Any], ...] = (
    {
        "/server_info": {
            "model_config": {"model": "m", "max_model_len": 64, "max_logprobs": 8, "logprobs_mode": "raw_logprobs"},
            "understudy": {
                "version": "1",
                "fingerprint": "ab",
                "tokenizer_fingerprint": "cd",
                "vocab_size": 9,
                "hidden_size": 5,
                "stop_ids": [1],
                "extensions": ["top_k"],
            },
        },
        "/v1/models": {"data": [{"id": "m", "max_model_len": 64, "parent": None}, {"id": "a", "parent": "m"}]},
    },
    {"/model_info": {"model_path": "x"}, "/v1/models": {"data": [{"id": "m"}]}},
)


def identities(folder: Path) -> Target:
    """All that a server says of itself, in one object by path."""

    def make(random: Random) -> bytes:
        return json_bytes(twisted(random, random.choice(_IDENTITIES)))

    def attempt(content: bytes) -> None:
        said = json.loads(content)
        said = said if isinstance(said, Mapping) else {}

        def answer(path: str) -> httpx.Response:
            return httpx.Response(200, content=json_bytes(said[path])) if path in said else httpx.Response(404)

        _asked(identify(Wire(answer)))  # type: ignore[arg-type]

    return Target("server identity", make, attempt)


def heads(folder: Path) -> Target:
    """The output head that a server sends, as safetensors."""
    said = {"scale": "1.0", "cap": "", "fingerprint": "ab"}
    good = save({"weight": torch.ones(9, 5), "bias": torch.ones(9)}, said)

    def attempt(content: bytes) -> None:
        head_from(content, size=(9, 5), fingerprint="ab", vocab_size=8)

    return Target("served head", lambda random: broken(random, good, others=[good]), attempt)


def _asked(coroutine: Any) -> None:
    """Await it; what makes a client ask again counts as refused."""
    try:
        asyncio.run(coroutine)
    except UnavailableError as error:
        raise ServerAnswerError(error.reason or "later") from error
