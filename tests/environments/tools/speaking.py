"""A chat tokenizer whose template knows tools, a speaker that says what it is told, and a box with a calculator."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from understudy.environments.tools import Ending, Judgement, Tool, Toolbox, ToolError, parameters
from understudy.models.chat import encode_completion
from understudy.protocols import Sample, SampleRequest, SamplingParams, Task
from understudy.rollouts import FinishReason

TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{% for tool in tools %}{{ tool['function'] | tojson }}\n{% endfor %}"
    "Write <tool_call> around a call.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}<tool_call>{{ call['function'] | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<pad>", "</s>", "<|im_start|>", "<|im_end|>"]
IM_END = 3


def tool_tokenizer() -> Any:
    """One token a character."""
    symbols = [*SPECIALS, *sorted(set(string.printable))]
    tokenizer = Tokenizer(models.WordLevel({symbol: index for index, symbol in enumerate(symbols)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    fast.chat_template = TEMPLATE
    return fast


class Speaker:
    """Implements ``protocols.Sampler``: the next line of its script, whatever it reads; keeps the prompts."""

    def __init__(self, tokenizer: Any, script: Sequence[str]) -> None:
        self._tokenizer, self._script = tokenizer, iter(script)
        self.prompts: list[str] = []

    def sample(
        self, requests: Sequence[SampleRequest], params: SamplingParams, *, seed: int, step: int, **_: Any
    ) -> list[Sample]:
        samples = []
        for request in requests:
            self.prompts.append(self._tokenizer.decode(request.prompt_ids.tolist()))
            ids = encode_completion(self._tokenizer, next(self._script), stop_id=IM_END)
            samples.append(Sample(ids, torch.full(ids.shape, -0.5), torch.zeros_like(ids), FinishReason.STOP))
        return samples

    def load_weights(self, source: Path | None, version: int) -> None: ...


def call(name: str, **arguments: object) -> str:
    """A call as the model writes it."""
    import json

    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def add(arguments: Mapping[str, object]) -> str:
    """The sum, or a refusal."""
    try:
        return str(int(str(arguments["a"])) + int(str(arguments["b"])))
    except ValueError as error:
        raise ToolError("these are no numbers") from error


def calculator(task: Task, seed: int) -> Toolbox:
    """Adds; the answer is handed in by ``finish``."""

    def finish(arguments: Mapping[str, object]) -> str:
        if not str(arguments["answer"]).isdigit():
            raise ToolError("the answer is no number")
        return ""

    def judge(ending: Ending) -> Judgement:
        right = ending.why == "finished" and ending.arguments["answer"] == task.columns["answer"]
        return Judgement(reward=float(right), correct=right, info={"answered": ending.why == "finished"})

    return Toolbox(
        tools=(Tool("add", "Adds two numbers.", parameters({"a": "a number", "b": "another"}), add),),
        finish=Tool("finish", "Hands in the answer.", parameters({"answer": "the number"}), finish),
        judge=judge,
    )


SUM = Task(problem="sum", prompt="What is 2 + 3?", columns={"answer": "5"}, domain="sums")
Opener = Callable[[Task, int], Toolbox]
