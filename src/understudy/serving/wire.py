"""What clients send, field by field, in vLLM's form.

Fields nobody knows are ignored, as vLLM does. Fields vLLM knows and this server does not obey are refused unless they
ask for nothing: a client must never believe that a penalty was applied.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from understudy.serving.refusal import bad_request

Whole = Annotated[int, Strict()]
Ids = list[Whole]

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "min_p": (0,),
    "min_tokens": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "bad_words": ([],),
    "allowed_token_ids": ([],),
    "logprob_token_ids": ([],),
    "stream": (False,),
    "best_of": (1,),
    "suffix": ("",),
    "functions": ([],),
    "function_call": ("none",),
    "response_format": ({}, {"type": "text"}),
    "structured_outputs": ({},),
    "use_beam_search": (False,),
}


class Wire(BaseModel):
    """A body, or a part of one; numbers are numbers, never text."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class Sampling(Wire):
    """How completions are drawn; null means the default.

    Args:
        n: completions. temperature: 0 is greedy. top_p: nucleus mass. top_k: 0 or -1 for all tokens.
        max_tokens: new tokens at most; null fills the context. seed: null draws another each time.
        stop_token_ids: end a completion, beside the model's own unless ``ignore_eos``. stop: texts that end one.
    """

    n: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    max_tokens: Whole | None = None
    seed: Whole | None = None
    stop_token_ids: Ids | None = None
    stop: str | list[str] | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    min_p: float | None = None
    min_tokens: Whole | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    bad_words: list[str] | None = None
    allowed_token_ids: Ids | None = None
    logprob_token_ids: Ids | None = None
    use_beam_search: bool | None = None

    @property
    def stops(self) -> list[str]:
        """The texts that end a completion; an empty one ends none."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]


class KeyedDraw(Wire):
    """Where a completion's draws stand among the numbers of a run: ``LocalSampler`` draws the same with the same key.

    Args:
        seed, step: of the run. rollout: the request's key. index: of the first draw in the key's stream.
    """

    seed: Whole
    step: Whole
    rollout: Whole
    index: Whole = 0


class GenerateSampling(Sampling):
    """``sampling_params`` of ``/inference/v1/generate``: how to draw, and what to tell of the prompt.

    Args:
        logprobs: null for none, 0 for the sampled token, k for the k most likely as well.
        detokenize: whether texts are wanted; taken as said only for ``decoded_token``.
        prompt_logprobs: 0 for the prompt's own tokens, k for the k most likely as well, -1 for all.
        prompt_logprob_token_ids: [rows, K] ids to score, -1 fills.
        prompt_logprob_start: row i predicts token start + i + 1.
        prompt_top_k, prompt_entropy, prompt_hidden, prompt_temperature, keyed_draw: this server's own, see
            docs/serving.md.
    """

    skip_special_tokens: bool = False
    logprobs: Whole | None = None
    detokenize: bool = True
    prompt_logprobs: Whole | None = None
    prompt_logprob_token_ids: list[Ids] | None = None
    prompt_logprob_start: Whole = 0
    prompt_top_k: Whole = 0
    prompt_entropy: bool = False
    prompt_hidden: bool = False
    prompt_temperature: float = 1.0
    keyed_draw: KeyedDraw | None = None

    @property
    def scores_rows(self) -> bool:
        """Whether something is asked of rows from ``prompt_logprob_start`` on."""
        rows = self.prompt_logprob_token_ids is not None or self.prompt_top_k != 0
        return rows or self.prompt_entropy or self.prompt_hidden


class GenerateBody(Wire):
    """``POST /inference/v1/generate``."""

    token_ids: Ids
    sampling_params: GenerateSampling = Field(default_factory=GenerateSampling)
    request_id: str | None = None
    model: str | None = None
    return_token_ids: bool = False
    output_mode: str = "tokens"
    stream: bool | None = None


class CompletionBody(Sampling):
    """``POST /v1/completions``."""

    prompt: str | Ids | list[Ids] | list[str]
    model: str | None = None
    max_tokens: Whole | None = 16
    echo: bool = False
    logprobs: Whole | None = None
    prompt_logprobs: Whole | None = None
    return_token_ids: bool = False
    return_tokens_as_token_ids: bool = False
    add_special_tokens: bool = True
    stream: bool | None = None
    best_of: Whole | None = None
    suffix: str | None = None


class ChatBody(Sampling):
    """``POST /v1/chat/completions``; ``functions`` are tools as they were called before 2023."""

    messages: list[dict[str, object]]
    model: str | None = None
    max_completion_tokens: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    return_token_ids: bool = False
    add_generation_prompt: bool = True
    chat_template_kwargs: dict[str, object] | None = None
    stream: bool | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    functions: list[object] | None = None
    function_call: str | dict[str, object] | None = None
    response_format: dict[str, object] | None = None


class TokenizeBody(Wire):
    """``POST /tokenize``: a text, or messages."""

    prompt: str | None = None
    messages: list[dict[str, object]] | None = None
    model: str | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    chat_template_kwargs: dict[str, object] | None = None


class DetokenizeBody(Wire):
    """``POST /detokenize``."""

    tokens: Ids
    model: str | None = None


class LoadAdapterBody(Wire):
    """``POST /v1/load_lora_adapter``."""

    lora_name: str
    lora_path: str
    load_inplace: bool = False


class UnloadAdapterBody(Wire):
    """``POST /v1/unload_lora_adapter``."""

    lora_name: str


class CallBody(Wire):
    """``POST /collective_rpc``."""

    method: str
    kwargs: dict[str, object] = Field(default_factory=dict)


class GroupInfo(Wire):
    """Where the trainer's group is; of vLLM's fields those that this server obeys, and ``backend``, gloo or nccl."""

    master_address: str
    master_port: Whole
    rank_offset: Whole = 1
    world_size: Whole = 2
    packed: bool = False
    backend: str = "gloo"


class GroupBody(Wire):
    """``POST /init_weight_transfer_engine``."""

    init_info: GroupInfo


class ListingBody(Wire):
    """Tensors in the order in which they are broadcast: ``update_info``, and the body of ``/start_weight_update``."""

    names: list[str] = Field(default_factory=list)
    dtype_names: list[str] = Field(default_factory=list)
    shapes: list[list[Whole]] = Field(default_factory=list)


class UpdateBody(Wire):
    """``POST /update_weights``."""

    update_info: ListingBody


class FinishBody(Wire):
    """``POST /finish_weight_update``."""

    weight_version: str | None = None


class VersionBody(Wire):
    """``POST /update_weight_version``."""

    new_version: str


def check_obeyed(body: Wire) -> None:
    """Raise Refusal (400) where a field asks for something that this server does not do."""
    for name in _NEUTRAL.keys() & body.model_fields_set:
        value = getattr(body, name)
        if value is not None and value not in _NEUTRAL[name]:
            raise bad_request(f"{name} is not supported by this server; leave it out", param=name)
