"""``POST /inference/v1/generate``: ids in, ids out; the route that teachers and rollouts use."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request, Response
from torch import Tensor

from understudy.models.sampling_distribution import LEAST_TEMPERATURE
from understudy.serving.checks import (
    check_width,
    checked_ids,
    checked_prompt,
    params_of,
    sample_job,
    seed_of,
    stream_of,
    top_k_of,
)
from understudy.serving.choices import Choice, choices_of, now, usage
from understudy.serving.encoding import finite, npy_text, prompt_logprobs, token_logprobs, top_rows
from understudy.serving.jobs import Next, Scored, ScoreJob
from understudy.serving.refusal import bad_request, json_response
from understudy.serving.service import Service, read_body
from understudy.serving.wire import GenerateBody, GenerateSampling, check_obeyed

_LONGEST_REQUEST_ID = 200


def generate_routes(service: Service) -> APIRouter:
    """The route, on its own router."""
    router = APIRouter()

    async def generate(request: Request) -> Response:
        body = await read_body(request, GenerateBody, most_bytes=service.settings.max_body_bytes)
        check_obeyed(body.sampling_params)
        if body.output_mode != "tokens":
            raise bad_request("output_mode: this server gives tokens only", param="output_mode")
        return await _answer(service, request, body)

    # Not router.post: FastAPI would look for parameters that this route does not have, at each request.
    router.add_route("/inference/v1/generate", generate, methods=["POST"])
    return router


async def _answer(service: Service, request: Request, body: GenerateBody) -> Response:
    wishes, resident = body.sampling_params, service.resident
    model = resident.check_name(body.model)
    draws = wishes.max_tokens != 0
    tokens = checked_prompt(body.token_ids, resident, new_tokens=int(draws), param="token_ids")
    if wishes.logprobs is not None:
        top_k_of(wishes.logprobs, resident, param="logprobs")
    rows = _rows_job(service, wishes, tokens, model)
    classic = _classic_job(service, wishes, tokens, model)
    asked = [job for job in (rows, classic) if job is not None]
    if not draws and not asked:
        raise bad_request("max_tokens of 0 asks for nothing: set a field that begins with prompt_", param="max_tokens")
    choices: list[Choice] = []
    if draws and asked and wishes.max_tokens == 1 and _is_plain(wishes):
        asked[0].next = Next(params_of(wishes, resident, room=1), seed_of(wishes))
        draws = False
    elif draws:
        top = 0 if wishes.logprobs is None else top_k_of(wishes.logprobs, resident, param="logprobs")
        job = sample_job(wishes, resident, tokens, model=model, top_logprobs=top, rows=service.settings.batch_rows)
        job.stream = stream_of(wishes)
        (sampled,) = await service.sampled(request, [job])
        choices = choices_of(service, wishes, job, sampled, texts=False)
    answers = dict(zip(map(id, asked), await service.scored(request, asked) if asked else [], strict=True))
    scored = answers.get(id(rows))
    if asked and not draws:
        choices = [_next_choice(service, wishes, answers[id(asked[0])])]
    content = {
        "output_mode": "tokens",
        "request_id": f"generate-tokens-{_request_id(request, body)}",
        "model": model,
        "created": now(),
        "usage": usage(tokens.numel(), choices),
        "choices": [_choice_json(number, choice, wishes) for number, choice in enumerate(choices)],
        "prompt_logprobs": _classic_json(service, body, answers.get(id(classic))),
        "prompt_token_id_logprobs": None if scored is None else _npy(scored.scores.at_ids),
        "prompt_token_ids": body.token_ids if body.return_token_ids else None,
        "kv_transfer_params": None,
    }
    return json_response(content | _extensions(scored))


def _rows_job(service: Service, wishes: GenerateSampling, tokens: Tensor, model: str) -> ScoreJob | None:
    """What is asked of the rows from ``prompt_logprob_start`` on."""
    if not wishes.scores_rows:
        return None
    start, length = wishes.prompt_logprob_start, tokens.numel()
    if not 0 <= start < length:
        raise bad_request(f"prompt_logprob_start of {start} is outside 0..{length - 1}", param="prompt_logprob_start")
    check_width(wishes.prompt_top_k, service.resident, param="prompt_top_k")
    if wishes.prompt_temperature < LEAST_TEMPERATURE:
        least = f"prompt_temperature must be above 0, and at least {LEAST_TEMPERATURE:g}"
        raise bad_request(least, param="prompt_temperature")
    ids = wishes.prompt_logprob_token_ids
    name = "prompt_logprob_token_ids"
    return ScoreJob(
        model,
        tokens,
        start=start,
        ids=None if ids is None else checked_ids(ids, service.resident, num_rows=length - 1 - start, param=name),
        top_k=min(wishes.prompt_top_k, service.resident.loaded.vocab_size),
        entropy=wishes.prompt_entropy,
        hidden=wishes.prompt_hidden,
        temperature=wishes.prompt_temperature,
    )


def _classic_job(service: Service, wishes: GenerateSampling, tokens: Tensor, model: str) -> ScoreJob | None:
    if wishes.prompt_logprobs is None:
        return None
    return ScoreJob(model, tokens, top_k=top_k_of(wishes.prompt_logprobs, service.resident, param="prompt_logprobs"))


def _is_plain(wishes: GenerateSampling) -> bool:
    """Whether the one new token can come from the forward pass that scores the prompt."""
    return wishes.n in (None, 1) and not wishes.logprobs and not wishes.stops and wishes.keyed_draw is None


def _next_choice(service: Service, wishes: GenerateSampling, scored: Scored) -> Choice:
    if scored.next_id is None or scored.next_logprob is None:
        return Choice([], [], [], "length", None, scored.version, None)
    own = service.resident.loaded.stop_ids
    ends = scored.next_id in (wishes.stop_token_ids or ()) or (scored.next_id in own and not wishes.ignore_eos)
    reason = scored.next_id if ends and scored.next_id not in own else None
    finish = "stop" if ends else "length"
    return Choice([scored.next_id], [scored.next_logprob], [[]], finish, reason, scored.version, None)


def _choice_json(number: int, choice: Choice, wishes: GenerateSampling) -> dict[str, object]:
    told = wishes.logprobs is not None
    return {
        "index": number,
        "finish_reason": choice.finish_reason,
        "stop_reason": choice.stop_reason,
        "token_ids": choice.ids,
        "logprobs": token_logprobs(choice.ids, choice.logprobs, choice.tops) if told else None,
        "routed_experts": None,
        "sampling_mask": None,
        "weight_versions": choice.weight_versions,
    }


def _classic_json(service: Service, body: GenerateBody, scored: Scored | None) -> list[dict[str, object] | None] | None:
    if scored is None:
        return None
    piece = service.words.piece if body.sampling_params.detokenize and service.words.known else None
    scores = scored.scores
    tops = top_rows(scores.top_ids, scores.top_logprobs, scores.sampled.numel())
    return prompt_logprobs(body.token_ids, [finite(value) for value in scores.sampled.tolist()], tops, piece)


def _extensions(scored: Scored | None) -> dict[str, object]:
    if scored is None:
        return {}
    scores = scored.scores
    fields = {
        "prompt_top_ids": scores.top_ids,
        "prompt_top_logprobs": scores.top_logprobs,
        "prompt_entropy": scores.entropy,
        "prompt_hidden": scores.hidden,
    }
    return {name: npy_text(values) for name, values in fields.items() if values is not None}


def _npy(values: Tensor | None) -> str | None:
    return None if values is None else npy_text(values)


def _request_id(request: Request, body: GenerateBody) -> str:
    given = request.headers.get("x-request-id") or body.request_id or secrets.token_hex(8)
    return given[:_LONGEST_REQUEST_ID]
