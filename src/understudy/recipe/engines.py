"""Where the work is done: one process, many ranks, or the Tinker service; told apart by ``kind``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, model_validator

from understudy.recipe.models import Student
from understudy.recipe.run import Optimizer, RolloutConfig
from understudy.recipe.section import Number, Section, Text, Whole


class Engine(Section):
    """What every engine has; these fields change speed and memory, never results beyond rounding.

    Args:
        kind: which engine. device: ``auto`` takes a GPU where there is one.
        micro_batch_tokens: tokens in one forward pass. head_chunk_rows: rows of logits that exist at one time.
        sampler_batch_rows: rollouts that are sampled side by side. threads: of the CPU; null leaves torch's choice.
        activation_checkpointing: compute a layer again for its gradient instead of keeping what is inside it; ``auto``
            does so only when the memory plan, or an update that ran out of memory, says that it is needed.
        offload: ``teacher`` keeps frozen models in the CPU's memory between their uses.
    """

    kind: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    micro_batch_tokens: Whole = Field(default=16384, ge=1)
    head_chunk_rows: Whole = Field(default=512, ge=1)
    sampler_batch_rows: Whole = Field(default=256, ge=1)
    threads: Whole | None = Field(default=None, ge=1)
    activation_checkpointing: Literal["auto", "on", "off"] = "auto"
    offload: Literal["none", "teacher"] = "none"


class LocalEngine(Engine):
    """One process, on a CPU or one GPU."""

    kind: Literal["local"] = "local"


class ClusterEngine(Engine):
    """As many ranks as ``torchrun`` started, one without it; the student is sharded over them (FSDP2).

    Args:
        tensor_parallel: ranks that share the products of each layer, by transformers' plan of the architecture.
        offload_parameters: shards of the weights, gradients and averages live in the CPU's memory.
    """

    kind: Literal["cluster"] = "cluster"
    tensor_parallel: Whole = Field(default=1, ge=1)
    offload_parameters: bool = False


class TinkerEngine(Engine):
    """The student's adapters learn, and are sampled, on the Tinker service; plans are made here.

    Args:
        base_url: the service's address; null takes the SDK's. api_key_env: NAME of the environment variable with the
            key; the key itself stands nowhere.
        teacher: where teachers and references without a ``server`` are: on the service under the same name, or in this
            process.
        train_attn, train_mlp, train_unembed: which layers have adapters; by default those of ``all-linear``.
        max_logprobs: log-probs a token that the service is asked for at most.
        fetch_adapter: bring the trained adapter into each checkpoint's folder, in PEFT's form.
        start_seconds: the service may take so long to answer at all. timeout_seconds: for one answer.
        telemetry: let the SDK report calls and errors to the service.
    """

    kind: Literal["tinker"] = "tinker"
    base_url: Text | None = None
    api_key_env: Text = "TINKER_API_KEY"
    teacher: Literal["tinker", "local"] = "tinker"
    train_attn: bool = True
    train_mlp: bool = True
    train_unembed: bool = False
    max_logprobs: Whole = Field(default=256, ge=1)
    start_seconds: Number = Field(default=20.0, gt=0)
    timeout_seconds: Number = Field(default=3600.0, gt=0)
    telemetry: bool = False
    fetch_adapter: bool = True

    @model_validator(mode="after")
    def _something_is_trained(self) -> TinkerEngine:
        if not (self.train_attn or self.train_mlp or self.train_unembed):
            raise ValueError("engine trains no layer: set one of train_attn, train_mlp, train_unembed")
        if self.base_url is not None:
            parts = urlsplit(self.base_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
                raise ValueError("engine.base_url must begin with http:// or https:// and hold no login")
        return self

    def check(self, student: Student, rollout: RolloutConfig, optimizer: Optimizer) -> None:
        """Raise ValueError, in one sentence, for what the service has no setting for."""
        lora = student.lora
        if lora is None:
            raise ValueError("engine.kind tinker trains adapters only: give student.lora a rank, such as {rank: 32}")
        wrong = [
            (lora.alpha is not None, "student.lora.alpha: the service has a scale of its own; leave it out"),
            (lora.dropout > 0, "student.lora.dropout: the service has none; leave it out"),
            (
                lora.target_modules != "all-linear",
                "student.lora.target_modules: say it by engine.train_attn, train_mlp and train_unembed",
            ),
            (student.ema_decay is not None, "student.ema_decay: the service keeps no average of the weights"),
            (rollout.temperature != 1, "rollout.temperature: the service's losses have temperature 1; set 1"),
            (
                rollout.top_p != 1 or rollout.top_k != 0,
                "rollout.top_p and top_k: of which distribution the service's log-probs are then is not said, and "
                "ratios would go wrong in silence; set 1 and 0",
            ),
            (rollout.server is not None, "rollout.server: the service draws the rollouts; leave it out"),
            (
                rollout.overlap.max_staleness > 0,
                "rollout.overlap: the weights it would draw from are not here; set max_staleness: 0",
            ),
            (optimizer.states != "float32", "optimizer.states: the service keeps its own; leave it out"),
        ]
        for is_wrong, sentence in wrong:
            if is_wrong:
                raise ValueError(f"engine.kind tinker cannot do {sentence}")


def _kind_of(value: object) -> object:
    return value.get("kind", "local") if isinstance(value, Mapping) else getattr(value, "kind", "local")


EngineField = Annotated[
    Annotated[LocalEngine, Tag("local")]
    | Annotated[ClusterEngine, Tag("cluster")]
    | Annotated[TinkerEngine, Tag("tinker")],
    Discriminator(_kind_of),
]
"""An engine by its ``kind``; without one, ``local``."""
