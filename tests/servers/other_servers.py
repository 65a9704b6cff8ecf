"""Answers in the forms of servers that are not ours, from a tiny model: what SERVERS of these kinds would send."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.servers.scripted import Answer, Asked, Reply

Route = Callable[[Any], object]


class RequestRefusedError(Exception):
    """Becomes HTTP 400."""


def npy(array: np.ndarray) -> str:
    """Base64 of a ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return base64.b64encode(stream.getvalue()).decode()


def plain(array: np.ndarray) -> str:
    """Base64 of the plain bytes."""
    return base64.b64encode(array.tobytes()).decode()


class Scored:
    """[L - 1, V] log-probs of the tiny model, cut to its true vocabulary."""

    def __init__(self, model: PreTrainedModel, vocab_size: int) -> None:
        self._model, self.vocab_size = model, vocab_size

    def __call__(self, tokens: list[int]) -> Tensor:
        with torch.no_grad():
            logits = self._model(torch.tensor([tokens])).logits[0, :-1, : self.vocab_size]
        return logits.float().log_softmax(1)


def _classic(logprobs: Tensor, tokens: list[int], k: int) -> list[dict[str, object] | None]:
    found: list[dict[str, object] | None] = [None]
    for row, token in zip(logprobs, tokens[1:], strict=True):
        ids = [token, *(one for one in row.topk(k).indices.tolist() if one != token)]
        found.append({str(one): {"logprob": float(row[one]), "rank": 1, "decoded_token": "?"} for one in ids})
    return found


def vllm_generate(scored: Scored, *, max_logprobs: int = 20, takes_ids: bool = True, caches: bool = False) -> Route:
    """``POST /inference/v1/generate``; without ``takes_ids`` an older version, which ignores the field.

    Args:
        caches: it knows every text that it has read, and answers null where its cache covers rows that were wanted.
    """
    known: set[tuple[int, ...]] = set()

    def generate(body: Any) -> object:
        tokens, params = body["token_ids"], body["sampling_params"]
        assert params["max_tokens"] >= 1
        answer: dict[str, object] = {"prompt_logprobs": None, "prompt_token_ids": None, "choices": [{"token_ids": [1]}]}
        if body.get("return_token_ids"):
            answer["prompt_token_ids"] = tokens
        if params.get("prompt_logprobs") is not None:
            if params["prompt_logprobs"] > max_logprobs:
                raise RequestRefusedError("too many prompt_logprobs")
            answer["prompt_logprobs"] = _classic(scored(tokens), tokens, params["prompt_logprobs"])
        if takes_ids and "prompt_logprob_token_ids" in params:
            start, ids = params["prompt_logprob_start"], torch.tensor(params["prompt_logprob_token_ids"])
            if ids.shape[0] != len(tokens) - 1 - start or ids.shape[1] > max_logprobs:
                raise RequestRefusedError("prompt_logprob_token_ids of the wrong shape")
            found = scored(tokens)[start:].gather(1, ids.clamp_min(0)).masked_fill(ids < 0, -torch.inf)
            is_swallowed = caches and params.get("skip_reading_prefix_cache") is False and tuple(tokens) in known
            answer["prompt_token_id_logprobs"] = None if is_swallowed else npy(found.numpy())
            known.add(tuple(tokens))
        return answer

    return generate


def completions(scored: Scored, *, echo: bool = False, max_logprobs: int = 20) -> Route:
    """``POST /v1/completions`` with ``prompt_logprobs``, or with ``echo`` only."""

    def complete(body: Any) -> object:
        tokens = body["prompt"]
        k = body.get("logprobs") if echo else body.get("prompt_logprobs")
        if k is not None and k > max_logprobs:
            raise RequestRefusedError("too many logprobs")
        choice: dict[str, object] = {"index": 0, "text": "?"}
        if not echo:
            choice["prompt_logprobs"] = None if k is None else _classic(scored(tokens), tokens, k)
        elif body.get("echo"):
            rows = scored(tokens)
            own = rows.gather(1, torch.tensor(tokens[1:])[:, None]).squeeze(1).tolist()
            top = [
                {f"token_id:{id}": float(row[id]) for id in row.topk(k).indices.tolist()} for row in rows
            ]  # and, after the prompt's, those of the generated token
            choice["logprobs"] = {
                "tokens": [f"token_id:{id}" for id in [*tokens, 1]],
                "token_logprobs": [None, *own, -0.5],
                "top_logprobs": [None, *top, {"token_id:1": -0.5}],
            }
        return {"choices": [choice]}

    return complete


def sglang_generate(scored: Scored) -> Route:
    """``POST /generate`` that scores."""

    def generate(body: Any) -> object:
        tokens, start, k = body["input_ids"], body["logprob_start_len"], body.get("top_logprobs_num", 0)
        rows = scored(tokens)[start:]
        own = rows.gather(1, torch.tensor(tokens[start + 1 :])[:, None]).squeeze(1).tolist()
        entries = [[None, tokens[start], None]]
        # ids of the vocabulary's end are told as 0 (SGLang 0.5.23)
        entries += [
            [p, t if t < scored.vocab_size - 1 else 0, None] for p, t in zip(own, tokens[start + 1 :], strict=True)
        ]
        meta: dict[str, object] = {"input_token_logprobs": entries}
        if k:
            top = rows.topk(k)
            meta |= {
                "input_top_logprobs_shape": [rows.shape[0], k],
                "input_top_logprobs_null_prefix": 1,
                "input_top_logprobs_val_flat_b64": plain(top.values.numpy().astype("<f4")),
                "input_top_logprobs_idx_flat_b64": plain(top.indices.numpy().astype("<i4")),
            }
        return {"text": "", "output_ids": [], "meta_info": meta}

    return generate


def answering(routes: dict[str, Route], *, model: str = "teacher", max_model_len: int = 64) -> Answer:
    """A server of these routes and of those that all have; 404 elsewhere."""
    listed = {"data": [{"id": model, "max_model_len": max_model_len}]}

    def answer(asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        if path == "/health":
            return Reply(b"")
        if path == "/v1/models":
            return Reply(listed)
        if path not in routes:
            return Reply({"error": {"message": "Not Found", "code": 404}}, status=404)
        try:
            return Reply(routes[path](asked.body))
        except RequestRefusedError as error:
            return Reply({"error": {"message": str(error), "type": "BadRequestError", "code": 400}}, status=400)

    return answer


def vllm(scored: Scored, *, max_logprobs: int = 20, takes_ids: bool = True, caches: bool = False) -> Answer:
    """A vLLM without development mode."""
    route = vllm_generate(scored, max_logprobs=max_logprobs, takes_ids=takes_ids, caches=caches)
    return answering({"/inference/v1/generate": route})


def sglang(scored: Scored) -> Answer:
    """An SGLang server."""
    info = {"model_path": "teacher", "tokenizer_path": "teacher"}
    return answering({"/generate": sglang_generate(scored), "/model_info": lambda _: info})


def openai(scored: Scored, *, echo: bool) -> Answer:
    """A server of ``/v1/completions`` alone."""
    return answering({"/v1/completions": completions(scored, echo=echo)})
