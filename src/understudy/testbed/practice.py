"""Makes the testbed's experts: reinforcement learning by GRPO from a schooled model, on one task."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.environments.episodes import Episode, play
from understudy.environments.single_turn import SingleTurn
from understudy.models.load import LoadedModel
from understudy.models.sampling import LocalSampler
from understudy.objectives.context import PlanContext
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import sequence_mean_token_mean
from understudy.objectives.rewards import group_advantage
from understudy.objectives.terms import policy_gradient
from understudy.plans import Ratio
from understudy.protocols import SamplingParams, Task
from understudy.randomness import permutation
from understudy.rollouts import Rollout, contexts_of
from understudy.tasks import Verifier
from understudy.testbed.schooling import MICRO_BATCH_TOKENS, Progress, one_thread
from understudy.tokens import batch_of

PRACTICE_VERSION = 1
"""Raised when the same practice would give other weights: the tasks or ``practise`` changed."""


@dataclass(frozen=True)
class Practice:
    """How an expert came to be better than its base: GRPO, one update a batch, reward 1 for a right answer.

    Args:
        base: name of the model it begins as. dataset: what it practises on, its training split.
        steps: of ``prompts`` problems with ``generations`` answers each. learning_rate: AdamW's peak; linear decay.
        seed: of the answers and of the order of the problems.
    """

    base: str
    dataset: str
    steps: int
    prompts: int = 16
    generations: int = 8
    learning_rate: float = 3e-4
    seed: int = 0


@dataclass(frozen=True)
class Ground:
    """What is practised on.

    Args:
        tasks: the problems. verifier: judges answers. max_completion_length: in tokens.
    """

    tasks: Sequence[Task]
    verifier: Verifier
    max_completion_length: int


def practise(
    practice: Practice, loaded: LoadedModel, ground: Ground, *, name: str, progress: Progress | None = None
) -> LocalPolicy:
    """The base after its practice, on one thread; the same practice gives the same weights on one machine.

    Args:
        loaded: the base. ground: what it practises on. name: of the expert, for ``progress``.
    """
    with one_thread():
        policy = LocalPolicy(
            loaded,
            optimizer=OptimizerConfig(learning_rate=practice.learning_rate, schedule="linear"),
            total_updates=practice.steps,
            token_budget=MICRO_BATCH_TOKENS,
            seed=practice.seed,
        )
        write = _writer(practice, policy, ground)
        for step in range(practice.steps):
            rollouts = write(step)
            contexts = contexts_of(rollouts)
            batch = batch_of(rollouts, contexts)
            context = PlanContext(step=step, total_steps=practice.steps, seed=practice.seed)
            for plan in grpo_objective().plan(batch.table, context):
                policy.update(batch, plan)
            if progress:
                progress(name, step + 1, practice.steps)
        return policy


def grpo_objective() -> Objective:
    """Group-normalised rewards as advantages of every token, each answer weighing alike; no ratio, no reference."""
    term = policy_gradient(signal=group_advantage(), ratio=Ratio("one"))
    return Objective({"policy": term}, reduction=sequence_mean_token_mean())


def _writer(practice: Practice, policy: LocalPolicy, ground: Ground) -> Callable[[int], list[Rollout]]:
    """step -> graded answers of the live weights to the next problems."""
    loaded = policy.loaded
    tokenizer = loaded.known_tokenizer
    sampler = LocalSampler(policy.model, vocab_size=loaded.vocab_size, max_length=loaded.max_length)
    params = SamplingParams(max_completion_length=ground.max_completion_length, stop_ids=loaded.stop_ids)
    order = permutation(len(ground.tasks), seed=practice.seed, purpose="testbed/practice")
    endless = itertools.cycle(ground.tasks[place] for place in order)

    def write(step: int) -> list[Rollout]:
        chosen = list(itertools.islice(endless, practice.prompts))
        attempts = [task for task in chosen for _ in range(practice.generations)]
        sampler.load_weights(None, policy.version)
        return play(
            [Episode(task, key=key, group=key // practice.generations) for key, task in enumerate(attempts)],
            environment_factory=partial(SingleTurn, ground.verifier),
            sampler=sampler,
            params=params,
            tokenizer=tokenizer,
            seed=practice.seed,
            step=step,
            max_length=loaded.max_length,
        )

    return write
