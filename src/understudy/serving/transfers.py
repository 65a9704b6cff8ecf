"""Routes by which a trainer gives weights without a disk, in vLLM's form; they exist only with ``--allow-updates``."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from understudy.serving.inbox import Inbox
from understudy.serving.refusal import json_response
from understudy.serving.service import Service, read_body
from understudy.serving.updates import LONGEST_NAME
from understudy.serving.wire import FinishBody, GroupBody, ListingBody, UpdateBody


def transfer_routes(service: Service) -> APIRouter:
    """The routes, on their own router."""
    router, inbox = APIRouter(), Inbox(service.resident)
    _add_group(router, service, inbox)
    _add_update(router, service, inbox)
    return router


def _add_group(router: APIRouter, service: Service, inbox: Inbox) -> None:
    most_bytes = service.settings.max_body_bytes

    @router.get("/get_world_size")
    async def get_world_size() -> Response:
        return json_response({"world_size": 1})

    @router.post("/init_weight_transfer_engine")
    async def join(request: Request) -> Response:
        body = await read_body(request, GroupBody, most_bytes=most_bytes)
        await run_in_threadpool(inbox.join, body.init_info)
        return json_response({"message": "Weight transfer initialized"})

    @router.post("/shutdown_weight_transfer_engine")
    async def leave() -> Response:
        await run_in_threadpool(inbox.leave)
        return json_response({"message": "Weight transfer shut down"})


def _add_update(router: APIRouter, service: Service, inbox: Inbox) -> None:
    resident, most_bytes = service.resident, service.settings.max_body_bytes

    @router.post("/start_weight_update")
    async def start(request: Request) -> Response:
        body = await read_body(request, ListingBody, most_bytes=most_bytes)
        await run_in_threadpool(inbox.begin, body)
        return json_response({"message": "Weight update started"})

    @router.post("/update_weights")
    async def update(request: Request) -> Response:
        body = await read_body(request, UpdateBody, most_bytes=most_bytes)
        await run_in_threadpool(inbox.receive, body.update_info)
        return json_response({"message": "Weights updated"})

    @router.post("/finish_weight_update")
    async def finish(request: Request) -> Response:
        body = await read_body(request, FinishBody, most_bytes=most_bytes)
        weights = await run_in_threadpool(inbox.finished)
        version = resident.version if body.weight_version is None else body.weight_version[:LONGEST_NAME]
        await service.between_batches(partial(resident.take, weights, version))
        return json_response({"message": "Weight update finished", "weight_version": version})
