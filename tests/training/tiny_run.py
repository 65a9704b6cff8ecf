"""A whole run with tiny real models: a few milliseconds a step. As a program it is what the tests kill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from tests.conformance.tiny import VOCAB, tiny_model
from understudy.engines.local import LocalPolicy, LocalScorer, OptimizerConfig
from understudy.models.load import LoadedModel
from understudy.models.sampling import LocalSampler
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.objective import Objective
from understudy.protocols import SampleRequest, SamplingParams, ScoreRequest
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.training import loop
from understudy.training.columns import Trust
from understudy.training.metric_lines import read
from understudy.training.metrics import is_time
from understudy.training.progress import Display
from understudy.training.run_directory import open_run
from understudy.training.session import LoopSettings
from understudy.training.step import Parts, Progress, StepSettings

PROMPTS = ([2, 3], [4], [5, 6, 7], [8, 9])
NUM_GENERATIONS = 2
SETTINGS = LoopSettings(evaluate_every=3, checkpoint_every=2, keep_last=2)


def loaded(seed: int) -> LoadedModel:
    return LoadedModel(
        model=tiny_model(seed=seed),
        tokenizer=None,
        fingerprint=f"tiny-{seed}",
        vocab_size=VOCAB,
        stop_ids=frozenset({1}),
        max_length=64,
    )


def parts_of(
    total_steps: int,
    *,
    objective: Objective | None = None,
    trust: Trust | None = None,
    params: SamplingParams | None = None,
    learning_rate: float = 0.01,
    pause: float = 0.0,
) -> Parts:
    """A student and a teacher of different seeds, OPD by default; ``pause`` seconds are added to each step."""
    policy = LocalPolicy(
        loaded(0), optimizer=OptimizerConfig(learning_rate=learning_rate, schedule="linear"), total_updates=total_steps
    )
    sampler = LocalSampler(policy.model, vocab_size=VOCAB, max_length=64)
    params = params or SamplingParams(max_completion_length=8, stop_ids=frozenset({1}))

    def collect(step: int, progress: Progress) -> list[Rollout]:
        time.sleep(pause)
        return sampled_rollouts(sampler, params, step=step, progress=progress)

    return Parts(
        collect=collect,
        policy=policy,
        objective=objective or objective_of(OPD()),
        settings=StepSettings(seed=7, total_steps=total_steps, trust=trust or Trust()),
        scorers={"teacher": LocalScorer(loaded(1))},
        announce=lambda version: sampler.load_weights(None, version),
    )


def sampled_rollouts(sampler: LocalSampler, params: SamplingParams, *, step: int, progress: Progress) -> list[Rollout]:
    """Two attempts at each prompt; the reward is the share of even tokens. The last attempt is always empty."""
    requests = [
        SampleRequest(torch.tensor(prompt), key=group * NUM_GENERATIONS + number)
        for group, prompt in enumerate(PROMPTS)
        for number in range(NUM_GENERATIONS)
    ]
    samples = sampler.sample(requests, params, seed=7, step=step, progress=progress)
    rollouts = []
    for request, sample in zip(requests, samples, strict=True):
        turn = Turn(
            prompt_ids=request.prompt_ids,
            completion_ids=sample.completion_ids,
            origin=torch.full_like(sample.completion_ids, Origin.STUDENT),
            behaviour_logprob=sample.logprobs,
            weight_version=sample.weight_version,
            finish_reason=sample.finish_reason,
        )
        reward = float((sample.completion_ids % 2 == 0).double().mean())
        rollouts.append(
            Rollout(
                key=request.key,
                group=request.key // NUM_GENERATIONS,
                problem=f"p{request.key // NUM_GENERATIONS}",
                turns=(turn,),
                finish_reason=sample.finish_reason,
                reward=reward,
                correct=reward > 0.5,
                domain="even",
            )
        )
    last = rollouts[-1]
    rollouts[-1] = Rollout(last.key, last.group, last.problem, (), FinishReason.FAILED, domain="even")
    return rollouts


def evaluation_of(parts: Parts) -> loop.Evaluate:
    """Mean log-prob that the student gives the tokens of one fixed text."""

    def evaluate(step: int, progress: Progress) -> Mapping[str, float]:
        progress(1)
        request = ScoreRequest([torch.arange(2, 12)], torch.zeros(9, dtype=torch.int64), torch.arange(1, 10))
        return {"fixed/logprob": float(parts.policy.score(request).sampled.mean())}

    return evaluate


def go(
    path: Path,
    parts: Parts,
    *,
    resume: bool = False,
    settings: LoopSettings = SETTINGS,
    display: Display | None = None,
    reports: Sequence[loop.Report] = (),
    recipe: str = "steps: 6\n",
    differences: Callable[[str, str], list[str]] = lambda old, new: ["steps"],
) -> loop.Outcome:
    """Open the directory and run."""
    with open_run(path, recipe=recipe, environment={}, resume=resume, differences=differences) as directory:
        return loop.run(parts, settings, directory, evaluate=evaluation_of(parts), display=display, reports=reports)


def record_of(path: Path) -> tuple[list[dict[str, float | None]], list[dict[str, float | None]], list[str]]:
    """What must be equal after a cut: metrics without times, evaluations, names of rollout files."""
    metrics = [{k: v for k, v in line.items() if not is_time(k)} for line in read(path / "metrics.jsonl")]
    rollouts = sorted(file.name for file in (path / "rollouts").iterdir())
    return metrics, list(read(path / "evaluation" / "figures.jsonl")), rollouts


def weights_of(parts: Parts) -> list[torch.Tensor]:
    assert isinstance(parts.policy, LocalPolicy)
    return [p.detach().clone() for p in parts.policy.model.parameters()]


if __name__ == "__main__":
    from transformers.utils import logging

    from understudy.training.progress import display_on

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    folder, total, seconds, *rest = sys.argv[1:]
    outcome = go(
        Path(folder),
        parts_of(int(total), pause=float(seconds)),
        resume="--resume" in rest,
        display=display_on(sys.stderr),
    )
    print(f"{outcome.step} steps", flush=True)
    sys.exit(outcome.exit_status)
