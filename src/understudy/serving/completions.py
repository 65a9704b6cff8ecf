"""``POST /v1/completions``: the classic route, with the prompt as text or ids."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from understudy.serving.checks import checked_prompt, sample_job, top_k_of
from understudy.serving.choices import Choice, choices_of, now, usage
from understudy.serving.encoding import completion_logprobs, finite, prompt_logprobs, top_rows
from understudy.serving.jobs import Scored, ScoreJob
from understudy.serving.refusal import bad_request, json_response
from understudy.serving.service import Service, read_body
from understudy.serving.wire import CompletionBody

_MOST_PROMPTS = 256


@dataclass(frozen=True, eq=False)
class _Done:
    """One prompt, its choices, and its own scores where they were asked for."""

    ids: list[int]
    choices: list[Choice]
    scored: Scored | None


def completion_routes(service: Service) -> APIRouter:
    """The route, on its own router."""
    router = APIRouter()

    @router.post("/v1/completions")
    async def completions(request: Request) -> Response:
        body = await read_body(request, CompletionBody, most_bytes=service.settings.max_body_bytes)
        model = service.resident.check_name(body.model)
        prompts = await run_in_threadpool(_prompts, service, body)
        done = await _run(service, request, body, prompts, model)
        flat = [(one, choice) for one in done for choice in one.choices]
        choices = [_choice_json(service, body, n, *pair) for n, pair in enumerate(flat)]
        return json_response(
            {
                "id": f"cmpl-{secrets.token_hex(8)}",
                "object": "text_completion",
                "created": now(),
                "model": model,
                "choices": choices,
                "usage": usage(sum(len(one.ids) for one in done), [choice for _, choice in flat]),
            }
        )

    return router


def _prompts(service: Service, body: CompletionBody) -> list[list[int]]:
    """The ids of every prompt."""
    given = body.prompt
    if isinstance(given, str):
        given = [given]
    elif not given or isinstance(given[0], int):
        given = [given]  # type: ignore[assignment]
    if len(given) > _MOST_PROMPTS:
        raise bad_request(f"{len(given)} prompts in one request; at most {_MOST_PROMPTS}", param="prompt")
    special = body.add_special_tokens
    return [
        service.words.ids(one, add_special_tokens=special) if isinstance(one, str) else list(one)  # type: ignore[arg-type]
        for one in given
    ]


async def _run(
    service: Service, request: Request, body: CompletionBody, prompts: Sequence[list[int]], model: str
) -> list[_Done]:
    resident = service.resident
    draws = body.max_tokens != 0
    tokens = [checked_prompt(ids, resident, new_tokens=int(draws), param="prompt") for ids in prompts]
    top = 0 if body.logprobs is None else top_k_of(body.logprobs, resident, param="logprobs")
    wish = _prompt_top_k(service, body)
    samples, scores = [], []
    if draws:
        rows = service.settings.batch_rows
        samples = [sample_job(body, resident, one, model=model, top_logprobs=top, rows=rows) for one in tokens]
    elif not body.echo and wish is None:
        raise bad_request("max_tokens of 0 asks for nothing: set echo or prompt_logprobs", param="max_tokens")
    if wish is not None:
        scores = [ScoreJob(model, one, top_k=wish) for one in tokens]
    sampled = await service.sampled(request, samples) if samples else []
    scored: Sequence[Scored | None] = await service.scored(request, scores) if scores else [None] * len(prompts)
    if draws:
        pairs = zip(samples, sampled, strict=True)
        choices = [choices_of(service, body, job, answer, texts=service.words.known) for job, answer in pairs]
    else:
        empty = "" if service.words.known else None
        choices = [[Choice([], [], [], "length", None, resident.version, empty)] for _ in prompts]
    return [_Done(*parts) for parts in zip(prompts, choices, scored, strict=True)]


def _prompt_top_k(service: Service, body: CompletionBody) -> int | None:
    """How many ids of each token of the prompt are wanted; None where its scores are not wanted at all."""
    if body.prompt_logprobs is not None:
        return top_k_of(body.prompt_logprobs, service.resident, param="prompt_logprobs")
    if body.echo and body.logprobs is not None:
        return top_k_of(body.logprobs, service.resident, param="logprobs")
    return None


def _choice_json(service: Service, body: CompletionBody, number: int, done: _Done, choice: Choice) -> dict[str, object]:
    words = service.words
    text = choice.text or ""
    if body.echo and words.known:
        text = words.text(done.ids, skip_special_tokens=body.skip_special_tokens) + text
    return {
        "index": number,
        "text": text,
        "logprobs": None if body.logprobs is None else _logprobs(service, body, done, choice),
        "finish_reason": choice.finish_reason,
        "stop_reason": choice.stop_reason,
        "token_ids": choice.ids if body.return_token_ids else None,
        "prompt_token_ids": done.ids if body.return_token_ids else None,
        "prompt_logprobs": None if body.prompt_logprobs is None else _prompt_logprobs(service, done),
        "weight_versions": choice.weight_versions,
    }


def _logprobs(service: Service, body: CompletionBody, done: _Done, choice: Choice) -> dict[str, object]:
    ids, values, tops = list(choice.ids), list[float | None](choice.logprobs), list(choice.tops)
    if body.echo and done.scored is not None:
        scores = done.scored.scores
        ids = [*done.ids, *ids]
        values = [None, *scores.sampled.tolist(), *values]
        # With prompt_logprobs the scores may hold more than this field asked for.
        count = top_k_of(body.logprobs or 0, service.resident, param="logprobs")
        prompt_tops = [row[:count] for row in top_rows(scores.top_ids, scores.top_logprobs, scores.sampled.numel())]
        tops = [[], *prompt_tops, *tops]
    piece = service.words.piece if service.words.known else _no_text
    name = _id_name if body.return_tokens_as_token_ids or not service.words.known else piece
    return completion_logprobs(ids, values, tops, name=name, piece=piece)


def _prompt_logprobs(service: Service, done: _Done) -> list[dict[str, object] | None]:
    assert done.scored is not None
    scores = done.scored.scores
    tops = top_rows(scores.top_ids, scores.top_logprobs, scores.sampled.numel())
    piece = service.words.piece if service.words.known else None
    return prompt_logprobs(done.ids, [finite(value) for value in scores.sampled.tolist()], tops, piece)


def _id_name(id: int) -> str:
    return f"token_id:{id}"


def _no_text(id: int) -> str:  # noqa: ARG001  (stands in for Words.piece)
    return ""
