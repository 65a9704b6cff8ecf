"""``POST /v1/chat/completions``: messages under the model's chat template, for agents and examinations."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from understudy.environments.tools import Reader
from understudy.serving.calls import message_of, reader_of, with_arguments
from understudy.serving.checks import checked_prompt, sample_job, top_k_of
from understudy.serving.choices import Choice, choices_of, now, usage
from understudy.serving.encoding import chat_logprobs
from understudy.serving.refusal import bad_request, json_response
from understudy.serving.service import Service, read_body
from understudy.serving.wire import ChatBody


def chat_routes(service: Service) -> APIRouter:
    """The route, on its own router."""
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await read_body(request, ChatBody, most_bytes=service.settings.max_body_bytes)
        model = service.resident.check_name(body.model)
        return await _answer(service, request, body, model)

    return router


async def _answer(service: Service, request: Request, body: ChatBody, model: str) -> Response:
    resident = service.resident
    reader = reader_of(service.words, body)
    ids = await run_in_threadpool(
        service.words.chat_ids,
        with_arguments(body.messages),
        {**({"tools": body.tools} if body.tools else {}), **(body.chat_template_kwargs or {})},
        add_generation_prompt=body.add_generation_prompt,
    )
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    if most is not None and most < 1:
        raise bad_request("max_tokens must be at least 1", param="max_tokens")
    tokens = checked_prompt(ids, resident, new_tokens=1, param="messages")
    top = top_k_of(body.top_logprobs or 0, resident, param="top_logprobs") if body.logprobs else 0
    wishes = body.model_copy(update={"max_tokens": most})
    job = sample_job(wishes, resident, tokens, model=model, top_logprobs=top, rows=service.settings.batch_rows)
    (sampled,) = await service.sampled(request, [job])
    choices = choices_of(service, body, job, sampled, texts=True)
    return json_response(
        {
            "id": f"chatcmpl-{secrets.token_hex(8)}",
            "object": "chat.completion",
            "created": now(),
            "model": model,
            "choices": [_choice_json(service, body, number, choice, reader) for number, choice in enumerate(choices)],
            "usage": usage(len(ids), choices),
            "prompt_logprobs": None,
            "prompt_token_ids": ids if body.return_token_ids else None,
        }
    )


def _choice_json(
    service: Service, body: ChatBody, number: int, choice: Choice, reader: Reader | None
) -> dict[str, object]:
    told = chat_logprobs(choice.ids, choice.logprobs, choice.tops, name=service.words.piece) if body.logprobs else None
    message = message_of(choice.text, reader)
    return {
        "index": number,
        "message": message,
        "logprobs": told,
        "finish_reason": "tool_calls" if "tool_calls" in message else choice.finish_reason,
        "stop_reason": choice.stop_reason,
        "token_ids": choice.ids if body.return_token_ids else None,
        "weight_versions": choice.weight_versions,
    }
