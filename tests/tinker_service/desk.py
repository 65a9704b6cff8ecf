"""What the service does with each request, apart from how requests travel: models, saved states, promises, order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import torch
from tinker.proto import tinker_public_pb2 as pb

from tests.tinker_service import wire
from tests.tinker_service.student import Saved, Student, Voice
from understudy.models.load import LoadedModel
from understudy.protocols import SamplingParams
from understudy.rollouts import FinishReason

Answer = bytes | dict[str, Any]


@dataclass
class Line:
    """Requests to one model in the order of their numbers, whatever order they come in."""

    next: int = 1
    waiting: dict[int, tuple[Future, Callable[[], Answer]]] = field(default_factory=dict)


class Desk:
    """One service: it has one thread, so that requests are worked on one at a time.

    Args:
        models: base models by name. largest: bytes of the client's settings that tests make small.
    """

    def __init__(self, models: Mapping[str, LoadedModel]) -> None:
        self.models = dict(models)
        self.students: dict[str, Student] = {}
        self.voices: dict[str, Voice] = {}
        self.saved: dict[str, Saved] = {}
        self.promises: dict[str, Future] = {}
        self.lines: dict[str, Line] = {}
        self.asked: list[str] = []
        self.exports: dict[str, dict[str, bytes]] = {}
        self.spoil: Callable[[dict[str, bytes]], dict[str, bytes]] = dict  # of a test: what it makes of an export
        self._lock = Lock()
        self._numbers = itertools.count()
        self.pool = ThreadPoolExecutor(1)

    def promise(self, work: Callable[[], Answer], *, model: str | None = None, number: int | None = None) -> str:
        """The name under which the answer will be found; numbered work waits for its turn."""
        future: Future = Future()
        with self._lock:
            name = f"request-{next(self._numbers)}"
            self.promises[name] = future
            if model is None or number is None:
                self.pool.submit(_fulfil, future, work)
                return name
            line = self.lines.setdefault(model, Line())
            line.waiting[number] = (future, work)
            while line.next in line.waiting:
                self.pool.submit(_fulfil, *line.waiting.pop(line.next))
                line.next += 1
        return name

    def create(self, model: str, base_model: str, lora: Mapping[str, Any]) -> Answer:
        self.students[model] = Student(base_model, self._base(base_model), lora)
        return {"model_id": model, "type": "create_model"}

    def learn(self, request: pb.ForwardBackwardRequest) -> Answer:
        self.asked.append(f"{'forward' if request.forward_only else 'learn'} {request.loss_fn}")
        data = [wire.read_datum(datum) for datum in request.data]
        config = {name: value.number for name, value in request.loss_fn_config_v2.items()}
        student = self.students[request.model_id]
        return wire.learned(*student.forward(data, request.loss_fn, config, backward=not request.forward_only))

    def step(self, model: str, params: Mapping[str, float]) -> Answer:
        self.asked.append("step")
        return {"metrics": {"unclipped_grad_l2:mean": self.students[model].step(params)}}

    def save(self, model: str, name: str) -> Answer:
        path = f"tinker://{model}/weights/{name}"
        self.saved[path] = self.students[model].saved()
        return {"path": path, "type": "save_weights"}

    def export(self, model: str, name: str) -> Answer:
        """The adapter's files in PEFT's form, under the names that a client is told."""
        path = f"tinker://{model}/external_weights/{name}"
        self.asked.append("export")
        with TemporaryDirectory() as folder:
            self.students[model].model.save_pretrained(folder, save_embedding_layers=False)
            files = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        self.exports[path] = self.spoil(files)
        return {"path": path, "type": "save_weights_external"}

    def load(self, model: str, path: str, *, optimizer: bool) -> Answer:
        saved = self.saved.get(path)
        if saved is None:
            raise LookupError(f"there is no {path}")
        self.students[model] = Student(saved.base_model, self._base(saved.base_model), saved.lora)
        self.students[model].restore(saved, optimizer=optimizer)
        return {"path": path, "model_id": model, "type": "load_weights"}

    def lend(self, model: str, name: str) -> Answer:
        """A voice with the student's present weights."""
        self.asked.append("lend")
        student = self.students[model]
        self.voices[name] = Voice(student.base, student)
        return {"sampling_session_id": name, "type": "save_weights_for_sampler"}

    def open(self, name: str, base_model: str) -> None:
        """A voice of a base model."""
        self.voices[name] = Voice(self._base(base_model))

    def base_of(self, name: str) -> str:
        voice = self.voices[name]
        return next(one for one, model in self.models.items() if model is voice.base)

    def sample(self, request: Mapping[str, Any]) -> Answer:
        self.asked.append("sample")
        voice = self.voices[request["sampling_session_id"]]
        prompt = [token for chunk in request["prompt"]["chunks"] for token in chunk["tokens"]]
        answer = pb.SampleResponse()
        _draw(voice, prompt, request, answer)
        if request.get("prompt_logprobs"):
            logprobs = voice.logprobs(prompt)
            last = request.get("prompt_logprobs_last_n") or len(prompt) - 1
            first = len(prompt) - last
            values = np.full(len(prompt), np.nan, np.float32)
            values[first:] = logprobs.gather(1, torch.tensor(prompt[1:])[:, None])[first - 1 :, 0].numpy()
            answer.prompt_logprobs = values.tobytes()
            if k := request.get("topk_prompt_logprobs"):
                answer.topk_prompt_logprobs.CopyFrom(wire.top_tokens(logprobs, k, first=first))
            if wanted := request.get("target_prompt_logprobs"):
                answer.target_prompt_logprobs.CopyFrom(wire.chosen(logprobs, wanted))
        return answer.SerializeToString()

    def _base(self, name: str) -> LoadedModel:
        if name not in self.models:
            raise LookupError(f"there is no model {name}")
        return self.models[name]


def _draw(voice: Voice, prompt: list[int], request: Mapping[str, Any], answer: pb.SampleResponse) -> None:
    wish = request["sampling_params"]
    stop = voice.base.stop_ids if wish.get("stop") is None else frozenset(wish["stop"])
    room = voice.base.max_length - len(prompt)
    if room < 1:
        assert request.get("prompt_logprobs")
        answer.sequences.append(wire.sequence(torch.zeros(0), torch.zeros(0), stopped=False))
        return
    params = SamplingParams(
        max_completion_length=min(wish["max_tokens"], room),
        temperature=wish["temperature"],
        top_p=wish["top_p"],
        top_k=max(wish["top_k"], 0),
        stop_ids=stop,
    )
    for number in range(request["num_samples"]):
        drawn = voice.sample(prompt, params, seed=(wish.get("seed") or 0) + number)
        stopped = drawn.finish_reason == FinishReason.STOP
        answer.sequences.append(wire.sequence(drawn.completion_ids, drawn.logprobs, stopped=stopped))


def _fulfil(future: Future, work: Callable[[], Answer]) -> None:
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
