"""Steps of tiny students with fixed rollouts: on one process, and each rank with its own share of the groups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests.conformance.tiny import VOCAB, tiny_model
from understudy.engines.cluster import ClusterPolicy, Group, join
from understudy.engines.local import LocalPolicy, LocalScorer, OptimizerConfig
from understudy.models.adapters import LoraConfig
from understudy.models.load import LoadedModel, describe
from understudy.objectives.methods import GKD, OPD, objective_of
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.methods.local_support import LocalSupport
from understudy.protocols import UpdateResult
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.training.clock import Clock
from understudy.training.step import Parts, StepSettings, run_step

STEPS = 3
METHODS: dict[str, MethodConfig] = {
    "opd": OPD(),
    "top-k": LocalSupport(top_k=4),
    "whole vocabulary": GKD(),
}


@dataclass(frozen=True)
class Case:
    """A kind of student and a method.

    Args:
        method: of ``METHODS``. lora, tied: of the student. kind: of transformers, with heads to divide; None: the tiny
            one.
    """

    method: str
    lora: bool
    tied: bool
    kind: str | None = None

    @property
    def name(self) -> str:
        """For files."""
        words = [self.method, "lora" if self.lora else "full", "tied" if self.tied else "untied", self.kind or ""]
        return " ".join(words).strip().replace(" ", "-")


CASES = [
    Case("opd", lora=False, tied=True),
    Case("opd", lora=True, tied=False),
    Case("top-k", lora=True, tied=True),
    Case("whole vocabulary", lora=False, tied=False),
]


def rollouts(step: int, *, rank: int = 0, size: int = 1) -> list[Rollout]:
    """Three groups of two, of different lengths; a rank has those whose number is its own modulo the size."""
    generator = torch.Generator().manual_seed(step)
    made = [_rollout(key, generator) for key in range(6)]
    return [one for one in made if one.group % size == rank]


def _rollout(key: int, generator: torch.Generator) -> Rollout:
    def draw(low: int, high: int) -> Tensor:
        count = int(torch.randint(low, high, (), generator=generator))
        return torch.randint(2, VOCAB, (count,), generator=generator)

    prompt, completion = draw(2, 6), draw(2, 14)
    count = completion.numel()
    turn = Turn(
        prompt_ids=prompt,
        completion_ids=completion,
        origin=torch.full((count,), Origin.STUDENT),
        behaviour_logprob=torch.full((count,), -2.0),
        weight_version=torch.full((count,), -1),
        finish_reason=FinishReason.STOP,
    )
    return Rollout(key, key // 2, "p", (turn,), FinishReason.STOP, reward=float(key % 2))


def options(case: Case) -> dict[str, object]:
    """Of a policy."""
    lora = LoraConfig(rank=2, alpha=4, dropout=0.2) if case.lora else None
    optimizer = OptimizerConfig(learning_rate=1e-2, weight_decay=0.1, max_grad_norm=0.5)
    return {"optimizer": optimizer, "total_updates": 10, "lora": lora, "ema_decay": 0.9, "token_budget": 24}


def student(case: Case) -> LoadedModel:
    """Float32."""
    model = tiny_model(tied=case.tied) if case.kind is None else dividable(case.kind, tied=case.tied)
    return describe(model, None)


def dividable(kind: str, *, tied: bool, vocab_size: int = VOCAB) -> PreTrainedModel:
    """A model of eight heads in four groups; biases everywhere where its kind has them."""
    wanted = {"attention_bias": True, "mlp_bias": True} if kind == "llama" else {}
    config = AutoConfig.for_model(
        kind,
        vocab_size=vocab_size,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=4,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **wanted,
    )
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(std=0.3)
    return model


def steps(
    policy: LocalPolicy, case: Case, group: Group | None, *, start: int = 0, count: int = STEPS
) -> list[UpdateResult]:
    """What the updates of ``count`` steps told."""
    settings = StepSettings(seed=0, total_steps=10)
    rank, size = 0, 1
    if group is not None:
        rank, size = group.rank, group.size
        settings = StepSettings(seed=0, total_steps=10, world=group, ranks=group)
    parts = Parts(
        collect=lambda step, _, **__: rollouts(step, rank=rank, size=size),
        policy=policy,
        objective=objective_of(METHODS[case.method]),
        settings=settings,
        scorers={"teacher": LocalScorer(describe(tiny_model(seed=9), None))},
    )
    numbers = range(start, start + count)
    results = [run_step(parts, step, clock=Clock(), progress=lambda _: None) for step in numbers]
    return [update for result in results for update in result.updates]


def told(updates: list[UpdateResult]) -> list[dict[str, object]]:
    """As JSON has it."""
    return [{"sums": dict(u.sums), "norm": u.grad_norm, "tokens": u.num_tokens} for u in updates]


def rank_work(folder: str, cases: Sequence[Case] = tuple(CASES), tensor_parallel: int = 1) -> None:
    """Every case on this rank: steps, a checkpoint, and a step more after each checkpoint that is there."""
    group = join("cpu", tensor_parallel=tensor_parallel)
    layout = f"{group.size}" if tensor_parallel == 1 else f"{group.size // tensor_parallel}x{tensor_parallel}"
    for case in cases:
        place = Path(folder) / case.name
        policy = ClusterPolicy(student(case), group=group, **options(case))
        found: dict[str, object] = {"steps": told(steps(policy, case, group))}
        weights = policy.full_weights()
        before = sorted(one.name for one in place.glob("from-*"))
        policy.save(place / f"from-{layout}")
        if case.method == "opd":
            found |= {name: _resumed(case, group, place / name) for name in [*before, f"from-{layout}"]}
        if group.rank == 0:
            (place / f"told-{layout}.json").write_text(json.dumps(found))
            save_file({name: value.contiguous() for name, value in weights.items()}, place / f"weights-{layout}")


def _resumed(case: Case, group: Group, checkpoint: Path) -> list[dict[str, object]]:
    policy = ClusterPolicy(student(case), group=group, **options(case))
    policy.load(checkpoint)
    return told(steps(policy, case, group, start=STEPS, count=1))
