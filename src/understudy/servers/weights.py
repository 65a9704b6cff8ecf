"""Giving a server new weights: an adapter under a name of its own, or all of them from disk."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import ModelError, ServerError
from understudy.servers.decoding import entry
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool

_FLUSH_TRIES = 100
_FLUSH_SECONDS = 0.1
_ADAPTER = "adapter_model.safetensors"


def adapter_name(folder: Path, version: int) -> str:
    """A name for the adapter in that folder, made of its content: one name never stands for two sets of weights.

    Raises:
        ModelError: the folder holds no whole adapter.
    """
    digest = hashlib.sha256()
    try:
        for file in ("adapter_config.json", _ADAPTER):
            digest.update((folder / file).read_bytes())
    except OSError as error:
        raise ModelError(f"{folder} is not a complete adapter", got=error.strerror, expected=_ADAPTER) from error
    return f"understudy-{version:06d}-{digest.hexdigest()[:12]}"


async def load_adapter(pool: ServerPool, name: str, folder: Path, *, is_sglang: bool) -> None:
    """Load an adapter; the folder must be visible to the server. One that is there under this name is the same."""
    path = "/load_lora_adapter" if is_sglang else "/v1/load_lora_adapter"
    try:
        await pool.ask(_post(path, {"lora_name": name, "lora_path": str(folder.resolve())}))
    except RefusedError as error:
        if error.status == 404:
            raise _without_updates(error) from error
        if "already" not in str(error.got):
            raise


async def unload_adapter(pool: ServerPool, name: str, *, is_sglang: bool) -> None:
    """Forget an adapter that nobody samples with any more; one that is not there is forgotten already."""
    path = "/unload_lora_adapter" if is_sglang else "/v1/unload_lora_adapter"
    try:
        await pool.ask(_post(path, {"lora_name": name}))
    except RefusedError:
        return


async def reload_from_disk(pool: ServerPool, folder: Path, version: int, *, is_sglang: bool) -> None:
    """All weights from a folder in Hugging Face form: pause, reload, name the version, flush cached prefixes, resume.

    Raises:
        ServerError: a part of it failed; the server answers again all the same, with the weights it then has.
    """
    if is_sglang:
        body = {"model_path": str(folder.resolve()), "weight_version": str(version), "flush_cache": True}
        await pool.ask(Call("/update_weights_from_disk", _succeeded, body))
        return
    try:
        await pool.ask(_post("/pause?mode=wait", {}))
    except RefusedError as error:
        raise _without_updates(error) from error
    try:
        kwargs = {"weights_path": str(folder.resolve())}
        await pool.ask(_post("/collective_rpc", {"method": "reload_weights", "kwargs": kwargs, "timeout": 600}))
        await pool.ask(_post("/update_weight_version", {"new_version": str(version)}))
        await _flush(pool)
    finally:
        await pool.ask(_post("/resume", {}))


async def _flush(pool: ServerPool) -> None:
    for _ in range(_FLUSH_TRIES):
        if await pool.ask(Call("/reset_prefix_cache", lambda answer: bool(entry(answer, "success")), {})):
            return
        await asyncio.sleep(_FLUSH_SECONDS)
    raise ServerError(
        f"{pool.settings.urls[0]}: the server does not flush its prefix cache",
        remedy="Completions would mix old and new weights; start it with --no-enable-prefix-caching.",
    )


def _post(path: str, body: Mapping[str, object]) -> Call[None]:
    return Call(path, lambda _: None, body, is_json=False)


def _succeeded(answer: Any) -> None:
    if not entry(answer, "success"):
        raise ServerError("the server did not take the weights", got=str(answer.get("message"))[:200])


def _without_updates(error: RefusedError) -> ServerError:
    return ServerError(
        error.what.replace("the server refuses the request", "the server takes no new weights"),
        got=error.got,
        remedy="Start understudy serve with --allow-updates, or vLLM in development mode (docs/teachers.md).",
    )
