"""What a client may ask before it sends work: health, models, limits, tokens, counters, and the output head."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from safetensors.torch import save
from torch import nn

from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.serving.choices import now
from understudy.serving.refusal import Refusal, bad_request, json_response
from understudy.serving.resident import Resident
from understudy.serving.service import Service, read_body
from understudy.serving.wire import DetokenizeBody, TokenizeBody

EXTENSIONS = ("top_k", "entropy", "hidden", "keyed_draw")


def information_routes(service: Service) -> APIRouter:
    """The routes, on their own router."""
    router, resident = APIRouter(), service.resident
    facts, started = server_facts(service), now()

    @router.get("/health")
    async def health() -> Response:
        alive = service.worker.is_alive()
        return Response(status_code=200 if alive else 503)

    @router.get("/v1/models")
    async def models() -> Response:
        entry = {"object": "model", "created": started, "owned_by": "understudy"}
        own = {"id": resident.name, **entry, "root": resident.loaded.name or resident.name, "parent": None}
        listed = [own | {"max_model_len": resident.loaded.max_length}]
        for name, path in list(resident.adapters.paths.items()):
            listed.append({"id": name, **entry, "root": path, "parent": resident.name})
        return json_response({"object": "list", "data": listed})

    @router.get("/server_info")
    async def server_info() -> Response:
        ours = {**facts["understudy"], "fingerprint": resident.fingerprint}
        return json_response({**facts, "understudy": ours})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/understudy/head")
    async def head(request: Request) -> Response:
        if request.headers.get("if-none-match", "").strip('"') == resident.fingerprint:
            return Response(status_code=304)
        content, fingerprint = await service.between_batches(partial(head_file, resident))
        media = "application/octet-stream"
        return Response(content, media_type=media, headers={"ETag": f'"{fingerprint}"'})

    _add_words(router, service)
    return router


def _add_words(router: APIRouter, service: Service) -> None:
    words, most_bytes = service.words, service.settings.max_body_bytes

    @router.post("/tokenize")
    async def tokenize(request: Request) -> Response:
        body = await read_body(request, TokenizeBody, most_bytes=most_bytes)
        ids = await run_in_threadpool(_ids_of, service, body)
        longest = service.resident.loaded.max_length
        return json_response({"count": len(ids), "max_model_len": longest, "tokens": ids, "token_strs": None})

    @router.post("/detokenize")
    async def detokenize(request: Request) -> Response:
        body = await read_body(request, DetokenizeBody, most_bytes=most_bytes)
        size = service.resident.loaded.vocab_size
        if any(not 0 <= id < size for id in body.tokens):
            raise bad_request(f"tokens: an id is out of the vocabulary of {size}", param="tokens")
        text = await run_in_threadpool(words.text, body.tokens, skip_special_tokens=False)
        return json_response({"prompt": text})


def _ids_of(service: Service, body: TokenizeBody) -> list[int]:
    service.resident.check_name(body.model)
    if body.messages is not None:
        kwargs = body.chat_template_kwargs or {}
        return service.words.chat_ids(body.messages, kwargs, add_generation_prompt=body.add_generation_prompt)
    if body.prompt is None:
        raise bad_request("send a prompt, or messages", param="prompt")
    return service.words.ids(body.prompt, add_special_tokens=body.add_special_tokens)


def server_facts(service: Service) -> dict[str, dict[str, object]]:
    """What ``/server_info`` says: vLLM's names for the limits, and an object of our own."""
    resident = service.resident
    loaded = resident.loaded
    words = None if loaded.tokenizer is None else tokenizer_fingerprint(loaded.tokenizer, loaded.stop_ids)
    return {
        "model_config": {
            "model": loaded.name or resident.name,
            "max_model_len": loaded.max_length,
            "max_logprobs": service.settings.max_logprobs,
            "logprobs_mode": "processed_logprobs",
            "dtype": resident.dtype,
        },
        "understudy": {
            "version": version("understudy"),
            "fingerprint": resident.fingerprint,
            "tokenizer_fingerprint": words,
            "vocab_size": loaded.vocab_size,
            "hidden_size": resident.hidden_size,
            "stop_ids": sorted(loaded.stop_ids),
            "device": loaded.device.type,
            "extensions": list(EXTENSIONS),
        },
    }


def head_file(resident: Resident) -> tuple[bytes, str]:
    """The output head as safetensors, cut to the true vocabulary, and the fingerprint of the weights it is of.

    Raises:
        Refusal: 404 the head is not one matrix.
    """
    head, module = resident.scorer.head, resident.scorer.head.module
    if type(module) is not nn.Linear:
        raise Refusal(404, f"the output head is a {type(module).__name__}, not one matrix")
    size = head.vocab_size
    tensors = {"weight": module.weight.detach()[:size].cpu().contiguous()}
    if module.bias is not None:
        tensors["bias"] = module.bias.detach()[:size].cpu().contiguous()
    cap = "" if head.cap is None else repr(head.cap)
    metadata = {"scale": repr(head.scale), "cap": cap, "fingerprint": resident.fingerprint}
    return save(tensors, metadata), resident.fingerprint
