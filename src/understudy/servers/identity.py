"""Who answers at an address: the kind of server, its model, its limits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from understudy.errors import CapabilityError, ServerAnswerError, ServerError, WrongServerError
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool

Served = Literal["understudy", "vllm", "sglang", "completions"]


@dataclass(frozen=True)
class Identity:
    """What a server says of itself; None where it does not.

    Args:
        kind: its wire form; None while only a request can tell. model: served name. is_base: not an adapter of it.
        fingerprint: of its weights and tokenizer, or of its name where it gives none. max_length: of a text in tokens.
        max_logprobs: ids a row, -1 without bound. logprobs_mode: of what it sampled, see docs/teachers.md.
        vocab_size, hidden_size, tokenizer_fingerprint, stop_ids, device, extensions: of Understudy's own server.
    """

    kind: Served | None
    model: str
    is_base: bool
    fingerprint: str
    max_length: int | None = None
    max_logprobs: int | None = None
    logprobs_mode: str | None = None
    vocab_size: int | None = None
    hidden_size: int | None = None
    tokenizer_fingerprint: str | None = None
    stop_ids: frozenset[int] | None = None
    device: str | None = None
    extensions: frozenset[str] = field(default_factory=frozenset)

    def differences(self, other: Identity) -> list[str]:
        """What another address says otherwise, in words."""
        pairs = {
            "kind": (self.kind, other.kind),
            "model": (self.model, other.model),
            "fingerprint": (self.fingerprint, other.fingerprint),
            "longest text": (self.max_length, other.max_length),
            "largest number of log-probs": (self.max_logprobs, other.max_logprobs),
        }
        return [f"{name} {after}, not {before}" for name, (before, after) in pairs.items() if before != after]


async def identify(pool: ServerPool) -> Identity:
    """Ask the server what it is, in at most three requests.

    Raises:
        ServerDownError: nobody answers. WrongServerError: no model server, or not the model that the settings name.
        ServerKeyError: it wants another key.
    """
    settings = pool.settings
    said = await _asked(pool, "/server_info?config_format=json") or {}
    ours, config = _mapping(said.get("understudy")), _mapping(said.get("model_config"))
    paths = {} if ours else await _asked(pool, "/model_info") or {}
    kind: Served | None = "understudy" if ours else "sglang" if "model_path" in paths else None
    if settings.kind == "sglang":
        kind = "sglang"
    elif settings.kind == "completions" or (settings.kind == "vllm" and not ours):
        kind = settings.kind
    model = _chosen_model(await _models(pool), pool)
    length = _whole(model.get("max_model_len")) or _whole(config.get("max_model_len"))
    is_base = model.get("parent") is None
    name = str(model["id"])
    fingerprint = str(ours.get("fingerprint") or _named(kind, name, paths))
    return Identity(
        kind=kind,
        model=name,
        is_base=is_base,
        fingerprint=fingerprint if is_base or not ours else f"{fingerprint}+{name}",
        max_length=length,
        max_logprobs=_whole(config.get("max_logprobs")),
        logprobs_mode=_text(config.get("logprobs_mode")),
        vocab_size=_whole(ours.get("vocab_size")),
        hidden_size=_whole(ours.get("hidden_size")),
        tokenizer_fingerprint=_text(ours.get("tokenizer_fingerprint")),
        stop_ids=_ids(ours.get("stop_ids")),
        device=_text(ours.get("device")),
        extensions=frozenset(map(str, _list(ours.get("extensions")))),
    )


async def _asked(pool: ServerPool, path: str) -> Mapping[str, Any] | None:
    """What stands at a path that not every server has."""
    try:
        return _mapping(await pool.ask(Call(path, lambda answer: answer)))
    except (RefusedError, ServerAnswerError):
        return None


async def _models(pool: ServerPool) -> list[Mapping[str, Any]]:
    try:
        answer = await pool.ask(Call("/v1/models", lambda answer: answer))
        found = [one for one in answer["data"] if isinstance(one, Mapping) and "id" in one]
    except (RefusedError, ServerAnswerError, KeyError, TypeError) as error:
        raise WrongServerError(
            f"{pool.settings.urls[0]}: no model server answers there",
            got=str(error) if isinstance(error, ServerError) else "an answer without a list of models",
            remedy="Give the server's address without a path, such as http://localhost:8000.",
        ) from error
    if not found:
        raise WrongServerError(f"{pool.settings.urls[0]}: the server has no model")
    return found


def _chosen_model(models: list[Mapping[str, Any]], pool: ServerPool) -> Mapping[str, Any]:
    wanted = pool.settings.model
    if wanted is None:
        return next((one for one in models if one.get("parent") is None), models[0])
    for one in models:
        if one["id"] == wanted:
            return one
    raise WrongServerError(
        f"{pool.settings.urls[0]}: the server has another model",
        got=", ".join(str(one["id"]) for one in models[:5]),
        expected=wanted,
        remedy="Correct the address or the field 'model'.",
    )


def check_same(first: Identity, other: Identity, *, url: str) -> None:
    """Raise WrongServerError where another address, or the same at another time, has another model."""
    differences = first.differences(other)
    if differences:
        raise WrongServerError(
            f"{url}: the server is not the one that was there, or not a copy of the others",
            got="; ".join(differences),
            remedy="Serve one model at all addresses, the same for the whole run.",
        )


def check_width(needed: int, limit: int, *, url: str) -> None:
    """Raise CapabilityError where a row needs more log-probs than the server gives."""
    if needed > limit:
        raise CapabilityError(
            f"{url}: the server gives too few log-probs a row",
            got=limit,
            expected=f"at least {needed}",
            remedy="Start it with a larger --max-logprobs, or lower the method's top_k.",
        )


def _named(kind: Served | None, model: str, paths: Mapping[str, Any]) -> str:
    """Digits over the little that such a server says."""
    text = f"{kind} {model} {paths.get('model_path')}"
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _ids(value: object) -> frozenset[int] | None:
    """Of whole numbers; None where anything else is among them."""
    ids = [_whole(one) for one in _list(value)]
    return None if not isinstance(value, list) or None in ids else frozenset(id for id in ids if id is not None)
