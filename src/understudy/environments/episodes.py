"""Plays a batch of episodes through one sampler, turn by turn, and keeps every token exactly as it was sampled."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy import randomness
from understudy.environments.agents import DEED, TALLY, fields_of
from understudy.environments.demonstrations import from_completions
from understudy.environments.episode import Episode
from understudy.environments.openings import NOTHING, Written, fitted, rest_of, turn_of
from understudy.errors import DiskError, EnvironmentFailedError, UserMistakeError
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
    given: Written = NOTHING
    num_given: int = 0
    to_come: Sequence[Written] = ()
    finish_reason: FinishReason | None = None
    error: str | None = None

    def request(self, params: SamplingParams) -> SampleRequest:
        """For what the speaker is to say next."""
        start = sum(turn.completion_ids.numel() for turn in self.turns)
        return rest_of(self.prompt_ids, self.given, params, key=self.episode.key, start_index=start)


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
    ended: Callable[[Rollout], None] | None = None,
    max_turns: int = 1,
    max_length: int | None = None,
    chat_template_kwargs: Mapping[str, object] | None = None,
) -> list[Rollout]:
    """One rollout an episode, in order; all episodes still running are sampled together, turn after turn.

    An environment that has ``measure(num_tokens, max_length)`` is told how long its context has become; one that has
    ``prepare(action)`` is told each action before any environment of the batch steps.
    An environment that raises costs its own rollout: it ends FAILED with the turns so far, no reward, and the error
    under ``extra["environment_error"]``. A reward of NaN leaves its rollout ungraded (reward None). A rollout that ran
    out of turns ends with ENVIRONMENT; otherwise it ends as its last completion did, or with LENGTH when the context
    had no room for another turn.

    Where an episode has an opening, its completions begin with it: those tokens are TEACHER's, without a behaviour
    log-prob, and the speaker writes the rest within ``params.max_completion_length``, or nothing where the opening
    has an end or leaves no room.

    Args:
        tasks: what to play. environment_factory: makes one environment an episode.
        sampler: who speaks. params: how. tokenizer: of the speaker.
        seed, step: with an episode's key they fix every draw, with its group the environment's seed.
        author: STUDENT, or TEACHER for a teacher's own samples: no behaviour log-prob, weight version -1.
        progress: told how many more completions have ended. max_turns: completions an episode may have.
        ended: given rollouts while others still go on, each at most once: with its last possible completion, before
            the environment has answered it (ungraded), or when the environment ends it.
        max_length: the speaker's context; a later turn whose prompt does not fit ends the rollout. Without it, and
            for the first turn, the sampler raises.
        chat_template_kwargs: passed to the chat template.
    Raises:
        UserMistakeError: a prompt that cannot be encoded or does not fit, or data a verifier cannot use.
        DiskError: an environment that keeps files could not write them.
    """
    plays = [_opened(episode, environment_factory, seed=seed, step=step) for episode in tasks]
    for number in range(max_turns):
        _encode(_running(plays), tokenizer, chat_template_kwargs, max_length)
        for one in _running(plays):
            _begin(one, params, max_length)
        running = _running(plays)
        if not running:
            break
        is_last = number == max_turns - 1
        told = partial(_tell, ended, author) if ended and is_last else None
        samples = _spoken(running, sampler, params, seed=seed, step=step, progress=progress, told=told)
        actions = [_take(*pair, tokenizer, author) for pair in zip(running, samples, strict=True)]
        for one, action in zip(running, actions, strict=True):
            _prepare(one, action, max_length)
        for one, action in zip(running, actions, strict=True):
            _answer(one, action)
            if ended and not is_last and one.finish_reason is not None:
                ended(_rollout(one))
    return [_rollout(one) for one in plays]


def _running(plays: Sequence[_Play]) -> list[_Play]:
    return [one for one in plays if one.finish_reason is None]


def _spoken(
    plays: Sequence[_Play],
    sampler: Sampler,
    params: SamplingParams,
    *,
    seed: int,
    step: int,
    progress: Callable[[int], None] | None,
    told: Callable[[_Play, Sample], None] | None,
) -> list[Sample | None]:
    """What the speaker says in each, all together; None where what was given had an end of its own."""
    speaking = [number for number, one in enumerate(plays) if one.given.finish_reason is None]
    spoken: list[Sample | None] = [None] * len(plays)
    if progress and len(speaking) < len(plays):
        progress(len(plays) - len(speaking))
    if speaking:
        requests = [plays[number].request(params) for number in speaking]
        sample = partial(sampler.sample, requests, params, seed=seed, step=step, progress=progress)
        samples = sample(ended=lambda place, one: told(plays[speaking[place]], one)) if told else sample()
        for number, one in zip(speaking, samples, strict=True):
            spoken[number] = one
    return spoken


def _tell(ended: Callable[[Rollout], None], author: Origin, one: _Play, sample: Sample) -> None:
    """Tell of a rollout whose last completion this is."""
    turn = replace(turn_of(one.prompt_ids, one.given, sample, author=author), shown=one.observation.prompt)
    episode = one.episode
    ended(
        Rollout(
            key=episode.key,
            group=episode.group,
            problem=episode.task.problem,
            turns=(*one.turns, turn),
            finish_reason=turn.finish_reason,
            domain=episode.task.domain,
            extra=episode.task.columns,
            num_given=None if episode.opening is None else one.num_given + one.given.num_given,
        )
    )


def _opened(episode: Episode, factory: Callable[[], Environment], *, seed: int, step: int) -> _Play:
    one = _Play(episode, to_come=episode.opening or ())
    step, world = (step, episode.group) if episode.world is None else (0, episode.world)
    words = randomness.bits(seed=seed, step=step, purpose="environment", rollout=world, index=0)

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
    except (UserMistakeError, DiskError):
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
    plays: Sequence[_Play],
    tokenizer: PreTrainedTokenizerBase,
    kwargs: Mapping[str, object] | None,
    max_length: int | None,
) -> None:
    """The next prompt of each, its context's ids as they stand where it goes on; what does not fit ends here."""
    growing = [one for one in plays if one.turns and one.observation.style == "growing"]
    fresh = [one for one in plays if not one.turns or one.observation.style != "growing"]
    so_far = [torch.cat([one.turns[-1].prompt_ids, one.turns[-1].completion_ids]) for one in growing]
    prompts, last_ids = [one.observation.prompt for one in growing], [int(ids[-1]) for ids in so_far]
    added = chat.encode_continuations(tokenizer, prompts, last_ids=last_ids, chat_template_kwargs=kwargs)
    for one, before, new in zip(growing, so_far, added, strict=True):
        one.prompt_ids = torch.cat([before, new])
    opened = chat.encode_prompts(tokenizer, [one.observation.prompt for one in fresh], chat_template_kwargs=kwargs)
    for one, ids in zip(fresh, opened, strict=True):
        one.prompt_ids = ids
    for one in plays:
        if one.turns and max_length is not None and one.prompt_ids.numel() >= max_length:
            one.finish_reason = FinishReason.LENGTH


