"""The student on the Tinker service: its adapters are trained there, its plans are made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from understudy.engines.local.optimizer import OptimizerSettings, learning_rate_at
from understudy.engines.local.shares import weighted_only
from understudy.engines.tinker import checkpoint
from understudy.engines.tinker.adapter import fetch_or_tell
from understudy.engines.tinker.elsewhere import Elsewhere
from understudy.engines.tinker.layout import Wanted, layout_of
from understudy.engines.tinker.learning import Learned, accumulate, data_of, logprobs_of
from understudy.engines.tinker.native import check_plan
from understudy.engines.tinker.sampler import TinkerSampler
from understudy.engines.tinker.scorer import TinkerScorer, capabilities_of, check_request
from understudy.engines.tinker.service import TinkerService
from understudy.engines.trained_model import TrainedModel
from understudy.errors import CapabilityError, NonFiniteError
from understudy.models.load import LoadedModel
from understudy.plans import LossPlan, LossTerm
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores, UpdateResult, Weights
from understudy.tokens import Batch

if TYPE_CHECKING:
    import tinker

GRAD_NORM = "unclipped_grad_l2:mean"
"""The service's name of the gradient's norm before clipping."""


@dataclass(frozen=True)
class TinkerLora:
    """Adapters as the service makes them; their scale and start are its own.

    Args:
        rank: of the update. attention, mlp, head: which layers have them.
    """

    rank: int
    attention: bool = True
    mlp: bool = True
    head: bool = False


class TinkerPolicy(TrainedModel):
    """Implements ``Policy`` with AdamW on adapters, both on the service.

    Args:
        loaded: the student's words and limits; its weights are not read. service: where it learns.
        base_model: its name there. lora: its adapters. optimizer: learning rate, schedule, AdamW and clipping.
        total_updates: length of the schedule. seed: keys the adapters' start. max_ids: log-probs a token, at most.
        fetches: a checkpoint has the adapter itself beside the service's record.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        service: TinkerService,
        *,
        base_model: str,
        lora: TinkerLora,
        optimizer: OptimizerSettings,
        total_updates: int,
        seed: int = 0,
        max_ids: int = 256,
        fetches: bool = False,
    ) -> None:
        self.loaded, self.service, self.base_model, self.lora = loaded, service, base_model, lora
        self.version = 0
        self.updates = 0
        self._settings, self._total_updates = optimizer, total_updates
        self._seed, self._max_ids, self._fetches = seed, max_ids, fetches
        self._drawing: Weights = "live"
        self._training: tinker.TrainingClient | None = None
        self._sampling: tinker.SamplingClient | None = None  # of the weights after ``_sampled`` updates
        self._sampled = -1

    @property
    def capabilities(self) -> Capabilities:
        """Tokens, chosen ids and the top ones; no entropy, no hidden states."""
        return capabilities_of(self.vocab_size, max_ids=self._max_ids)

    @property
    def training(self) -> tinker.TrainingClient:
        """The SDK's client of the student; made at first use."""
        if self._training is None:
            future = self.service.client.create_lora_training_client(
                self.base_model,
                rank=self.lora.rank,
                seed=self._seed,
                train_attn=self.lora.attention,
                train_mlp=self.lora.mlp,
                train_unembed=self.lora.head,
            )
            self._training = self.service.result(future, f"a student from {self.base_model}")
        return self._training

    def sampling(self) -> tinker.SamplingClient:
        """The SDK's client that draws from the live weights; they are saved for it once after an update."""
        if self._sampling is None or self._sampled != self.updates:
            future = self.training.save_weights_and_get_sampling_client()
            self._sampling, self._sampled = self.service.result(future, "weights to sample from"), self.updates
        return self._sampling

    @property
    def model(self) -> Elsewhere:
        """What stands where a module of this process would: it knows who draws."""
        return Elsewhere(lambda: TinkerSampler(self.service, self._voice, max_length=self.max_length))

    sampling_model = model

    @contextmanager
    def under(self, weights: Weights) -> Iterator[None]:
        """Within the block the samplers of ``model`` draw from these weights."""
        before, self._drawing = self._drawing, weights
        try:
            yield
        finally:
            self._drawing = before

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order, under the live weights.

        The trainer's own forward pass answers, so that the figures are those that an update would see; where the top
        tokens are asked for, the sampler's, which alone can tell them.

        Raises:
            CapabilityError: more was asked for than the service gives.
        """
        check_request(request, self.capabilities, name="the student")
        if request.top_k:
            return self._scorer(self.sampling, self.fingerprint, self.version).score(request)
        sampled, at_ids = self._forward(request)
        return Scores(sampled=sampled, at_ids=at_ids, fingerprint=self.fingerprint, version=self.version)

    def scorer(self, weights: Weights) -> Scorer:
        """The student with its live or its initial weights, which are those of the base model.

        Raises:
            CapabilityError: an average of the weights; the service keeps none.
        """
        if weights == "ema":
            raise CapabilityError(
                "the Tinker service keeps no average of the weights", remedy="Use engine.kind local for it."
            )
        if weights == "live":
            return self
        return self._scorer(self._base, self.loaded.fingerprint, 0)

    def update(self, batch: Batch, plan: LossPlan) -> UpdateResult:
        """One optimiser step on the plan's loss; a plan without rows moves no weight.

        Raises:
            CapabilityError: a term runs over the whole vocabulary. NonFiniteError: a term's loss or its gradient is NaN
            or infinite; the weights are left untouched.
        """
        check_plan(plan)
        terms = self._terms(batch, plan)
        learned = accumulate(self.service, self.training, batch, terms) if terms else Learned({}, 0)
        if not learned.is_finite:
            if learned.native is not None:
                self._drop_gradient()
            _refuse(learned.sums)
        rate = learning_rate_at(self.updates, settings=self._settings, total_updates=self._total_updates)
        # The schedule goes on in any case; without rows nothing moves, whatever momentum Adam has.
        norm = self._step(rate) if terms else 0.0
        self.updates += 1
        sums = {term.name: learned.sums.get(term.name, 0.0) for term in plan.terms}
        return UpdateResult(sums=sums, grad_norm=norm, learning_rate=rate, num_tokens=learned.num_tokens)

    def accumulate(self, batch: Batch, plan: LossPlan) -> Learned:
        """Add the plan's gradient to what the service holds, without a step; ``update`` does this and steps."""
        check_plan(plan)
        return accumulate(self.service, self.training, batch, self._terms(batch, plan))

    def publish(self) -> int:
        """Save the live weights for sampling; returns their new version."""
        self.sampling()
        self.version += 1
        return self.version

    def save(self, folder: Path) -> None:
        """Have the service save the student and its optimiser, and write down where; fetch the adapter where wanted."""
        name = f"update-{self.updates:06d}"
        saved = self.service.result(self.training.save_state(name, overwrite=True), "a checkpoint")
        state = checkpoint.TinkerState(saved.path, self.base_model, self.lora.rank, self.updates, self.version)
        checkpoint.write(folder, state)
        if self._fetches:
            fetch_or_tell(self.service, self.training, folder, loaded=self.loaded, name=name)

    def load(self, folder: Path) -> None:
        """Go on from what ``save`` wrote.

        Raises:
            CheckpointError: the record is missing, broken, or of another student. ServerError: the service no longer
            has the state.
        """
        state = checkpoint.read(folder, base_model=self.base_model, rank=self.lora.rank)
        self._training = self._restored(state.path)
        self.updates, self.version = state.updates, state.version
        self._sampling = None

    def _terms(self, batch: Batch, plan: LossPlan) -> list[LossTerm]:
        terms = [weighted_only(term, batch.table, self.vocab_size) for term in plan.terms]
        return [term for term in terms if term.rows.numel()]

    def _step(self, rate: float) -> float:
        """Step with what the service holds; the gradient's norm before clipping, NaN where it does not tell."""
        import tinker

        settings = self._settings
        params = tinker.AdamParams(
            learning_rate=rate,
            beta1=settings.betas[0],
            beta2=settings.betas[1],
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            grad_clip_norm=settings.max_grad_norm,
        )
        metrics: Mapping[str, float] = self.service.result(self.training.optim_step(params), "a step").metrics or {}
        return float(metrics.get(GRAD_NORM, float("nan")))

    def _drop_gradient(self) -> None:
        """Get rid of a gradient that the service holds, for which it has no request: save, and go on from there."""
        saved = self.service.result(self.training.save_state("without-gradient", overwrite=True), "a checkpoint")
        self._training = self._restored(saved.path)

    def _restored(self, path: str) -> tinker.TrainingClient:
        future = self.service.client.create_training_client_from_state_with_optimizer(path)
        return self.service.result(future, f"the student saved as {path}")

    def _voice(self) -> tinker.SamplingClient:
        return self._base() if self._drawing == "initial" else self.sampling()

    def _base(self) -> tinker.SamplingClient:
        return self.service.sampling_client(self.base_model)

    def _scorer(self, client: object, fingerprint: str, version: int) -> TinkerScorer:
        return TinkerScorer(
            self.service,
            client,  # type: ignore[arg-type]
            name="the student",
            vocab_size=self.vocab_size,
            fingerprint=fingerprint,
            max_ids=self._max_ids,
            version=version,
        )

    def _forward(self, request: ScoreRequest) -> tuple[Tensor, Tensor | None]:
        """[R] log-probs of the tokens that stand there, and [R, K] of the chosen ids."""
        count = request.context.numel()
        if not count:
            return torch.zeros(0), None if request.ids is None else torch.zeros(0, request.ids.shape[1])
        pairs = zip(request.context.tolist(), request.position.tolist(), strict=True)
        token = torch.stack([request.contexts[context][position] for context, position in pairs])
        ids = token[:, None] if request.ids is None else torch.cat([token[:, None], request.ids], dim=1)
        wanted = Wanted(torch.arange(count), ids)
        layout = layout_of(request.contexts, request.context, request.position, [wanted])
        data = data_of(layout, {"weights": layout.by_datum(torch.zeros(layout.targets.shape))})
        output = self.service.result(self.training.forward(data, "cross_entropy"), "scores of the student")
        (found,) = layout.gathered(layout.from_datums(logprobs_of(output, layout)))
        return found[:, 0], None if request.ids is None else found[:, 1:]


def _refuse(sums: Mapping[str, float]) -> None:
    for name, value in sums.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise NonFiniteError(f"the loss term {name!r} is not finite", got=value)
    raise NonFiniteError(f"the gradient of {', '.join(map(repr, sums))} is not finite")
