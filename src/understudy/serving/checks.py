"""What of a request this model cannot do, said before anything waits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.models.sampling_distribution import check_params
from understudy.protocols import SamplingParams
from understudy.serving.jobs import SampleJob, Stream
from understudy.serving.refusal import bad_request
from understudy.serving.resident import Resident
from understudy.serving.wire import GenerateSampling, Sampling

_LARGEST_SEED = (1 << 63) - 1


def checked_prompt(ids: Sequence[int], resident: Resident, *, new_tokens: int, param: str) -> Tensor:
    """[L] int64 ids that the model knows and that leave room for ``new_tokens``; raises Refusal (400)."""
    longest = resident.loaded.max_length
    if not ids:
        raise bad_request(f"{param} is empty", param=param)
    if len(ids) + new_tokens > longest:
        room = f" and {new_tokens} new" if new_tokens else ""
        raise bad_request(f"{len(ids)} tokens{room} are longer than the context of {longest}", param=param)
    tokens = _int64(ids, len(ids), param)
    _check_vocabulary(tokens, resident, lowest=0, param=param)
    return tokens


def checked_ids(rows: Sequence[Sequence[int]], resident: Resident, *, num_rows: int, param: str) -> Tensor:
    """[R, K] int64 ids to score, -1 where one only fills; raises Refusal (400)."""
    if len(rows) != num_rows:
        raise bad_request(f"{param} has {len(rows)} rows, but {num_rows} tokens are predicted", param=param)
    widths = {len(row) for row in rows}
    if len(widths) > 1 or widths == {0}:
        raise bad_request(f"{param} needs rows of one length, at least 1; fill them with -1", param=param)
    width = next(iter(widths), 0)
    check_width(width, resident, param=param)
    ids = _int64(chain.from_iterable(rows), num_rows * width, param).reshape(num_rows, width)
    _check_vocabulary(ids, resident, lowest=-1, param=param)
    return ids


def check_width(k: int, resident: Resident, *, param: str) -> None:
    """Raise Refusal (400) for more ids a row than the server gives."""
    if k < 0 or k > resident.max_logprobs:
        raise bad_request(
            f"{param} of {k} is out of range: this server gives at most {resident.max_logprobs}", param=param
        )


def top_k_of(wish: int, resident: Resident, *, param: str) -> int:
    """How many ids a wish means: -1 means all; raises Refusal (400)."""
    k = resident.loaded.vocab_size if wish == -1 else wish
    check_width(k, resident, param=param)
    return min(k, resident.loaded.vocab_size)


def params_of(body: Sampling, resident: Resident, *, room: int) -> SamplingParams:
    """How to draw, with the model's own stop ids unless they are to be ignored.

    Raises:
        Refusal: 400 a parameter out of range, a stop id outside the vocabulary.
    """
    own = frozenset() if body.ignore_eos else resident.loaded.stop_ids
    stops = frozenset(body.stop_token_ids or ())
    if any(not 0 <= id < resident.loaded.vocab_size for id in stops):
        raise bad_request("stop_token_ids lie outside the vocabulary", param="stop_token_ids")
    most = room if body.max_tokens is None else body.max_tokens
    return checked_params(
        max_completion_length=min(most, room),
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=0 if body.top_k in (None, -1) else int(body.top_k or 0),
        stop_ids=own | stops,
    )


def checked_params(**fields: Any) -> SamplingParams:
    """These parameters; raises Refusal (400) where one is out of range."""
    params = SamplingParams(**fields)
    try:
        check_params(params)
    except RecipeError as error:  # the same mistake, of somebody who has no recipe
        raise bad_request(f"{error.what}; got {error.got}; expected {error.expected}") from error
    return params


def sample_job(
    body: Sampling, resident: Resident, prompt: Tensor, *, model: str, top_logprobs: int, rows: int
) -> SampleJob:
    """The completions that a body asks for of one prompt.

    Args:
        rows: completions that go together at most.
    """
    n = 1 if body.n is None else body.n
    if not 1 <= n <= rows:
        raise bad_request(f"n of {n} is out of range: 1 to {rows}", param="n")
    params = params_of(body, resident, room=resident.loaded.max_length - prompt.numel())
    return SampleJob(model, prompt, params, seed_of(body), n=n, top_logprobs=top_logprobs)


def seed_of(body: Sampling) -> int:
    """The client's seed, or a fresh one."""
    if body.seed is None or body.seed == -1:
        return secrets.randbits(63)
    if not -_LARGEST_SEED <= body.seed <= _LARGEST_SEED:
        raise bad_request("seed does not fit 64 bits", param="seed")
    return body.seed


def stream_of(body: GenerateSampling) -> Stream | None:
    """The draws that a client keys itself; raises Refusal (400) for several completions of one key."""
    key = body.keyed_draw
    if key is None:
        return None
    if body.n not in (None, 1):
        raise bad_request("keyed_draw keys one completion: n must be 1", param="keyed_draw")
    if not all(0 <= part <= _LARGEST_SEED for part in (key.seed, key.step, key.rollout, key.index)):
        raise bad_request("a part of keyed_draw is negative or does not fit 64 bits", param="keyed_draw")
    return Stream(key.seed, key.step, key.rollout, key.index)


def _int64(values: Iterable[int], count: int, param: str) -> Tensor:
    # A quarter of the time that torch.tensor takes, which was a fifth of what a request costs beside the model.
    try:
        return torch.from_numpy(np.fromiter(values, dtype=np.int64, count=count))
    except OverflowError as error:
        raise bad_request(f"{param} holds a number that is no token id", param=param) from error


def _check_vocabulary(ids: Tensor, resident: Resident, *, lowest: int, param: str) -> None:
    size = resident.loaded.vocab_size
    if ids.numel() and (int(ids.min()) < lowest or int(ids.max()) >= size):
        worst = int(ids.min()) if int(ids.min()) < lowest else int(ids.max())
        raise bad_request(f"{param}: token id {worst} is out of the vocabulary of {size}", param=param)
