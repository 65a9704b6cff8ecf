"""Numbers in the forms of the wire: base64 of ``.npy``, log-prob objects, log-prob lists."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

NO_VALUE = -9999.0
"""vLLM's sign for a log-prob of minus infinity, which JSON cannot hold."""

Piece = Callable[[int], str]


def npy_text(values: Tensor) -> str:
    """Base64 of a ``.npy`` file: float32 for floats of any precision, int32 for ids."""
    dtype = torch.float32 if values.is_floating_point() else torch.int32
    buffer = io.BytesIO()
    np.save(buffer, values.detach().to("cpu", dtype).contiguous().numpy(), allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def finite(logprob: float) -> float:
    """The log-prob, or ``NO_VALUE``."""
    return logprob if math.isfinite(logprob) else NO_VALUE


def entries_of(id: int, logprob: float, top: Sequence[tuple[int, float]] = ()) -> list[tuple[int, float, int | None]]:
    """Id, log-prob and rank of the token that stands there, then of the most likely ones, without it a second time."""
    ranked = [(other, value, place + 1) for place, (other, value) in enumerate(top)]
    own = next((rank for other, _, rank in ranked if other == id), None)
    return [(id, finite(logprob), own), *((other, finite(value), rank) for other, value, rank in ranked if other != id)]


def top_rows(ids: Tensor | None, logprobs: Tensor | None, count: int) -> list[list[tuple[int, float]]]:
    """The most likely tokens of each of ``count`` rows; empty lists where none were asked for."""
    if ids is None or logprobs is None:
        return [[] for _ in range(count)]
    rows = zip(ids.tolist(), logprobs.tolist(), strict=True)
    return [list(zip(row_ids, values, strict=True)) for row_ids, values in rows]


def prompt_logprobs(
    tokens: Sequence[int], sampled: Sequence[float], tops: Sequence[Sequence[tuple[int, float]]], piece: Piece | None
) -> list[dict[str, object] | None]:
    """vLLM's classic form: one object a token, keyed by ids as text, the token's own first; null for the first token.

    Args:
        tokens: [L]. sampled, tops: of tokens 1 .. L - 1. piece: the text of an id; None leaves it out.
    """
    rows: list[dict[str, object] | None] = [None]
    for id, logprob, top in zip(tokens[1:], sampled, tops, strict=True):
        rows.append(
            {
                str(other): {"logprob": value, "rank": rank, "decoded_token": piece(other) if piece else None}
                for other, value, rank in entries_of(id, logprob, top)
            }
        )
    return rows


def token_logprobs(
    ids: Sequence[int], logprobs: Sequence[float], tops: Sequence[Sequence[tuple[int, float]]]
) -> dict[str, object]:
    """``logprobs`` of a choice of ``/inference/v1/generate``."""
    content = []
    for id, logprob, top in zip(ids, logprobs, tops, strict=True):
        entries = [
            {"token_id": other, "logprob": value, "rank": rank} for other, value, rank in entries_of(id, logprob, top)
        ]
        content.append({**entries[0], "top_logprobs": entries})
    return {"content": content}


def completion_logprobs(
    ids: Sequence[int],
    logprobs: Sequence[float | None],
    tops: Sequence[Sequence[tuple[int, float]]],
    *,
    name: Piece,
    piece: Piece,
    offset: int = 0,
) -> dict[str, object]:
    """``logprobs`` of a choice of ``/v1/completions``: four lists, a null where a token has no log-prob.

    Args:
        name: what an id is called. piece: its text, for the offsets. offset: of the first token's text.
    """
    offsets, top_maps = [], []
    for id, logprob, top in zip(ids, logprobs, tops, strict=True):
        offsets.append(offset)
        offset += len(piece(id))
        own = [] if logprob is None else entries_of(id, logprob, top)
        top_maps.append({name(other): value for other, value, _ in reversed(own)} or None)
    return {
        "tokens": [name(id) for id in ids],
        "token_logprobs": [None if value is None else finite(value) for value in logprobs],
        "top_logprobs": top_maps,
        "text_offset": offsets,
    }


def chat_logprobs(
    ids: Sequence[int], logprobs: Sequence[float], tops: Sequence[Sequence[tuple[int, float]]], *, name: Piece
) -> dict[str, object]:
    """``logprobs`` of a choice of ``/v1/chat/completions``; the lists hold as many as were asked for."""

    def entry(id: int, logprob: float) -> dict[str, object]:
        text = name(id)
        return {"token": text, "logprob": finite(logprob), "bytes": list(text.encode("utf-8", "replace"))}

    rows = zip(ids, logprobs, tops, strict=True)
    return {
        "content": [{**entry(id, logprob), "top_logprobs": [entry(*pair) for pair in top]} for id, logprob, top in rows]
    }