def _begin(one: _Play, params: SamplingParams, max_length: int | None) -> None:
    """Take up what is given of the next completion; what does not fit its room ends it, and what was to come."""
    given, room = (*one.to_come, NOTHING)[0], params.max_completion_length
    if max_length is not None:
        room = min(room, max_length - one.prompt_ids.numel())
    # A prompt that leaves no room at all is the sampler's to refuse.
    one.given = fitted(given, room) if given.ids.numel() and room > 0 else NOTHING
    one.to_come = one.to_come[1:] if one.given is given else ()


def _take(one: _Play, sample: Sample | None, tokenizer: PreTrainedTokenizerBase, author: Origin) -> str:
    """Add the turn; what it says, as text."""
    turn = turn_of(one.prompt_ids, one.given, sample, author=author)
    one.turns.append(replace(turn, shown=one.observation.prompt))
    one.num_given += one.given.num_given
    return chat.decode(tokenizer, one.turns[-1].completion_ids)


def _prepare(one: _Play, action: str, max_length: int | None) -> None:
    """Tell an environment that wants to know how long its context is, and what it will be asked.

    Slow work then runs side by side.
    """
    measure, prepare = (getattr(one.environment, name, None) for name in ("measure", "prepare"))
    last = one.turns[-1]
    with _failing_alone(one):
        if measure is not None:
            measure(last.prompt_ids.numel() + last.completion_ids.numel(), max_length)
        if prepare is not None:
            prepare(action)


def _answer(one: _Play, action: str) -> None:
    """Let the environment answer the last turn."""
    environment = one.environment
    assert environment is not None, "an episode that could not be opened does not speak"
    if one.finish_reason is None:
        _observe(one, lambda: environment.step(action))
    if one.finish_reason is None:
        last, deed = one.turns[-1], one.observation.info.get(DEED)
        one.turns[-1] = replace(last, reward=float(one.observation.reward), deed=fields_of(deed))
        one.finish_reason = last.finish_reason if one.observation.done else None


def _extra(one: _Play) -> Mapping[str, object]:
    """The task's columns, with what the environment said of the attempt at its end."""
    columns, info = one.episode.task.columns, one.observation.info
    told: dict[str, object] = {}
    feedback, tally = info.get("feedback"), fields_of(info.get(TALLY))
    if isinstance(feedback, str):
        told["feedback"] = feedback
    if tally is not None:
        told[TALLY] = tally
    if one.error is not None:
        told["environment_error"] = one.error
    return {**columns, **told} if told else columns


def _rollout(one: _Play) -> Rollout:
    task, failed = one.episode.task, one.finish_reason == FinishReason.FAILED
    info = one.observation.info
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
        extra=_extra(one),
        parsed=None if failed or "parsed" not in info else info["parsed"] is not None,
        num_given=None if one.episode.opening is None else one.num_given,
    )
