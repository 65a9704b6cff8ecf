"""The student sharded over ranks: each brings its own rollouts, and all take the same optimiser step together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from understudy.engines.cluster import checkpoint
from understudy.engines.cluster.contexts import numbered_over
from understudy.engines.cluster.group import Group, noticing_loss
from understudy.engines.cluster.peers import budget_of, evened
from understudy.engines.cluster.sharding import copies_of, gathered, resharded, shard_of, sharded
from understudy.engines.cluster.tensor import divided
from understudy.engines.local.checkpointing import checkpointing_mode, same_attention
from understudy.engines.local.modes import dropout_mode
from understudy.engines.local.out_of_memory import memory_for
from understudy.engines.local.policy import LocalPolicy
from understudy.engines.local.scorer import Scored, score_with
from understudy.engines.local.shares import Share, shares_of
from understudy.engines.local.weights import NamedTensors
from understudy.errors import CapabilityError
from understudy.models.forward import MicroBatch, hidden_rows, reads_packed
from understudy.models.load import LoadedModel
from understudy.plans import LossPlan
from understudy.protocols import ScoreRequest, Scores, UpdateResult, Weights
from understudy.tokens import Batch

_REMEDY = "Lower engine.micro_batch_tokens or head_chunk_rows, or set engine.activation_checkpointing: on."


class ClusterPolicy(LocalPolicy):
    """Implements ``Policy``; every rank makes the same calls in the same order, each with its own rollouts.

    Sums, norms and checkpoints are of all ranks together, so an update equals that of one process with all rollouts.

    Args:
        loaded: the student, whole; it is cut here. group: of the ranks.
        samples_here: ranks keep a whole copy of the weights for their samplers, brought up to date by ``publish``;
            otherwise only the first rank has one, on the CPU, from which the model is written and examined.
        offload_parameters: shards live in the CPU's memory. options: as of ``LocalPolicy``.
    Raises:
        CapabilityError: the optimiser's averages are to be compact.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        group: Group,
        samples_here: bool = True,
        offload_parameters: bool = False,
        **options: Any,
    ) -> None:
        self.group = group
        self._samples_here, self._offload = samples_here, offload_parameters
        if options["optimizer"].states != "float32":
            raise CapabilityError(
                "compact averages would depend on the number of ranks",
                got=f"optimizer.states: {options['optimizer'].states}",
                remedy="Set optimizer.states: float32; its averages are sharded over the ranks.",
            )
        super().__init__(loaded, **options)

    @property
    def sampling_model(self) -> nn.Module:
        """This rank's whole copy of the weights, as of the last ``publish``."""
        if self._whole is None:
            raise CapabilityError("this rank keeps no whole copy of the student to sample from")
        return self._whole

    def full_weights(self) -> NamedTensors:
        """Every trained weight, whole, by parameter name, on every rank; a call of all ranks."""
        with noticing_loss():
            return {name: gathered(p) for name, p in self._sharded.items()}

    def publish(self) -> int:
        """A new version number for the live weights, which every whole copy now has; a call of all ranks."""
        self._fill_whole()
        return super().publish()

    def update(self, batch: Batch, plan: LossPlan) -> UpdateResult:
        """One optimiser step on the sum of all ranks' losses.

        Raises:
            NonFiniteError: on every rank; the weights are left untouched.
        """
        try:
            return super().update(batch, plan)
        finally:
            self._forget_gradients()

    def gradients(self, batch: Batch, plan: LossPlan) -> NamedTensors:
        """The gradient of all ranks' rollouts, whole, by parameter name; nothing changes."""
        try:
            self._accumulate(batch, plan)
            grads = {name: p.grad for name, p in self._sharded.items()}
            return {n: torch.zeros(self._sharded[n].shape) if g is None else gathered(g) for n, g in grads.items()}  # type: ignore[arg-type]
        finally:
            self._forget_gradients()

    def score_under(self, weights: Weights, request: ScoreRequest, *, fingerprint: str) -> Scores:
        """Scores of this rank's request under some of the policy's weights; a call of all ranks."""
        with self.under(weights), memory_for("scoring with the student", remedy=_REMEDY), noticing_loss():
            project = self._inside(self._head.frozen) if request.hidden else None
            budget = self._scoring.budget
            scores = score_with(
                self.model,
                self._head,
                request,
                token_budget=budget_of(self.group, budget.tokens),
                chunk_rows=budget.rows,
                autocast=self._autocast,
                project=project,
                through=self._evenly,
                device=self.device,
            )
            resharded(self._inside)
        return replace(scores, fingerprint=fingerprint, version=self.version)

    def save(self, folder: Path) -> None:
        """Write the model as ``save_model`` and each rank's part of the trainer's state; a call of all ranks."""
        self.save_model(folder)
        with noticing_loss():
            checkpoint.write(folder, self._trainer_state(), self._global_state(), group=self.group)

    def save_model(self, folder: Path) -> Path:
        """Write the whole model in Hugging Face form, on the first rank; a call of all ranks."""
        self._fill_whole()
        if self._whole is not None and self.group.rank == 0:
            return checkpoint.write_model(folder, self._whole, self.loaded.tokenizer)
        return folder / ("adapter" if self._lora else "model")

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote on any number of ranks, or what the local engine did; a call of all ranks.

        Raises:
            CheckpointError: a file is missing, broken, or of another model; nothing has changed then.
        """
        saved = checkpoint.read(
            folder, self._sharded, whole=self._whole, group=self.group, with_average=self._ema is not None
        )
        self._optimizer.state.clear()
        with torch.no_grad():
            for name, shard in self._parameters.items():
                shard.copy_(saved.weights[name])
                if name in saved.moments:
                    self._optimizer.state[shard] = dict(saved.moments[name])
        if self._ema is not None:
            self._ema = dict(saved.average)
        self.version, self.updates = saved.state.version, saved.state.updates
        resharded(self._inside)
        self._fill_whole()

    def under(self, weights: Weights) -> AbstractContextManager[None]:
        """Within the block the shards hold these weights; afterwards the live ones, bit for bit."""
        other = self._ema if weights == "ema" else self._initial if weights == "initial" else None
        return super().under(weights) if other is None else self._holding(other)

    def _placed(self) -> dict[str, nn.Parameter]:
        """Cut the weights; the optimiser sees each rank's own part as plain tensors."""
        is_writer = self.group.rank == 0
        self._whole = copy.deepcopy(self.model).requires_grad_(False) if self._samples_here or is_writer else None
        if self._whole is not None and not self._samples_here:
            self._whole.cpu()
        self._division = divided(self.model, self._head, self.group.peers) if self.group.peers else None
        self._inside = sharded(self._loss_module, self.group.mesh, autocast=self._autocast, offload=self._offload)
        self._sharded = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return {name: nn.Parameter(shard_of(p)) for name, p in self._sharded.items()}

    def _accumulate(self, batch: Batch, plan: LossPlan) -> tuple[dict[str, float], int]:
        budget = self._learning.budget
        shares = shares_of(
            batch,
            plan,
            token_budget=budget_of(self.group, budget.tokens),
            vocab_size=self.vocab_size,
            device=self.device,
            model=self.model,
        )
        if self._lora is not None and self._lora.dropout:
            shares = numbered_over(self.group, batch, shares)
        num_tokens = sum(share.batch.num_tokens for share in shares)
        shares = evened(self.group, shares, device=self.device, packs=reads_packed(self.model))
        self._forget_gradients()
        with memory_for("the student's update", remedy=_REMEDY), noticing_loss():
            sums = self._backward_of(shares, plan)
            for name, p in self._sharded.items():
                self._parameters[name].grad = grad = None if p.grad is None else shard_of(p.grad)  # type: ignore[arg-type]
                if grad is not None and self._division is not None:
                    self._division.add_up(name, grad)
        totals = self.group.sum(torch.stack([*sums.values(), torch.tensor(float(num_tokens)).double()]))
        return dict(zip(sums, totals[:-1].tolist(), strict=True)), int(totals[-1])

    def _backward_of(self, shares: Sequence[Share], plan: LossPlan) -> dict[str, Tensor]:
        """Each term's sum on this rank, float64 on the CPU; gradients of all ranks are added as they are made."""
        budget = self._learning.budget
        self._loss_module.chunk_rows = budget.rows
        sums = {term.name: torch.zeros((), dtype=torch.float64) for term in plan.terms}
        with (
            checkpointing_mode(self.model, enabled=budget.checkpointing),
            dropout_mode(self.model, self._lora, seed=self._seed, update=self.updates) as begin,
        ):
            for share in shares:
                begin(share)
                loss, parts = self._inside(
                    lambda share=share: self._loss_module(share.batch, share.terms, temperature=plan.temperature)
                )
                for name, part in parts.items():
                    sums[name] = sums[name] + part.double().cpu()
                with same_attention(self.model, self.device):
                    loss.backward()
        return sums

    def _clipped_norm(self) -> Tensor:
        """Global norm over all ranks' parts, before clipping."""
        squares = torch.zeros((), dtype=torch.float64)
        for name, shard in self._parameters.items():
            if shard.grad is None:
                shard.grad = torch.zeros_like(shard)
            squares += shard.grad.double().square().sum().cpu() / copies_of(self._sharded[name], self.group.size)
        norm = self.group.sum(squares).sqrt()
        most = self._settings.max_grad_norm
        if most > 0:
            scale = float((most / (norm + 1e-6)).clamp(max=1.0))
            torch._foreach_mul_([p.grad for p in self._parameters.values() if p.grad is not None], scale)
        return norm

    def _moves(self, plan: LossPlan) -> bool:
        """Whether any rank's plan has a row that counts."""
        return bool(self.group.max(torch.tensor(super()._moves(plan))))

    def _step(self, *, moves: bool) -> float:
        rate = super()._step(moves=moves)
        resharded(self._inside)
        return rate

    def _evenly(
        self, passes: Sequence[MicroBatch], one: Callable[[MicroBatch], Scored]
    ) -> Iterable[tuple[MicroBatch, Scored]]:
        """Each pass inside the gathered weights; a rank that has fewer than others runs empty ones."""
        shares = [Share(batch.to(self.device), []) for batch in passes]
        joined = evened(self.group, shares, device=self.device, packs=reads_packed(self.model))
        for batch in (share.batch for share in joined[: len(passes)]):
            yield batch, self._inside(lambda batch=batch: one(batch))
        for batch in (share.batch for share in joined[len(passes) :]):
            self._inside(lambda batch=batch: hidden_rows(self.model, batch, autocast=self._autocast))

    @contextmanager
    def _holding(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        # Copied and not swapped: FSDP keeps hold of the memory that it gathers from.
        live = {name: shard.detach().clone() for name, shard in self._parameters.items()}
        try:
            self._put(weights)
            yield
        finally:
            self._put(live)

    def _put(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, shard in self._parameters.items():
                shard.copy_(weights[name])
        resharded(self._inside)

    def _fill_whole(self) -> None:
        """Bring the whole copies up to date, one weight at a time."""
        own = {} if self._whole is None else dict(self._whole.named_parameters())
        with torch.no_grad(), noticing_loss():
            for name, p in self._sharded.items():
                weight = gathered(p)
                if name in own:
                    own[name].copy_(weight)

    def _forget_gradients(self) -> None:
        for p in [*self._sharded.values(), *self._parameters.values()]:
            p.grad = None

    def _global_state(self) -> dict[str, Tensor]:
        """Every part of this rank as a tensor of the global shape: weights, the optimiser's averages, the average."""
        return checkpoint.global_state(
            self._sharded,
            self._parameters,
            moments={name: self._optimizer.state.get(shard, {}) for name, shard in self._parameters.items()},
            average=self._ema or {},
        )
