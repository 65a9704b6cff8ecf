"""Puts questions to a speaker with the samplers that training and evaluation have, and keeps what it said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from understudy.environments.episodes import Episode, play
from understudy.errors import CapabilityError
from understudy.evaluation.endpoint import Drawing, Endpoint, Reply
from understudy.evaluation.examination import Examinee
from understudy.models.chat import decode
from understudy.protocols import SamplingParams, Scorer, ScoreRequest, Task
from understudy.rollouts import FinishReason, Rollout, Turn
from understudy.sampling.answers import Answer, Said
from understudy.sampling.questions import Questions
from understudy.sampling.speakers import Speaker

Progress = Callable[[int], None]


def answered(
    questions: Questions, speaker: Speaker, *, seed: int, progress: Progress | None = None
) -> list[list[Answer]]:
    """Every problem's answers, ``num_samples`` each; the same seed gives two models of one tokenizer the same draws.

    Raises:
        UserMistakeError: a prompt has no room, or cannot be asked in this form.
        CapabilityError: a server is asked for more than one turn. ServerDownError: nobody is there.
    """
    tasks = questions.put_to(speaker)
    attempts = [task for task in tasks for _ in range(questions.num_samples)]
    if isinstance(speaker.voice, Endpoint):
        found = _of_server(questions, speaker.label, speaker.voice, attempts, seed=seed, progress=progress)
    else:
        found = _of_model(questions, speaker.label, speaker.voice, attempts, seed=seed, progress=progress)
    return [found[start : start + questions.num_samples] for start in range(0, len(found), questions.num_samples)]


def _of_model(
    questions: Questions,
    label: str,
    examinee: Examinee,
    attempts: Sequence[Task],
    *,
    seed: int,
    progress: Progress | None,
) -> list[Answer]:
    rollouts = play(
        [Episode(task, key=key, group=key // questions.num_samples) for key, task in enumerate(attempts)],
        environment_factory=questions.world,
        sampler=examinee.sampler,
        params=SamplingParams(
            max_completion_length=questions.max_tokens,
            temperature=questions.temperature,
            top_p=questions.top_p,
            top_k=questions.top_k,
            stop_ids=examinee.stop_ids,
        ),
        tokenizer=examinee.tokenizer,
        seed=seed,
        step=0,
        progress=progress,
        max_turns=questions.max_turns,
        max_length=examinee.max_length,
        chat_template_kwargs=examinee.chat_template_kwargs,
    )
    assert examinee.scorer is not None
    logprobs = iter(_mean_logprobs(examinee.scorer, [turn for one in rollouts for turn in one.turns]))
    return [
        Answer(
            model=label,
            problem=rollout.problem,
            attempt=key % questions.num_samples,
            turns=[
                _said(turn, decode(examinee.tokenizer, turn.completion_ids), next(logprobs)) for turn in rollout.turns
            ],
            reward=rollout.reward,
            correct=rollout.correct,
            error=_error_of(rollout),
        )
        for key, rollout in enumerate(rollouts)
    ]


def _said(turn: Turn, text: str, mean_logprob: float | None) -> Said:
    shown = turn.shown if turn.shown is not None else ""
    return Said(shown, text, turn.completion_ids.numel(), turn.finish_reason, mean_logprob)


def _error_of(rollout: Rollout) -> str | None:
    if rollout.finish_reason is not FinishReason.FAILED:
        return None
    return str(rollout.extra.get("environment_error", "it failed"))


def _mean_logprobs(scorer: Scorer, turns: Sequence[Turn]) -> list[float | None]:
    """Mean log-prob (nats) of each completion by the whole distribution at temperature 1; None of an empty one."""
    contexts = [torch.cat([turn.prompt_ids, turn.completion_ids]) for turn in turns]
    sizes = [turn.completion_ids.numel() for turn in turns]
    if not sum(sizes):
        return [None] * len(turns)
    request = ScoreRequest(
        contexts=contexts,
        context=torch.repeat_interleave(torch.arange(len(turns)), torch.tensor(sizes)),
        position=torch.cat(
            [torch.arange(one.numel() - size, one.numel()) for one, size in zip(contexts, sizes, strict=True)]
        ),
    )
    return [
        float(part.double().mean()) if part.numel() else None for part in scorer.score(request).sampled.split(sizes)
    ]


def _of_server(
    questions: Questions,
    label: str,
    endpoint: Endpoint,
    attempts: Sequence[Task],
    *,
    seed: int,
    progress: Progress | None,
) -> list[Answer]:
    if questions.max_turns > 1:
        raise CapabilityError(
            "a server is asked one thing at a time here, and these problems take several turns",
            remedy="Sample the model in this process, or give prompts of your own.",
        )
    replies: dict[int, Reply] = {}

    def ended(number: int, reply: Reply) -> None:
        replies[number] = reply
        if progress:
            progress(1)

    drawing = Drawing(questions.temperature, questions.top_p, questions.max_tokens)
    endpoint.replies({key: task.prompt for key, task in enumerate(attempts)}, drawing, seed=seed, ended=ended)
    return [
        _replied(questions, label, task, replies[key], attempt=key % questions.num_samples)
        for key, task in enumerate(attempts)
    ]


def _replied(questions: Questions, label: str, task: Task, reply: Reply, *, attempt: int) -> Answer:
    if reply.error is not None:
        return Answer(label, task.problem, attempt, (), error=reply.error)
    said = Said(task.prompt, reply.text, reply.num_tokens or None, reply.finish_reason)
    world = questions.world()
    world.reset(task, 0)
    seen = world.step(reply.text)
    reward = None if math.isnan(seen.reward) else float(seen.reward)
    return Answer(label, task.problem, attempt, (said,), reward=reward, correct=seen.correct)
