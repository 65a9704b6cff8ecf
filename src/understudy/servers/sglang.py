"""SGLang's native route: response-only scores, the prompt's prefix reused, top k as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.errors import ServerAnswerError
from understudy.servers.decoding import entry, flat, listed, logprobs, numbers
from understudy.servers.http import Call
from understudy.servers.rows import Ask, Rows, check_top_ids, sorted_top

GENERATE = "/generate"


@dataclass(frozen=True)
class SglangForm:
    """Implements ``WireForm``.

    Args:
        model: name of a loaded adapter; None for the model itself. vocab_size: where it is known.
    """

    model: str | None = None
    vocab_size: int | None = None

    def calls(self, ask: Ask) -> list[Call[Rows]]:
        """One request."""
        return [Call(GENERATE, lambda answer: self._read(answer, ask), self._body(ask))]

    def _body(self, ask: Ask) -> dict[str, object]:
        body: dict[str, object] = {
            "input_ids": ask.tokens.tolist(),
            "sampling_params": {"max_new_tokens": 0, "temperature": 1.0},
            "return_logprob": True,
            "logprob_start_len": ask.start,
        }
        if ask.top_k:
            body |= {
                "top_logprobs_num": ask.top_k,
                "return_flat_raw_top_logprobs": True,
                "return_flat_raw_top_logprobs_b64": True,
            }
        return body if self.model is None else {**body, "lora_path": self.model}

    def _read(self, answer: Any, ask: Ask) -> Rows:
        # The entry at ``start`` itself has no row before it and carries no value.
        name = "meta_info.input_token_logprobs"
        entries = listed(entry(answer, "meta_info", "input_token_logprobs"), name=name, count=ask.num_rows + 1)[1:]
        own = numbers([entry(one, 0) for one in entries], name=name)
        self._check_ids([entry(one, 1) for one in entries], ask)
        sampled = logprobs(np.array(own), name=name)
        if not ask.top_k:
            return Rows(sampled=sampled)
        return self._with_top(entry(answer, "meta_info"), ask, sampled=sampled)

    def _with_top(self, meta: Any, ask: Ask, *, sampled: Any) -> Rows:
        shape = (ask.num_rows, ask.top_k)
        found = listed(entry(meta, "input_top_logprobs_shape"), name="input_top_logprobs_shape")
        if tuple(found) != shape:
            raise ServerAnswerError("the top log-probs are of another size", got=found, expected=list(shape))
        arrays = {
            part: flat(
                entry(meta, f"input_top_logprobs_{part}_flat_b64"),
                name=f"input_top_logprobs_{part}_flat_b64",
                dtype=dtype,
                shape=shape,
            )
            for part, dtype in (("idx", "<i4"), ("val", "<f4"))
        }
        ids = check_top_ids(arrays["idx"].astype(np.int64), vocab_size=self.vocab_size)
        top_ids, top_logprobs = sorted_top(ids, logprobs(arrays["val"], name="input_top_logprobs"))
        return Rows(sampled=sampled, top_ids=top_ids, top_logprobs=top_logprobs)

    def _check_ids(self, ids: list[object], ask: Ask) -> None:
        """The server says which token it scored; 0 also stands for the last ids of the vocabulary (SGLang 0.5.23)."""
        for place, (found, sent) in enumerate(zip(ids, ask.scored.tolist(), strict=True)):
            if found not in (sent, 0):
                raise ServerAnswerError(
                    "the server scored another token than was sent",
                    got=f"id {found} at row {place}",
                    expected=f"id {sent}",
                    remedy="Compare its tokenizer with the student's.",
                )
