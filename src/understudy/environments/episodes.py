"""Plays a batch of episodes through one sampler, turn by turn, and keeps every token exactly as it was sampled."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy import randomness
from understudy.environments.demonstrations import from_completions
from understudy.environments.episode import Episode
from understudy.errors import EnvironmentFailedError, UserMistakeError
from understudy.models import chat
from understudy.protocols import Environment, Observation, Sample, Sampler, SampleRequest, SamplingParams
from understudy.rollouts import FinishReason, Origin, Rollout, Turn

__all__ = ["Episode", "from_completions", "play"]

_log = logging.getLogger(__name__)


@dataclass
class _Play:
    """An episode under way: its environment, what it last showed, and the turns so far."""

    episode: Episode
    environment: Environment | None = None
    observation: Observation = field(default_factory=lambda: Observation(prompt=""))
    turns: list[Turn] = field(default_factory=list)
    prompt_ids: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    finish_reason: FinishReason | None = None
    error: str | None = None

    @property
    def num_drawn(self) -> int:
        """Draws of the key's stream used so far."""
        return sum(turn.completion_ids.numel() for turn in self.turns)


def play(
    tasks: Sequence[Episode],
    *,
    environment_factory: Callable[[], Environment],
    sampler: Sampler,
    params: SamplingParams,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    step: int,
    author: Origin = Origin.STUDENT,
    progress: Callable[[int], None] | None = None,
    max_turns: int = 1,
    max_length: int | None = None,
    chat_template_kwargs: Mapping[str, object] | None = None,
) -> list[Rollout]:
    """One rollout an episode, in order; all episodes still running are sampled together, turn after turn.

    An environment that has ``prepare(action)`` is told each action before any environment of the batch steps.
    An environment that raises costs its own rollout: it ends FAILED with the turns so far, no reward, and the error
    under ``extra["environment_error"]``. A reward of NaN leaves its rollout ungraded (reward None). A rollout that ran
    out of turns ends with ENVIRONMENT; otherwise it ends as its last completion did, or with LENGTH when the context
    had no room for another turn.

    Args:
        tasks: what to play. environment_factory: makes one environment an episode.
        sampler: who speaks. params: how. tokenizer: of the speaker.
        seed, step: with an episode's key they fix every draw, with its group the environment's seed.
        author: STUDENT, or TEACHER for a teacher's own samples: no behaviour log-prob, weight version -1.
        progress: told how many more completions have ended. max_turns: completions an episode may have.
        max_length: the speaker's context; a later turn whose prompt does not fit ends the rollout. Without it, and
            for the first turn, the sampler raises.
        chat_template_kwargs: passed to the chat template.
    Raises:
        UserMistakeError: a prompt that cannot be encoded or does not fit, or data a verifier cannot use.
    """
    plays = [_opened(episode, environment_factory, seed=seed, step=step) for episode in tasks]
    for _ in range(max_turns):
        for one in _running(plays):
            _encode(one, tokenizer, chat_template_kwargs, max_length)
        speaking = _running(plays)
        if not speaking:
            break
        requests = [SampleRequest(one.prompt_ids, one.episode.key, one.num_drawn) for one in speaking]
        samples = sampler.sample(requests, params, seed=seed, step=step, progress=progress)
        actions = [_take(*pair, tokenizer, author) for pair in zip(speaking, samples, strict=True)]
        for one, action in zip(speaking, actions, strict=True):
            _prepare(one, action)
        for one, action in zip(speaking, actions, strict=True):
            _answer(one, action)
    return [_rollout(one) for one in plays]


def _running(plays: Sequence[_Play]) -> list[_Play]:
    return [one for one in plays if one.finish_reason is None]


def _opened(episode: Episode, factory: Callable[[], Environment], *, seed: int, step: int) -> _Play:
    one = _Play(episode)
    words = randomness.bits(seed=seed, step=step, purpose="environment", rollout=episode.group, index=0)

    def reset() -> Observation:
        one.environment = factory()
        return one.environment.reset(episode.task, int(words) >> 1)

    _observe(one, reset)
    return one


