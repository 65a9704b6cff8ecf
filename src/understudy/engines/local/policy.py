"""The student in this process: scores rows and takes one optimiser step a plan, on a CPU or one GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from understudy.engines.local import checkpoint
from understudy.engines.local.checkpointing import Choice, checkpointing_mode, learning_allowance, same_attention
from understudy.engines.local.finite import refuse_non_finite
from understudy.engines.local.modes import dropout_mode
from understudy.engines.local.optimizer import OptimizerSettings, adamw, clip_by_norm, learning_rate_at
from understudy.engines.local.out_of_memory import Allowance, Budget, Extent, Notice, memory_for
from understudy.engines.local.policy_scorer import PolicyScorer
from understudy.engines.local.scorer import DEFAULT_TOKEN_BUDGET, capabilities_of, score_within
from understudy.engines.local.shares import Share, shares_of
from understudy.engines.local.weights import NamedTensors, all_trainable, average_into, copy_of, swapped
from understudy.engines.trained_model import TrainedModel
from understudy.errors import CapabilityError, NonFiniteError
from understudy.models.adapters import LoraSettings, add_lora
from understudy.models.architectures import why_not_packed
from understudy.models.head import check_head, default_chunk_rows
from understudy.models.load import LoadedModel
from understudy.models.loss_module import LossModule
from understudy.plans import LossPlan
from understudy.protocols import Capabilities, ScoreRequest, Scores, UpdateResult, Weights
from understudy.tokens import Batch


class LocalPolicy(TrainedModel):
    """Implements ``Policy`` with AdamW on all weights, or on LoRA adapters.

    Args:
        loaded: the student; full training keeps its weights in float32. Its module is trained in place and may
            be shared with a sampler.
        optimizer: learning rate, schedule, AdamW and clipping. total_updates: length of the schedule.
        lora: adapters instead of full training.
        precision: ``bfloat16`` runs the backbone's products in bfloat16; weights, head and loss stay float32.
        token_budget: padded tokens a micro-batch, at most. chunk_rows: rows of logits at a time. Where memory runs
            out both become smaller, and the same update or scoring is done again.
        activation_checkpointing: keep a layer's inputs only and compute it again for its gradient; ``auto`` begins
            without, and does it when one context does not fit. notice: told when memory ran out and what helped.
        ema_decay: keep an exponential average of the weights. keep_initial: keep the start on the CPU (full
            training; LoRA always has it). seed: keys the adapters' start and their dropout.
    Raises:
        ModelError: the architecture's logits are not known here. CapabilityError: it cannot be checkpointed.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        optimizer: OptimizerSettings,
        total_updates: int,
        lora: LoraSettings | None = None,
        precision: Literal["float32", "bfloat16"] = "float32",
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        chunk_rows: int | None = None,
        activation_checkpointing: Choice = "auto",
        ema_decay: float | None = None,
        keep_initial: bool = False,
        seed: int = 0,
        notice: Notice | None = None,
    ) -> None:
        check_head(loaded.model, vocab_size=loaded.vocab_size)
        self.why_not_packed = why_not_packed(loaded.model, autocast=precision == "bfloat16")
        self.loaded = loaded
        self.model: nn.Module = add_lora(loaded.model, lora, seed=seed) if lora else all_trainable(loaded.model)
        self.device = loaded.device
        self.version = 0
        self.updates = 0
        self._settings, self._total_updates, self._seed = optimizer, total_updates, seed
        self._autocast = precision == "bfloat16"
        budget = Budget(token_budget, chunk_rows or default_chunk_rows(loaded.vocab_size))
        self._scoring = Allowance(budget, work="scoring with the student", notice=notice)
        self._learning = learning_allowance(self.model, budget, activation_checkpointing, notice=notice)
        self._loss_module = LossModule(
            self.model, vocab_size=loaded.vocab_size, chunk_rows=budget.rows, autocast=self._autocast
        )
        self._head = self._loss_module.head
        self._parameters = self._placed()
        self._optimizer = adamw(self._parameters.values(), optimizer, seed=seed)
        self._lora = lora
        self._ema_decay = ema_decay
        self._ema: NamedTensors | None = None if ema_decay is None else copy_of(self._parameters)
        self._initial = copy_of(self._parameters, device="cpu") if keep_initial and not lora else None

    @property
    def sampling_model(self) -> nn.Module:
        """The module that a sampler of this process reads."""
        return self.model

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return capabilities_of(self.vocab_size)

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order, under the live weights."""
        return self.score_under("live", request, fingerprint=self.fingerprint)

    def scorer(self, weights: Weights) -> PolicyScorer:
        """The policy as a scorer with its live, initial, or exponentially averaged weights.

        Raises:
            CapabilityError: those weights are not kept.
        """
        if weights == "initial" and self._initial is None and not self._lora:
            raise CapabilityError("the initial weights were not kept", remedy="Make the policy with keep_initial=True.")
        if weights == "ema" and self._ema is None:
            raise CapabilityError("no average of the weights is kept", remedy="Set ema_decay.")
        return PolicyScorer(self, weights)

    def score_under(self, weights: Weights, request: ScoreRequest, *, fingerprint: str) -> Scores:
        """Scores of a request under some of the policy's weights; ``scorer`` wraps this."""
        with self.under(weights):
            # Hidden states become logits later, when the weights may have moved: they take a copy of the head along.
            project: Callable[[Tensor], Tensor] | None = self._head.frozen() if request.hidden else None
            scores = score_within(
                self._scoring, self.model, self._head, request, autocast=self._autocast, project=project
            )
        return replace(scores, fingerprint=fingerprint, version=self.version)

    def update(self, batch: Batch, plan: LossPlan) -> UpdateResult:
        """One optimiser step on the plan's loss, the sum of its terms' sums; a plan without rows moves no weight.

        Raises:
            NonFiniteError: a term's loss or the gradient is NaN or infinite; the weights are left untouched.
        """
        try:
            sums, num_tokens = self._accumulate(batch, plan)
            refuse_non_finite(sums)
            norm = self._clipped_norm()
            if not bool(torch.isfinite(norm)):
                raise NonFiniteError(f"the gradient of {', '.join(map(repr, sums))} is not finite", got=float(norm))
            rate = self._step(moves=self._moves(plan))
        finally:
            self._optimizer.zero_grad(set_to_none=True)
        return UpdateResult(sums=sums, grad_norm=float(norm), learning_rate=rate, num_tokens=num_tokens)

    def gradients(self, batch: Batch, plan: LossPlan) -> NamedTensors:
        """The gradient that ``update`` would step with, before clipping, by parameter name; nothing changes."""
        try:
            self._accumulate(batch, plan)
            return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in self._parameters.items()}
        finally:
            self._optimizer.zero_grad(set_to_none=True)

    def publish(self) -> int:
        """A new version number for the live weights; samplers that share the module already have them."""
        self.version += 1
        return self.version

    def save(self, folder: Path) -> None:
        """Write ``model/`` or ``adapter/`` in Hugging Face form, ``trainer.json`` and ``trainer.safetensors``."""
        self.save_model(folder)
        checkpoint.write_trainer(folder, self._trainer_state(), self._trainer_tensors())

    def save_model(self, folder: Path) -> Path:
        """Write the model alone: ``model/`` (full) or ``adapter/`` (LoRA), tokenizer included; returns that folder."""
        return checkpoint.write_model(folder, self.model, self.loaded.tokenizer)

    def load(self, folder: Path) -> None:
        """Read back what ``save`` wrote; the next updates equal those of a run never interrupted.

        Raises:
            CheckpointError: a file is missing, broken, or of another model; nothing has changed then.
        """
        saved = checkpoint.read(
            folder,
            self.model,
            self._parameters,
            states=self._settings.states,
            with_average=self._ema is not None,
        )
        self._optimizer.state.clear()
        with torch.no_grad():
            for name, p in self._parameters.items():
                p.copy_(saved.weights[name])
                if name in saved.moments:
                    # Copies, because tensors from a safetensors file are mapped to it.
                    moments = saved.moments[name].items()
                    self._optimizer.state[p] = {key: value.to(p.device, copy=True) for key, value in moments}
        if self._ema is not None:
            self._ema = {name: value.to(self.device, copy=True) for name, value in saved.average.items()}
        self.version, self.updates = saved.state.version, saved.state.updates

    def _placed(self) -> dict[str, nn.Parameter]:
        """The weights that learn, by name, as the optimiser sees them."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def _moves(self, plan: LossPlan) -> bool:
        """Whether the plan has a row that counts."""
        return any(bool(term.weights.any()) for term in plan.terms)

    def _accumulate(self, batch: Batch, plan: LossPlan) -> tuple[dict[str, float], int]:
        """The plan's gradient in the parameters; each term's sum, and the tokens that went through the model."""

        def shares(budget: Budget) -> list[Share]:
            return shares_of(
                batch,
                plan,
                token_budget=budget.tokens,
                vocab_size=self.vocab_size,
                device=self.device,
                model=self.model,
            )

        def extent(budget: Budget) -> Extent:
            passes, alone = shares(budget), shares(replace(budget, tokens=1))
            return Extent.of([share.batch for share in passes], alone=[share.batch for share in alone])

        return self._learning.run(lambda budget: self._backward(shares(budget), plan, budget), extent)

    def _backward(self, shares: list[Share], plan: LossPlan, budget: Budget) -> tuple[dict[str, float], int]:
        self._optimizer.zero_grad(set_to_none=True)  # of an attempt that did not fit
        self._loss_module.chunk_rows = budget.rows
        sums = {term.name: torch.zeros((), device=self.device) for term in plan.terms}
        with (
            checkpointing_mode(self.model, enabled=budget.checkpointing),
            dropout_mode(self.model, self._lora, seed=self._seed, update=self.updates) as begin,
        ):
            for share in shares:
                begin(share)
                loss, parts = self._loss_module(share.batch, share.terms, temperature=plan.temperature)
                for name, part in parts.items():
                    sums[name] = sums[name] + part
                with same_attention(self.model, self.device):
                    loss.backward()
        return {name: float(value) for name, value in sums.items()}, sum(share.batch.num_tokens for share in shares)

    def _clipped_norm(self) -> Tensor:
        """Global norm before clipping; parameters the loss did not reach get a zero gradient."""
        for p in self._parameters.values():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in self._parameters.values() if p.grad is not None]
        return clip_by_norm(grads, max_norm=self._settings.max_grad_norm)

    def _step(self, *, moves: bool) -> float:
        """The schedule goes on in any case; a plan without rows moves nothing, whatever momentum Adam has."""
        rate = learning_rate_at(self.updates, settings=self._settings, total_updates=self._total_updates)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if moves:
            with memory_for("the optimiser's averages", remedy="Set optimizer.states: int8, or student.lora."):
                self._optimizer.step()
        self.updates += 1
        if self._ema is not None and self._ema_decay is not None:
            average_into(self._ema, self._parameters, decay=self._ema_decay)
        return rate

    def under(self, weights: Weights) -> AbstractContextManager[None]:
        """Within the block the module holds these weights; afterwards the live ones, bit for bit."""
        if weights == "ema" and self._ema is not None:
            return swapped(self._parameters, self._ema)
        if weights == "initial":
            if self._initial is not None:
                return swapped(self._parameters, self._initial)
            adapted: Any = self.model
            return adapted.disable_adapter()
        return nullcontext()

    def _trainer_state(self) -> checkpoint.TrainerState:
        return checkpoint.TrainerState(updates=self.updates, version=self.version)

    def _trainer_tensors(self) -> NamedTensors:
        tensors = {
            f"{key}.{name}": value
            for name, p in self._parameters.items()
            for key, value in self._optimizer.state.get(p, {}).items()
        }
        tensors.update({f"ema.{name}": value for name, value in (self._ema or {}).items()})
        return tensors
