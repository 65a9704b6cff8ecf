"""What the service trains and samples: adapters on a model of this process, by the local engine's own parts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.tinker_service.losses import loss_of
from understudy.engines.local.optimizer import OptimizerConfig, adamw, clip_by_norm
from understudy.engines.local.weights import NamedTensors, copy_of, swapped
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import LoadedModel
from understudy.models.sampling import LocalSampler
from understudy.protocols import Sample, SampleRequest, SamplingParams

ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Datum:
    """One text with what its loss reads, decoded: ``target_tokens`` [T] or [T, K], and float columns like it."""

    tokens: list[int]
    inputs: Mapping[str, Tensor]


@dataclass(frozen=True)
class Saved:
    """Adapters, the optimiser's averages, and how the adapters were made."""

    base_model: str
    lora: Mapping[str, Any]
    weights: NamedTensors
    moments: Mapping[str, Mapping[str, Tensor]] | None


class Student:
    """Adapters on a base model; gradients add up until a step."""

    def __init__(self, base_model: str, base: LoadedModel, lora: Mapping[str, Any]) -> None:
        modules = [*(ATTENTION if lora["train_attn"] else []), *(MLP if lora["train_mlp"] else [])]
        modules += ["lm_head"] if lora["train_unembed"] else []
        rank = lora["rank"]
        settings = LoraConfig(rank=rank, alpha=2.0 * rank, target_modules=modules)
        self.base_model, self.base, self.lora = base_model, base, dict(lora)
        self.model = add_lora(copy.deepcopy(base.model), settings, seed=lora.get("seed") or 0)
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = adamw(self.parameters.values(), OptimizerConfig())

    def forward(
        self, data: Sequence[Datum], loss: str, config: Mapping[str, float], *, backward: bool
    ) -> tuple[list[Tensor], float]:
        """The targets' log-probs of each datum, and the loss; its gradient is added to what is there."""
        found, total = [], 0.0
        for datum in data:
            with torch.set_grad_enabled(backward):
                live = dense(self.model, datum.tokens, self.base.vocab_size)
                targets = datum.inputs["target_tokens"]
                logprobs = live.gather(1, targets.reshape(len(datum.tokens), -1)).reshape(targets.shape)
                value = loss_of(loss, logprobs, datum.inputs, config)
            if backward:
                value.backward()
            found.append(logprobs.detach())
            total += float(value.detach())
        return found, total

    def step(self, params: Mapping[str, float]) -> float:
        """One AdamW step; the gradient's norm before clipping."""
        for p in self.parameters.values():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        norm = clip_by_norm([p.grad for p in self.parameters.values()], max_norm=params["grad_clip_norm"])
        for group in self.optimizer.param_groups:
            group |= {"lr": params["learning_rate"], "eps": params["eps"], "weight_decay": params["weight_decay"]}
            group["betas"] = (params["beta1"], params["beta2"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def saved(self) -> Saved:
        """A copy of the weights and the optimiser's averages."""
        moments = {
            name: {key: value.clone() for key, value in self.optimizer.state[p].items()}
            for name, p in self.parameters.items()
            if p in self.optimizer.state
        }
        return Saved(self.base_model, self.lora, copy_of(self.parameters), moments)

    def restore(self, saved: Saved, *, optimizer: bool) -> None:
        """Take what ``saved`` gave."""
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(saved.weights[name])
        for name, moments in (saved.moments or {}).items() if optimizer else ():
            self.optimizer.state[self.parameters[name]] = {key: value.clone() for key, value in moments.items()}


class Voice:
    """Draws from and scores with some weights of a student, or with a base model that nobody trained."""

    def __init__(self, base: LoadedModel, student: Student | None = None) -> None:
        self.base, self.student = base, student
        self.weights = None if student is None else copy_of(student.parameters)
        self.model = base.model if student is None else student.model
        self.sampler = LocalSampler(self.model, vocab_size=base.vocab_size, max_length=base.max_length)

    def sample(self, prompt: list[int], params: SamplingParams, *, seed: int) -> Sample:
        """One completion; the seed alone keys its draws."""
        with self._speaking():
            return self.sampler.sample([SampleRequest(torch.tensor(prompt), key=0)], params, seed=seed, step=0)[0]

    def logprobs(self, prompt: list[int]) -> Tensor:
        """[P - 1, V]: row i is of the distribution that predicts token i + 1."""
        with self._speaking(), torch.no_grad():
            return dense(self.model, prompt[:-1], self.base.vocab_size)

    def _speaking(self) -> Any:
        parameters = {} if self.student is None else self.student.parameters
        return swapped(parameters, self.weights or {})


def dense(model: Any, tokens: list[int], vocab_size: int) -> Tensor:
    """[T, V] log-softmax of the whole logits."""
    return model(input_ids=torch.tensor([tokens])).logits[0, :, :vocab_size].float().log_softmax(1)
