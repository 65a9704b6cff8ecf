"""Times the four parts of an on-policy distillation step with random models made from configs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.engines.local.optimizer import OptimizerConfig
from understudy.engines.local.policy import LocalPolicy
from understudy.engines.local.scorer import LocalScorer
from understudy.models.load import LoadedModel
from understudy.models.sampling import LocalSampler
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.protocols import Sample, SampleRequest, SamplingParams, ScoreRequest
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, batch_of

PARTS = ("sample", "teacher", "plan", "update")


@dataclass(frozen=True)
class Sizes:
    """What is timed: width and depth of both models, vocabulary, and the shape of a batch (lengths in tokens)."""

    width: int = 128
    layers: int = 4
    vocab_size: int = 64
    rollouts: int = 128
    prompt_length: int = 12
    completion_length: int = 48
    learning_rate: float = 1e-4


@dataclass
class Timing:
    """Seconds of each part, one entry a step, and the tokens trained on in each."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})
    tokens: list[int] = field(default_factory=list)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part].append(time.perf_counter() - start)


def time_steps(sizes: Sizes, *, steps: int, warmup: int = 1, seed: int = 0) -> Timing:
    """``steps`` measured steps of method ``opd`` after ``warmup`` that are thrown away."""
    teacher, student = (random_model(sizes, seed=seed + number) for number in range(2))
    policy = LocalPolicy(
        student, optimizer=OptimizerConfig(learning_rate=sizes.learning_rate), total_updates=warmup + steps
    )
    scorer = LocalScorer(teacher)
    sampler = LocalSampler(policy.model, vocab_size=student.vocab_size, max_length=student.max_length)
    timing = Timing()
    for step in range(warmup + steps):
        one_step(timing, sizes, sampler=sampler, scorer=scorer, policy=policy, step=step)
        if step < warmup:
            timing = Timing()
    return timing


def one_step(
    timing: Timing, sizes: Sizes, *, sampler: LocalSampler, scorer: LocalScorer, policy: LocalPolicy, step: int
) -> None:
    """Sample, score, plan, update; nothing stops a completion, so every step has the same number of tokens."""
    generator = torch.Generator().manual_seed(step)
    prompts = torch.randint(sizes.vocab_size, (sizes.rollouts, sizes.prompt_length), generator=generator)
    with timing.of("sample"):
        requests = [SampleRequest(prompt, key) for key, prompt in enumerate(prompts)]
        params = SamplingParams(max_completion_length=sizes.completion_length)
        batch = batch_from(prompts, sampler.sample(requests, params, seed=0, step=step))
    table = batch.table
    with timing.of("teacher"):
        contexts = [context.ids for context in batch.contexts]
        scores = scorer.score(ScoreRequest(contexts, context=table["context"], position=table["position"]))
    with timing.of("plan"):
        table = table.with_tokens(teacher_logprob=scores.sampled, student_logprob=table["behaviour_logprob"])
        (plan,) = objective_of(OPD()).plan(table, PlanContext(step=step, total_steps=step + 1))
    with timing.of("update"):
        policy.update(Batch(batch.contexts, table), plan)
        sampler.load_weights(None, policy.publish())
    timing.tokens.append(table.num_tokens)


def batch_from(prompts: torch.Tensor, samples: list[Sample]) -> Batch:
    """One rollout of one turn for each sample."""
    rollouts = [
        Rollout(key, key, str(key), (turn_of(prompt, sample),), FinishReason.LENGTH)
        for key, (prompt, sample) in enumerate(zip(prompts, samples, strict=True))
    ]
    return batch_of(rollouts, contexts_of(rollouts))


def turn_of(prompt: torch.Tensor, sample: Sample) -> Turn:
    """The turn that the student sampled."""
    return Turn(
        prompt_ids=prompt,
        completion_ids=sample.completion_ids,
        origin=torch.full_like(sample.completion_ids, Origin.STUDENT),
        behaviour_logprob=sample.logprobs,
        weight_version=sample.weight_version,
        finish_reason=sample.finish_reason,
    )


def random_model(sizes: Sizes, *, seed: int) -> LoadedModel:
    """A Qwen3-architecture model with random weights."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=sizes.vocab_size,
        hidden_size=sizes.width,
        intermediate_size=3 * sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=max(1, sizes.width // 32),
        num_key_value_heads=max(1, sizes.width // 64),
        head_dim=32,
        max_position_embeddings=sizes.prompt_length + sizes.completion_length,
        tie_word_embeddings=True,
    )
    return LoadedModel(
        model=Qwen3ForCausalLM(config).eval(),
        tokenizer=None,
        fingerprint=f"random-{seed}",
        vocab_size=sizes.vocab_size,
        stop_ids=frozenset(),
        max_length=config.max_position_embeddings,
    )
