"""Routes that change what is served: weights, adapters, pauses; they exist only with ``--allow-updates``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from understudy.serving.line import PauseMode
from understudy.serving.refusal import bad_request, json_response
from understudy.serving.service import Service, read_body
from understudy.serving.wire import CallBody, LoadAdapterBody, UnloadAdapterBody, VersionBody

LONGEST_NAME = 200


def update_routes(service: Service) -> APIRouter:
    """The routes, on their own router."""
    router = APIRouter()
    _add_adapters(router, service)
    _add_weights(router, service)
    _add_pauses(router, service)
    return router


def _add_adapters(router: APIRouter, service: Service) -> None:
    resident, most_bytes = service.resident, service.settings.max_body_bytes

    @router.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = await read_body(request, LoadAdapterBody, most_bytes=most_bytes)
        name = body.lora_name
        if not name or len(name) > LONGEST_NAME or name == resident.name:
            raise bad_request("lora_name must be a name of its own", param="lora_name")
        read = partial(resident.adapters.load, name, body.lora_path, inplace=body.load_inplace)
        await service.between_batches(read)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @router.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        body = await read_body(request, UnloadAdapterBody, most_bytes=most_bytes)
        await service.between_batches(partial(resident.adapters.unload, body.lora_name))
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")


def _add_weights(router: APIRouter, service: Service) -> None:
    resident, most_bytes = service.resident, service.settings.max_body_bytes

    @router.post("/collective_rpc")
    async def collective_rpc(request: Request) -> Response:
        body = await read_body(request, CallBody, most_bytes=most_bytes)
        if body.method != "reload_weights":
            raise bad_request(f"the method {body.method!r} is not known; reload_weights is", param="method")
        path = body.kwargs.get("weights_path")
        if not isinstance(path, str) or not path:
            raise bad_request("reload_weights needs kwargs.weights_path", param="kwargs.weights_path")
        await service.between_batches(partial(resident.reload, Path(path)))
        return json_response({"results": [None]})

    @router.post("/update_weight_version")
    async def update_weight_version(request: Request) -> Response:
        body = await read_body(request, VersionBody, most_bytes=most_bytes)

        def call_it() -> None:
            resident.version = body.new_version[:LONGEST_NAME]

        await service.between_batches(call_it)
        return json_response({"success": True, "weight_version": resident.version})

    @router.get("/weight_info")
    async def weight_info() -> Response:
        return json_response({"weight_version": resident.version})

    @router.post("/reset_prefix_cache")
    async def reset_prefix_cache() -> Response:
        # Nothing is kept from one batch to the next, so there is nothing to reset.
        return json_response({"success": True})


def _add_pauses(router: APIRouter, service: Service) -> None:
    @router.post("/pause")
    async def pause(mode: str = "abort") -> Response:
        modes: dict[str, PauseMode] = {"abort": "abort", "wait": "wait", "keep": "keep"}
        if mode not in modes:
            raise bad_request(f"the mode {mode!r} is not known; abort, wait and keep are", param="mode")
        await run_in_threadpool(service.line.pause, modes[mode])
        return _status("paused")

    @router.post("/resume")
    async def resume() -> Response:
        service.line.resume()
        return _status("resumed")

    @router.get("/is_paused")
    async def is_paused() -> Response:
        return json_response({"is_paused": service.line.is_paused})


def _status(status: str) -> Any:
    return json_response({"status": status})
