"""vLLM's token-in, token-out route, and what Understudy's own server adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from understudy.servers import prompt_logprobs
from understudy.servers.decoding import Ids, entry, finite, logprobs, npy
from understudy.servers.http import Call, UnfilledRowsError
from understudy.servers.rows import Ask, Rows, check_top_ids

GENERATE = "/inference/v1/generate"


@dataclass(frozen=True)
class VllmForm:
    """Implements ``WireForm``.

    Args:
        model: served name. max_ids: ids a row and request. takes_ids: chosen ids at each position are supported.
        is_understudy: the server is ours: top k, entropy, hidden states and temperature of prompts, no token generated.
        vocab_size, hidden_size: where they are known.
        prefix_cache: prompts that the server has read before are not read again; a pass whose rows the cache swallows
            is asked for once more without.
    """

    model: str
    max_ids: int
    takes_ids: bool = True
    is_understudy: bool = False
    vocab_size: int | None = None
    hidden_size: int | None = None
    prefix_cache: bool = False

    def calls(self, ask: Ask) -> list[Call[Rows]]:
        """One request; more where the ids of a row exceed ``max_ids``, or the classic form must give the top k."""
        calls = []
        if not self.takes_ids or (ask.top_k and not self.is_understudy):
            calls.append(self._classic(ask))
        if self.takes_ids and (not calls or ask.ids is not None):
            calls += self._chosen(ask, with_sampled=not calls)
        return calls

    def _classic(self, ask: Ask) -> Call[Rows]:
        body = self._body(ask, {"prompt_logprobs": ask.top_k})
        return Call(GENERATE, lambda answer: prompt_logprobs.rows_of(entry(answer, "prompt_logprobs"), ask), body)

    def _chosen(self, ask: Ask, *, with_sampled: bool) -> list[Call[Rows]]:
        """Requests for chosen ids, the sampled token in the first column of the first."""
        columns = [ask.scored[:, None]] if with_sampled else []
        columns += [] if ask.ids is None else [ask.ids]
        ids = np.concatenate(columns, axis=1)
        blocks = [ids[:, first : first + self.max_ids] for first in range(0, ids.shape[1], self.max_ids)]
        return [
            self._chosen_block(ask, block, with_sampled=with_sampled and number == 0, has_rest=number == 0)
            for number, block in enumerate(blocks)
        ]

    def _chosen_block(self, ask: Ask, ids: Ids, *, with_sampled: bool, has_rest: bool) -> Call[Rows]:
        params: dict[str, object] = {"prompt_logprob_token_ids": ids.tolist(), "prompt_logprob_start": ask.start}
        if self.is_understudy:
            params |= {"prompt_temperature": ask.temperature}
            if has_rest:
                params |= _extensions(ask)
        read = partial(self._read, ask=ask, width=ids.shape[1], with_sampled=with_sampled, has_rest=has_rest)
        whole = Call(GENERATE, read, self._body(ask, params))
        if not self.prefix_cache or self.is_understudy:
            return whole
        return Call(GENERATE, read, self._body(ask, params | {"skip_reading_prefix_cache": False}), otherwise=whole)

    def _body(self, ask: Ask, params: dict[str, object]) -> dict[str, object]:
        # vLLM generates at least one token.
        fixed = {"max_tokens": 0 if self.is_understudy else 1, "temperature": 1.0, "detokenize": False}
        return {"model": self.model, "token_ids": ask.tokens.tolist(), "sampling_params": fixed | params}

    def _read(self, answer: Any, *, ask: Ask, width: int, with_sampled: bool, has_rest: bool) -> Rows:
        name = "prompt_token_id_logprobs"
        content = entry(answer, name)
        if content is None:
            raise UnfilledRowsError(
                "the server could not fill every row", remedy="Start it without prefix caching for scored prompts."
            )
        found = logprobs(npy(content, name=name, dtype="<f4", shape=(ask.num_rows, width)), name=name)
        own = int(with_sampled)
        rest = self._rest(answer, ask) if has_rest and self.is_understudy else Rows()
        return Rows(
            sampled=found[:, 0] if with_sampled else None,
            at_ids=found[:, own:] if ask.ids is not None else None,
            top_ids=rest.top_ids,
            top_logprobs=rest.top_logprobs,
            entropy=rest.entropy,
            hidden=rest.hidden,
        )

    def _rest(self, answer: Any, ask: Ask) -> Rows:
        """The columns that only Understudy's own server gives."""

        def array(name: str, dtype: str, width: int | None) -> Any:
            shape = (ask.num_rows,) if width is None else (ask.num_rows, width)
            return npy(entry(answer, name), name=name, dtype=dtype, shape=shape)

        top_ids = array("prompt_top_ids", "<i4", ask.top_k).astype(np.int64) if ask.top_k else None
        top = array("prompt_top_logprobs", "<f4", ask.top_k) if ask.top_k else None
        hidden = array("prompt_hidden", "<f4", self.hidden_size or 0) if ask.hidden else None
        return Rows(
            top_ids=None if top_ids is None else check_top_ids(top_ids, vocab_size=self.vocab_size),
            top_logprobs=None if top is None else logprobs(top, name="prompt_top_logprobs"),
            entropy=finite(array("prompt_entropy", "<f4", None), name="prompt_entropy") if ask.entropy else None,
            hidden=None if hidden is None else finite(hidden, name="prompt_hidden"),
        )


def _extensions(ask: Ask) -> dict[str, object]:
    wanted: dict[str, object] = {"prompt_top_k": ask.top_k} if ask.top_k else {}
    if ask.entropy:
        wanted["prompt_entropy"] = True
    if ask.hidden:
        wanted["prompt_hidden"] = True
    return wanted
