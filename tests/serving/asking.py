"""Requests to a served model as a client writes them, and the numbers in its answers."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import torch
from torch import Tensor

from understudy.engines.local import LocalScorer
from understudy.protocols import ScoreRequest, Scores


def generate(client: httpx.Client, ids: list[int], *, model: str | None = None, **params: Any) -> dict[str, Any]:
    """The answer of ``/inference/v1/generate``; any status but 200 is a failure."""
    body = {"token_ids": ids, "sampling_params": params} | ({} if model is None else {"model": model})
    response = client.post("/inference/v1/generate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(response: httpx.Response, status: int, *words: str) -> None:
    """The answer is this refusal, in the form of the wire, and its message holds the words."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == status
    assert (error["type"] == "InternalServerError") == (status == 500)
    for word in words:
        assert word in error["message"], error["message"]


def array(text: str) -> Tensor:
    """The numbers in base64 of a ``.npy`` file."""
    return torch.from_numpy(np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False))


def rows_of(scorer: LocalScorer, tokens: list[int], *, start: int, **wishes: Any) -> Scores:
    """Scores of tokens start + 1 .. L - 1 in this process."""
    position = torch.arange(start + 1, len(tokens))
    return scorer.score(ScoreRequest([torch.tensor(tokens)], torch.zeros_like(position), position, **wishes))
