"""Completions drawn by servers: what is sent for one, and what is read from the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from understudy.errors import RecipeError, ServerAnswerError
from understudy.protocols import SamplingParams
from understudy.randomness import bits
from understudy.servers import sglang, vllm
from understudy.servers.decoding import Floats, entry, listed, logprobs, numbers
from understudy.servers.http import Call, UnavailableError
from understudy.servers.identity import Identity

_LARGEST_ID = 1 << 31
"""No vocabulary is larger; a larger number would not fit where ids are kept."""


@dataclass(frozen=True)
class Key:
    """What keys the draws of a completion in a run; see ``randomness``."""

    seed: int
    step: int
    rollout: int
    index: int

    @property
    def word(self) -> int:
        """A seed below 2 ** 31 for a generator that knows no keys."""
        keyed = bits(seed=self.seed, step=self.step, purpose="served sample", rollout=self.rollout, index=self.index)
        return int(keyed) >> 33


@dataclass(frozen=True, eq=False)
class Draw:
    """One completion to draw.

    Args:
        prompt: ids. max_tokens: new ones at most. key: of its draws.
        label: what the weights are called that end it. labels: those that may have begun it; empty where the server
            names none, or where a name of their own tells weights apart.
    """

    prompt: Sequence[int]
    max_tokens: int
    key: Key
    label: str = ""
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn completion.

    Args:
        ids: [C]. logprobs: [C] of the distribution that sampled. versions: of the weights of each token, as the server
            calls them; None where it does not say. finish_reason: why it ended.
    """

    ids: list[int]
    logprobs: Floats
    versions: list[str] | None
    finish_reason: Literal["stop", "length"]


def check_behaviour(identity: Identity, params: SamplingParams, *, url: str) -> None:
    """The server's log-probs must be those of the distribution that samples, or importance ratios are wrong.

    Raises:
        RecipeError: they are of another one.
    """
    is_truncated = params.top_p < 1 or params.top_k > 0
    is_plain = params.temperature in (0, 1) and not is_truncated
    mode = identity.logprobs_mode
    exact = mode == "processed_logprobs" or (is_plain and mode in (None, "raw_logprobs"))
    if identity.kind == "sglang":  # after the temperature (1 for greedy draws, as here), before any truncation
        exact = not is_truncated
    if not exact:
        raise RecipeError(
            f"{url}: the server does not tell log-probs of the distribution that samples",
            got=f"logprobs mode {mode or 'unknown'}, temperature {params.temperature:g}, top_p {params.top_p:g}, "
            f"top_k {params.top_k}",
            expected="--logprobs-mode processed_logprobs, or temperature 1 without truncation",
            remedy="Start vLLM with --logprobs-mode processed_logprobs, or set temperature: 1, top_p: 1, top_k: 0.",
        )


def vllm_call(draw: Draw, params: SamplingParams, *, model: str, salt: str, keyed: bool = False) -> Call[Drawn]:
    """``/inference/v1/generate``.

    Args:
        salt: keeps cached prefixes of other weights apart. keyed: the server draws by the run's own key.
    """
    wanted: dict[str, object] = {
        "n": 1,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k,
        "max_tokens": draw.max_tokens,
        "seed": draw.key.word,
        # Only the run's own ids end a completion.
        "stop_token_ids": sorted(params.stop_ids),
        "ignore_eos": True,
        "logprobs": 0,
        "detokenize": False,
    }
    if keyed:
        wanted["keyed_draw"] = asdict(draw.key)
    body = {"model": model, "token_ids": list(draw.prompt), "sampling_params": wanted, "cache_salt": salt}
    return Call(vllm.GENERATE, lambda answer: _from_vllm(answer, draw, params.stop_ids), body)


def sglang_call(draw: Draw, params: SamplingParams, *, adapter: str | None) -> Call[Drawn]:
    """``/generate``."""
    wanted = {
        "n": 1,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k or -1,
        "max_new_tokens": draw.max_tokens,
        "sampling_seed": draw.key.word,
        # With ignore_eos SGLang passes over these as well, so the model's own ends cannot be switched off beside them.
        "stop_token_ids": sorted(params.stop_ids),
        "ignore_eos": False,
        "skip_special_tokens": False,
        "no_stop_trim": True,
    }
    body = {"input_ids": list(draw.prompt), "sampling_params": wanted, "return_logprob": True, "logprob_start_len": -1}
    if adapter is not None:
        body["lora_path"] = adapter
    return Call(sglang.GENERATE, lambda answer: _from_sglang(answer, draw, params.stop_ids), body)


