"""Giving a server new weights: an adapter under a name of its own, or all of them from disk."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import ModelError, ServerError
from understudy.servers.cargo import Cargo
from understudy.servers.decoding import entry
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool

_FLUSH_TRIES = 100
_FLUSH_SECONDS = 0.1
_ADAPTER = "adapter_model.safetensors"

_TAKING_SECONDS = 600.0
"""So long a server may let running completions end, or read weights: as long as vLLM gives its own workers."""


@dataclass(frozen=True, eq=False)
class Shipment:
    """Weights that every address is to have.

    Args:
        source: their folder, visible to the servers; or the weights themselves. version: their number in the run.
        label: what the servers call them: an adapter's name, or the version of all weights. is_adapter: which.
    """

    source: Path | Cargo
    version: int
    label: str
    is_adapter: bool


def shipment_of(source: Path, version: int) -> Shipment:
    """The weights in that folder, under a label that never stands for two sets of them.

    Raises:
        ModelError: the folder holds neither a whole adapter nor a whole model.
    """
    if (source / "adapter_config.json").exists():
        return Shipment(source, version, adapter_name(source, version), is_adapter=True)
    try:
        # Not by content: to read all weights once more costs seconds, and a folder is written once.
        written = (source / "config.json").stat().st_mtime_ns
    except OSError as error:
        raise ModelError(f"{source} is not a model", got=error.strerror, expected="config.json and weights") from error
    return Shipment(source, version, f"{version}-{_digest(str(source.resolve()), str(written))}", is_adapter=False)


def adapter_name(folder: Path, version: int) -> str:
    """A name for the adapter in that folder, made of its content, its run's place and its version.

    Raises:
        ModelError: the folder holds no whole adapter.
    """
    digest = hashlib.sha256()
    try:
        for file in ("adapter_config.json", _ADAPTER):
            digest.update((folder / file).read_bytes())
    except OSError as error:
        raise ModelError(f"{folder} is not a complete adapter", got=error.strerror, expected=_ADAPTER) from error
    return f"{adapters_of(folder)}{version:06d}-{digest.hexdigest()[:12]}"


def adapters_of(folder: Path) -> str:
    """What the names of all adapters begin with that come from one place."""
    return f"understudy-{_digest(str(folder.resolve().parent))}-"


async def hold(pool: ServerPool, shipment: Shipment, *, is_sglang: bool) -> bool:
    """Whether the server has these weights already, as far as it tells."""
    if is_sglang:
        return False
    try:
        if shipment.is_adapter:
            return shipment.label in await _models(pool)
        told = await pool.ask(Call("/weight_info", lambda answer: entry(answer, "weight_version")))
    except ServerError:
        return False
    return str(told) == shipment.label


async def give(pool: ServerPool, shipment: Shipment, *, is_sglang: bool) -> None:
    """Have the server take them from a folder; raises ServerError, and it answers again, with what it then has."""
    assert isinstance(shipment.source, Path)
    if shipment.is_adapter:
        await load_adapter(pool, shipment.label, shipment.source, is_sglang=is_sglang)
    else:
        await reload_from_disk(pool, shipment.source, shipment.label, is_sglang=is_sglang)


async def load_adapter(pool: ServerPool, name: str, folder: Path, *, is_sglang: bool) -> None:
    """Load an adapter; the folder must be visible to the server. One that is there under this name is the same."""
    path = "/load_lora_adapter" if is_sglang else "/v1/load_lora_adapter"
    try:
        await pool.ask(_taking(path, {"lora_name": name, "lora_path": str(folder.resolve())}))
    except RefusedError as error:
        if error.status == 404:
            raise without_updates(error) from error
        if "already" not in str(error.got):
            raise


async def unload_adapter(pool: ServerPool, name: str, *, is_sglang: bool) -> None:
    """Forget an adapter that nobody samples with any more; one that is not there is forgotten already."""
    path = "/unload_lora_adapter" if is_sglang else "/v1/unload_lora_adapter"
    try:
        await pool.ask(post(path, {"lora_name": name}))
    except RefusedError:
        return


async def unload_others(pool: ServerPool, kept: Shipment, *, is_sglang: bool) -> None:
    """Forget what an earlier session of the same run left behind."""
    if not isinstance(kept.source, Path) or not kept.is_adapter or is_sglang:
        return
    prefix = adapters_of(kept.source)
    for name in await _models(pool):
        if name.startswith(prefix) and name != kept.label:
            await unload_adapter(pool, name, is_sglang=is_sglang)


async def reload_from_disk(pool: ServerPool, folder: Path, label: str, *, is_sglang: bool) -> None:
    """All weights from a folder in Hugging Face form: pause, reload, name the version, flush cached prefixes, resume.

    Raises:
        ServerError: a part of it failed; the server answers again all the same, with the weights it then has.
    """
    if is_sglang:
        body = {"model_path": str(folder.resolve()), "weight_version": label, "flush_cache": True}
        await pool.ask(Call("/update_weights_from_disk", succeeded, body, seconds=_TAKING_SECONDS))
        return
    try:
        await pool.ask(_taking("/pause?mode=wait", {}))
    except RefusedError as error:
        raise without_updates(error) from error
    try:
        kwargs = {"weights_path": str(folder.resolve())}
        wish = {"method": "reload_weights", "kwargs": kwargs, "timeout": _TAKING_SECONDS}
        await pool.ask(_taking("/collective_rpc", wish))
        await pool.ask(post("/update_weight_version", {"new_version": label}))
        await flush(pool)
    finally:
        await pool.ask(post("/resume", {}))


async def flush(pool: ServerPool) -> None:
    """Have the server of vLLM's form forget cached prefixes; raises ServerError where it does not."""
    for _ in range(_FLUSH_TRIES):
        if await pool.ask(Call("/reset_prefix_cache", lambda answer: bool(entry(answer, "success")), {})):
            return
        await asyncio.sleep(_FLUSH_SECONDS)
    raise ServerError(
        f"{pool.settings.urls[0]}: the server does not flush its prefix cache",
        remedy="Completions would mix old and new weights; start it with --no-enable-prefix-caching.",
    )


async def _models(pool: ServerPool) -> list[str]:
    """Names of the models and adapters that are there."""
    return await pool.ask(Call("/v1/models", lambda answer: [str(one["id"]) for one in entry(answer, "data")]))


def post(path: str, body: Mapping[str, object]) -> Call[None]:
    """A request whose answer says nothing but that it was done."""
    return Call(path, lambda _: None, body, is_json=False)


def _taking(path: str, body: Mapping[str, object]) -> Call[None]:
    """A request that is answered once weights are there, or what runs has ended, which no patience is to cut off."""
    return Call(path, lambda _: None, body, is_json=False, seconds=_TAKING_SECONDS)


def succeeded(answer: Any) -> None:
    """Reads an answer of SGLang's form; raises ServerError where it says that it failed."""
    if not entry(answer, "success"):
        raise ServerError("the server did not take the weights", got=str(answer.get("message"))[:200])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def without_updates(error: RefusedError) -> ServerError:
    """What to tell of a server that has no routes for new weights."""
    return ServerError(
        error.what.replace("the server refuses the request", "the server takes no new weights"),
        got=error.got,
        remedy="Start understudy serve with --allow-updates, or vLLM in development mode (docs/teachers.md).",
    )
