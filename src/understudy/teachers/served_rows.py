"""From rows of many contexts to one text each, and from the answers back to the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.errors import ServerAnswerError, ShapeError
from understudy.protocols import ScoreRequest
from understudy.servers.rows import Ask, Rows


@dataclass(frozen=True, eq=False)
class Part:
    """One text and the rows of the request that it answers: ``rows`` [M] of the request, ``places`` [M] of the ask."""

    ask: Ask
    rows: Tensor
    places: NDArray[np.int64]


def parts_of(request: ScoreRequest) -> Iterator[Part]:
    """One text a context, from its first row's token to its last; a row asked for twice makes another."""
    context, position = request.context.cpu(), request.position.cpu()
    seen = _occurrence(context, position)
    groups = torch.stack([context, seen], dim=1)
    for number, again in groups.unique(dim=0).tolist():
        rows = ((context == number) & (seen == again)).nonzero().squeeze(1)
        yield _part_of(request, request.contexts[number], rows, position[rows])


def _part_of(request: ScoreRequest, tokens: Tensor, rows: Tensor, position: Tensor) -> Part:
    first, last = int(position.min()), int(position.max())
    if first < 1 or last >= tokens.numel():
        raise ShapeError("a row to score", got=f"positions {first}..{last}", expected=f"1..{tokens.numel() - 1}")
    places = (position - first).numpy()
    ids = None
    if request.ids is not None and request.ids.shape[1]:
        ids = np.full((last - first + 1, request.ids.shape[1]), -1, dtype=np.int64)
        ids[places] = request.ids[rows].cpu().numpy()
    ask = Ask(
        tokens=tokens[: last + 1].cpu().numpy().astype(np.int64),
        start=first - 1,
        ids=ids,
        top_k=request.top_k,
        entropy=request.entropy,
        hidden=request.hidden,
        temperature=request.temperature,
    )
    return Part(ask, rows, places)


def _occurrence(context: Tensor, position: Tensor) -> Tensor:
    """[R] how often each (context, position) stood before."""
    count: dict[tuple[int, int], int] = {}
    seen = []
    for place in zip(context.tolist(), position.tolist(), strict=True):
        seen.append(count.get(place, 0))
        count[place] = seen[-1] + 1
    return torch.tensor(seen, dtype=torch.int64)


class Columns:
    """Puts the rows of each text where the request wants them."""

    def __init__(self, request: ScoreRequest, *, hidden_size: int) -> None:
        count = request.context.numel()
        k = 0 if request.ids is None else request.ids.shape[1]
        self._request = request
        self._arrays: dict[str, NDArray[Any]] = {
            "sampled": np.zeros(count, dtype=np.float32),
            "entropy": np.zeros(count if request.entropy else 0, dtype=np.float32),
            "at_ids": np.zeros((count, k), dtype=np.float32),
            "top_ids": np.zeros((count, request.top_k), dtype=np.int64),
            "top_logprobs": np.zeros((count, request.top_k), dtype=np.float32),
            "hidden": np.zeros((count if request.hidden else 0, hidden_size), dtype=np.float32),
        }
        self._wanted = [name for name, array in self._arrays.items() if array.size]

    def put(self, part: Part, rows: Rows) -> None:
        """Take the wanted columns of one text; raises ServerAnswerError where one is missing."""
        for name in self._wanted:
            found = getattr(rows, name)
            if found is None:
                raise ServerAnswerError(f"the answer has no {name}", remedy="Use another server, or another method.")
            self._arrays[name][part.rows.numpy()] = found[part.places]

    def narrow(self) -> Tensor:
        """[R] log-probs of the tokens that stand there."""
        return torch.from_numpy(self._arrays["sampled"])

    def entropy(self) -> Tensor | None:
        """[R], where it was asked for."""
        return torch.from_numpy(self._arrays["entropy"]) if self._request.entropy else None

    def wide(self, name: str) -> Tensor | None:
        """[R, K] of that name, where it was asked for."""
        asked = self._request.ids is not None if name == "at_ids" else bool(self._request.top_k)
        return torch.from_numpy(self._arrays[name]) if asked else None

    def keep_shared(self, vocab_size: int) -> None:
        """Put ids without mass, the lowest that a row has not, in place of its likeliest ones that are not shared.

        The padded rows of an embedding take part in the softmax of a server that does not tell its vocabulary, and can
        be among the likeliest; nobody else has such ids.
        """
        ids, values = self._arrays["top_ids"], self._arrays["top_logprobs"]
        for row in np.flatnonzero((ids >= vocab_size).any(axis=1)):
            is_shared = ids[row] < vocab_size
            kept, count = ids[row][is_shared], int((~is_shared).sum())
            free = np.setdiff1d(np.arange(min(vocab_size, ids.shape[1] + count)), kept)[:count]
            values[row] = np.concatenate([values[row][is_shared], np.full(count, -np.inf, dtype=np.float32)])
            ids[row] = np.concatenate([kept, free])

    def hidden(self, device: torch.device) -> Tensor:
        """[R, H] on the device."""
        return torch.from_numpy(self._arrays["hidden"]).to(device)