def _from_vllm(answer: Any, draw: Draw, stop_ids: frozenset[int]) -> Drawn:
    choice = entry(answer, "choices", 0)
    reason = entry(choice, "finish_reason")
    _refuse_aborted(reason)
    ids = listed(entry(choice, "token_ids"), name="choices.0.token_ids")
    content = listed(entry(choice, "logprobs", "content"), name="choices.0.logprobs", count=len(ids))
    told = [entry(one, "token_id") for one in content]
    if told != ids:
        raise ServerAnswerError("the log-probs are of other tokens than were drawn", got=str(told[:3]))
    versions = _spread(choice.get("weight_versions"), len(ids))
    values = [entry(one, "logprob") for one in content]
    return _drawn(ids, values, versions, draw, reason=_reason(reason, ids, stop_ids))


def _from_sglang(answer: Any, draw: Draw, stop_ids: frozenset[int]) -> Drawn:
    meta = entry(answer, "meta_info")
    reason = entry(meta, "finish_reason", "type")
    _refuse_aborted(reason)
    ids = listed(entry(answer, "output_ids"), name="output_ids")
    content = listed(entry(meta, "output_token_logprobs"), name="output_token_logprobs", count=len(ids))
    versions = _spread(meta.get("weight_versions"), len(ids))
    if versions is None and meta.get("weight_version") is not None:
        versions = [str(meta["weight_version"])] * len(ids)
    return _drawn(ids, [entry(one, 0) for one in content], versions, draw, reason=_reason(reason, ids, stop_ids))


def _refuse_aborted(reason: object) -> None:
    """A completion that the server gave up, because it was paused or ran out of memory, is drawn again."""
    if reason == "abort":
        raise UnavailableError("it aborted a completion", is_lost=False)


def _refuse_other_weights(versions: list[str] | None, draw: Draw) -> None:
    """A server that was started anew has weights that nobody gave it: it is given the run's, and draws again."""
    if draw.labels and versions and not (draw.labels.issuperset(versions) and versions[-1] == draw.label):
        raise UnavailableError(f"it drew with weights called {versions[-1]!r}, not {draw.label!r}", tries=5)


def _reason(told: object, ids: list[Any], stop_ids: frozenset[int]) -> Literal["stop", "length"]:
    """Why it ended; SGLang calls one that ends with its last allowed token too long even where that token ends it."""
    if told not in ("stop", "length"):
        raise ServerAnswerError("the completion ended for no known reason", got=str(told))
    return "stop" if told == "stop" or (ids and ids[-1] in stop_ids) else "length"


def _drawn(
    ids: list[Any],
    values: list[object],
    versions: list[str] | None,
    draw: Draw,
    *,
    reason: Literal["stop", "length"],
) -> Drawn:
    if not ids or len(ids) > draw.max_tokens or not all(type(id) is int and 0 <= id < _LARGEST_ID for id in ids):
        raise ServerAnswerError("the completion is malformed", got=f"{len(ids)} ids", expected=f"1..{draw.max_tokens}")
    _refuse_other_weights(versions, draw)
    found = logprobs(np.array(numbers(values, name="the log-probs")), name="the log-probs of a completion")
    return Drawn(ids, found, versions, reason)


def _spread(spans: object, count: int) -> list[str] | None:
    """[C] version of each token from half-open spans; None where they do not cover every token."""
    if not isinstance(spans, list):
        return None
    versions = [""] * count
    for span in spans:
        if not isinstance(span, Mapping):
            return None
        start, end = span.get("start", 0), span.get("end", count)
        if not isinstance(start, int) or not isinstance(end, int) or start < 0:
            return None
        for place in range(start, min(end, count)):
            versions[place] = str(span.get("version"))
    return versions if "" not in versions else None
