"""The service on a free port of this process, which the real SDK talks to by its own wire."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from tinker.proto import tinker_public_pb2 as pb

from tests.tinker_service.desk import Desk
from understudy.models.load import LoadedModel

KEY = "tml-a-key-of-the-tests"


@dataclass
class Running:
    """A service that answers."""

    url: str
    desk: Desk


def app_of(desk: Desk, *, texts_a_request: int) -> FastAPI:
    app = FastAPI()
    sessions = iter(range(1000))

    @app.middleware("http")
    async def with_key(request: Request, go_on: Any) -> Response:
        path, key = request.url.path, request.headers.get("x-api-key")
        if path.startswith("/signed/"):  # another host's, there: it has to get no key
            return JSONResponse({}, status_code=400) if key else await go_on(request)
        if key != KEY and not path.endswith("/healthz"):
            return JSONResponse({"detail": "this key is not known"}, status_code=401)
        return await go_on(request)

    @app.get("/api/v1/healthz")
    def healthz() -> dict:
        return {"status": "ok"}

    @app.post("/api/v1/client/config")
    def config() -> dict:
        return {"use_pyqwest_transport": False, "fwdbwd_max_chunk_len": texts_a_request}

    @app.post("/api/v1/client/dynamic_config")
    def dynamic_config() -> dict:
        return {}

    @app.post("/api/v1/create_session")
    def create_session() -> dict:
        return {"session_id": f"session-{next(sessions)}", "type": "create_session"}

    @app.post("/api/v1/session_heartbeat")
    def heartbeat() -> dict:
        return {"type": "session_heartbeat"}

    @app.post("/api/v1/telemetry")
    def telemetry() -> dict:
        desk.asked.append("telemetry")
        return {"status": "accepted"}

    @app.post("/api/v1/sessions/{_}/finish")
    async def finish(_: str, request: Request) -> dict:
        told = str(await request.json())
        desk.asked += [f"finish {how}" for how in ("success", "errored", "interrupted") if how in told]
        return {}

    @app.post("/api/v1/create_model")
    async def create_model(request: Request) -> dict:
        body = await request.json()
        model = f"{body['session_id']}:train:{body['model_seq_id']}"
        return {"request_id": desk.promise(lambda: desk.create(model, body["base_model"], body["lora_config"]))}

    @app.post("/api/v1/get_info")
    async def get_info(request: Request) -> dict:
        model = (await request.json())["model_id"]
        student = desk.students[model]
        data = {"arch": "qwen3", "model_name": student.base_model}
        return {"model_data": data, "model_id": model, "is_lora": True, "lora_rank": student.lora["rank"]}

    @app.post("/api/v1/forward_backward")
    async def forward_backward(request: Request) -> dict:
        message = pb.ForwardBackwardRequest.FromString(await request.body())
        work = desk.promise(lambda: desk.learn(message), model=message.model_id, number=message.seq_id)
        return {"request_id": work}

    @app.post("/api/v1/optim_step")
    async def optim_step(request: Request) -> dict:
        body = await request.json()
        return _numbered(body, lambda: desk.step(body["model_id"], body["adam_params"]))

    @app.post("/api/v1/save_weights")
    async def save_weights(request: Request) -> dict:
        body = await request.json()
        return _numbered(body, lambda: desk.save(body["model_id"], body["path"]))

    @app.post("/api/v1/save_weights_external")
    async def save_weights_external(request: Request) -> dict:
        body = await request.json()
        return _numbered(body, lambda: desk.export(body["model_id"], body["path"]))

    @app.get("/api/v1/training_runs/{model}/checkpoints/{checkpoint:path}/external_weights_urls")
    def external_weights_urls(request: Request, model: str, checkpoint: str) -> dict:
        names = desk.exports[f"tinker://{model}/{checkpoint}"]
        root = f"{request.base_url}signed/{model}/{checkpoint}"
        return {"urls": {name: f"{root}?file={name}" for name in names}, "expires": "2099-01-01T00:00:00Z"}

    @app.get("/signed/{model}/{checkpoint:path}")
    def signed(model: str, checkpoint: str, file: str) -> Response:
        return Response(desk.exports[f"tinker://{model}/{checkpoint}"][file])

    @app.delete("/api/v1/training_runs/{model}/checkpoints/{checkpoint:path}")
    def delete(model: str, checkpoint: str) -> Response:
        del desk.exports[f"tinker://{model}/{checkpoint}"]
        return Response(status_code=204)

    @app.post("/api/v1/load_weights")
    async def load_weights(request: Request) -> dict:
        body = await request.json()
        model = f"{body['session_id']}:train:{body['model_seq_id']}"
        return {"request_id": desk.promise(lambda: desk.load(model, body["path"], optimizer=body["optimizer"]))}

    @app.post("/api/v1/save_weights_for_sampler")
    async def save_weights_for_sampler(request: Request) -> dict:
        body = await request.json()
        name = f"{body['model_id']}/sampler/{body['seq_id']}"
        return _numbered(body, lambda: desk.lend(body["model_id"], name))

    @app.post("/api/v1/create_sampling_session")
    async def create_sampling_session(request: Request) -> Response:
        body = await request.json()
        if body["base_model"] not in desk.models:
            return JSONResponse({"detail": f"there is no model {body['base_model']}"}, status_code=404)
        name = f"{body['session_id']}-base-{body['sampling_session_seq_id']}"
        desk.open(name, body["base_model"])
        return JSONResponse({"sampling_session_id": name, "type": "create_sampling_session"})

    @app.post("/api/v1/asample")
    async def asample(request: Request) -> dict:
        body = await request.json()
        name = desk.promise(lambda: desk.sample(body))
        ids = [f"{name}/{number}" for number in range(body["num_samples"])]
        return {"request_id": name, "sample_sequence_ids": ids}

    @app.post("/api/v1/retrieve_future")
    async def retrieve_future(request: Request) -> Response:
        body = await request.json()
        try:
            answer = await asyncio.wrap_future(desk.promises[body["request_id"]])
        except Exception as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}", "category": "user"})
        if isinstance(answer, bytes):
            return Response(answer, media_type="application/x-protobuf")
        return JSONResponse(answer)

    def _numbered(body: Mapping[str, Any], work: Any) -> dict:
        return {"request_id": desk.promise(work, model=body["model_id"], number=body["seq_id"])}

    return app


@contextmanager
def tinker_service(models: Mapping[str, LoadedModel], *, texts_a_request: int = 1024) -> Iterator[Running]:
    """A service that has these base models.

    Args:
        texts_a_request: the SDK cuts a learning pass into requests of so many, and sends the first of them last.
    """
    desk = Desk(models)
    server = uvicorn.Server(
        uvicorn.Config(app_of(desk, texts_a_request=texts_a_request), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the service did not start"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", desk)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        desk.pool.shutdown()