def _observe(one: _Play, act: Callable[[], Observation]) -> None:
    with _failing_alone(one):
        one.observation = _checked(act())


@contextmanager
def _failing_alone(one: _Play) -> Iterator[None]:
    """Whatever an environment does wrong ends its own episode only, unless the user can put it right."""
    try:
        yield
    except UserMistakeError:
        raise
    except Exception as error:
        one.finish_reason, one.error = FinishReason.FAILED, f"{type(error).__name__}: {error}"
        _log.warning("rollout %d (%s): %s", one.episode.key, one.episode.task.problem, one.error)


def _checked(observation: object) -> Observation:
    if not isinstance(observation, Observation):
        raise EnvironmentFailedError(
            "an environment answered with the wrong type", got=type(observation).__name__, expected="Observation"
        )
    if not isinstance(observation.reward, float | int) or math.isinf(observation.reward):
        raise EnvironmentFailedError("an environment's reward is not a number", got=repr(observation.reward))
    return observation


def _encode(
    one: _Play,
    tokenizer: PreTrainedTokenizerBase,
    kwargs: Mapping[str, object] | None,
    max_length: int | None,
) -> None:
    observation = one.observation
    if one.turns and observation.style == "growing":
        last = one.turns[-1]
        so_far = torch.cat([last.prompt_ids, last.completion_ids])
        new = chat.encode_continuation(
            tokenizer, observation.prompt, last_id=int(so_far[-1]), chat_template_kwargs=kwargs
        )
        one.prompt_ids = torch.cat([so_far, new])
    else:
        one.prompt_ids = chat.encode_prompt(tokenizer, observation.prompt, chat_template_kwargs=kwargs)
    if one.turns and max_length is not None and one.prompt_ids.numel() >= max_length:
        one.finish_reason = FinishReason.LENGTH


def _take(one: _Play, sample: Sample, tokenizer: PreTrainedTokenizerBase, author: Origin) -> str:
    """Add the turn; what it says, as text."""
    ids = sample.completion_ids
    own = author == Origin.STUDENT
    one.turns.append(
        Turn(
            prompt_ids=one.prompt_ids,
            completion_ids=ids,
            origin=torch.full_like(ids, author),
            behaviour_logprob=sample.logprobs if own else torch.full_like(sample.logprobs, math.nan),
            weight_version=sample.weight_version if own else torch.full_like(ids, -1),
            finish_reason=sample.finish_reason,
        )
    )
    return chat.decode(tokenizer, ids)


def _prepare(one: _Play, action: str) -> None:
    """Tell an environment that wants to know what it will be asked, so that slow work runs side by side."""
    prepare = getattr(one.environment, "prepare", None)
    if prepare is not None:
        with _failing_alone(one):
            prepare(action)


def _answer(one: _Play, action: str) -> None:
    """Let the environment answer the last turn."""
    environment = one.environment
    assert environment is not None, "an episode that could not be opened does not speak"
    if one.finish_reason is None:
        _observe(one, lambda: environment.step(action))
    if one.finish_reason is None:
        last = one.turns[-1]
        one.turns[-1] = replace(last, reward=float(one.observation.reward))
        one.finish_reason = last.finish_reason if one.observation.done else None


def _rollout(one: _Play) -> Rollout:
    task, failed = one.episode.task, one.finish_reason == FinishReason.FAILED
    reward = sum(turn.reward for turn in one.turns)
    return Rollout(
        key=one.episode.key,
        group=one.episode.group,
        problem=task.problem,
        turns=tuple(one.turns),
        finish_reason=one.finish_reason or FinishReason.ENVIRONMENT,
        reward=None if failed or math.isnan(reward) else reward,
        correct=None if failed else one.observation.correct,
        domain=task.domain,
        extra=task.columns if one.error is None else {**task.columns, "environment_error": one.error},
    )
