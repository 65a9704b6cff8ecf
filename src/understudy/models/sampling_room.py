"""How many tokens a request may draw: what every sampler asks before it begins."""

from __future__ import annotations

from understudy.errors import ContextLengthError, DataError, RecipeError
from understudy.protocols import SampleRequest, SamplingParams


def room_for(request: SampleRequest, params: SamplingParams, *, max_length: int) -> int:
    """Most new tokens of the request's completion.

    Args:
        max_length: longest context in tokens.
    Raises:
        DataError: the prompt is empty. ContextLengthError: it leaves no room for a token. RecipeError: the request
            asks for fewer than one.
    """
    length = request.prompt_ids.numel()
    if length == 0:
        raise DataError("a prompt has no tokens", got=f"rollout {request.key}", remedy="Give it at least one token.")
    if length >= max_length:
        raise ContextLengthError(
            "a prompt leaves no room for a completion",
            got=f"{length} tokens",
            expected=f"fewer than the context of {max_length} tokens",
            remedy="Shorten the prompt, filter the data, or use a model with a longer context.",
        )
    if request.max_new_tokens is not None and request.max_new_tokens < 1:
        raise RecipeError("max_new_tokens is out of range", got=request.max_new_tokens, expected="at least 1")
    most = [params.max_completion_length, max_length - length, request.max_new_tokens]
    return min(limit for limit in most if limit is not None)
