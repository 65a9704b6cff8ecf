"""Rollouts that a teacher begins, with hand-made texts and a real tiny model: exact ids, origins, ends and draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.test_chat import EOS, IM_END, make_tokenizer
from understudy.environments.episode import Episode
from understudy.environments.episodes import play
from understudy.environments.openings import Written, fitted, prefix_of, replay_of
from understudy.environments.single_turn import SingleTurn
from understudy.environments.toy import RememberDigit, remember_digit_tasks
from understudy.errors import ContextLengthError
from understudy.models.chat import decode
from understudy.models.sampling import LocalSampler
from understudy.protocols import Environment, Observation, SamplingParams, Task
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tasks import Verdict
from understudy.tokens import batch_of

TOKENIZER = make_tokenizer()
V, MOST = len(TOKENIZER), 6
PARAMS = SamplingParams(max_completion_length=MOST, stop_ids=frozenset({EOS, IM_END}))
STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
S, T = int(Origin.STUDENT), int(Origin.TEACHER)


def ids_of(text: str, *, stop: bool = False) -> Tensor:
    return torch.tensor([TOKENIZER.convert_tokens_to_ids(c) for c in text] + [EOS] * stop)


def text(ids: Tensor, reason: FinishReason = STOP) -> Turn:
    """A teacher's stored completion."""
    nothing = torch.full(ids.shape, math.nan)
    return Turn(ids[:0], ids, torch.full_like(ids, T), nothing, torch.full_like(ids, -1), reason)


def played(
    sampler: LocalSampler, episodes: Sequence[Episode], factory: Callable[[], Environment] | None = None, **options: Any
) -> list[Rollout]:
    settings = {"seed": 1, "step": 2, "params": PARAMS} | options
    factory = factory or (lambda: SingleTurn(None))
    return play(episodes, environment_factory=factory, sampler=sampler, tokenizer=TOKENIZER, **settings)


def begun(opening: tuple[Written, ...] | None, *, count: int = 8) -> list[Episode]:
    return [Episode(Task(f"t{k}", "abc"), key=k, group=k // 2, opening=opening) for k in range(count)]


def turn_of(rollout: Rollout) -> Turn:
    (turn,) = rollout.turns
    return turn


# ------------------------------------------------------------------------------------------ pieces


def test_a_prefix_ends_only_where_its_text_does() -> None:
    stored = text(ids_of("abcd", stop=True))
    assert prefix_of(stored, 0) == prefix_of(stored, -1) == ()
    for length in (1, 4):
        (given,) = prefix_of(stored, length)
        assert (given.ids.tolist(), given.finish_reason) == (stored.completion_ids[:length].tolist(), None)
    for length in (5, 6, 99):
        (given,) = prefix_of(stored, length)
        assert (given.ids.tolist(), given.finish_reason) == (stored.completion_ids.tolist(), STOP)
    (cut,) = prefix_of(text(ids_of("abcd"), LENGTH), 4)
    assert cut.finish_reason is LENGTH


def test_what_does_not_fit_ends_with_length() -> None:
    whole, open_ended = Written(ids_of("abc"), STOP), Written(ids_of("abc"))
    assert fitted(whole, 3) is whole
    assert fitted(open_ended, 4) is open_ended
    for given, room in ((whole, 2), (open_ended, 3), (open_ended, 2)):
        found = fitted(given, room)
        assert (found.ids.tolist(), found.finish_reason) == (ids_of("abc")[:room].tolist(), LENGTH)


def test_a_replay_repeats_whole_turns() -> None:
    turns = [text(ids_of("a", stop=True)), text(ids_of("bc"), LENGTH)]
    assert [(one.ids.tolist(), one.finish_reason) for one in replay_of(turns)] == [
        (ids_of("a", stop=True).tolist(), STOP),
        (ids_of("bc").tolist(), LENGTH),
    ]
    assert replay_of([]) == ()


# ------------------------------------------------------------------------------------------ prefixes


def test_nothing_given_is_the_rollout_of_always(sampler: LocalSampler) -> None:
    plain = played(sampler, begun(None))
    for one, other in zip(played(sampler, begun(())), plain, strict=True):
        assert_same_turn(turn_of(one), turn_of(other))
        assert (one.finish_reason, one.num_given, other.num_given) == (other.finish_reason, 0, None)


def assert_same_turn(one: Turn, other: Turn) -> None:
    for name in ("prompt_ids", "completion_ids", "origin", "behaviour_logprob", "weight_version"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.finish_reason == other.finish_reason


def test_the_student_goes_on_from_the_prefix(sampler: LocalSampler) -> None:
    prefix = ids_of("hij")
    rollouts = played(sampler, begun((Written(prefix),), count=40))
    for rollout in rollouts:
        turn = turn_of(rollout)
        own = turn.completion_ids[3:]
        assert turn.completion_ids[:3].tolist() == prefix.tolist()
        assert 1 <= own.numel() <= MOST - 3, "the whole stays within the limit"
        assert turn.origin.tolist() == [T] * 3 + [S] * own.numel()
        assert turn.weight_version.tolist() == [-1] * 3 + [3] * own.numel()
        assert turn.behaviour_logprob[:3].isnan().all()
        assert (int(own[-1]) in PARAMS.stop_ids) == (turn.finish_reason == STOP)
        assert rollout.num_given == 3
        with torch.no_grad():
            ids = torch.cat([turn.prompt_ids, turn.completion_ids])
            logprobs = sampler.model.eval()(input_ids=ids[None]).logits[0].log_softmax(-1)
        expected = logprobs[-1 - own.numel() : -1].gather(1, own[:, None])[:, 0]
        torch.testing.assert_close(turn.behaviour_logprob[3:], expected, atol=1e-5, rtol=0)
    assert {r.finish_reason for r in rollouts} == {STOP, LENGTH}
    assert len({tuple(turn_of(r).completion_ids.tolist()) for r in rollouts}) > 20


def test_a_prefix_of_the_students_own_words_changes_nothing_that_follows(sampler: LocalSampler) -> None:
    """Every token has the draw of its place in the rollout, whoever wrote before it."""
    for rollout, episode in zip(played(sampler, begun(None)), begun(None), strict=True):
        turn = turn_of(rollout)
        for length in range(1, turn.completion_ids.numel()):
            again = played(sampler, [replace(episode, opening=(Written(turn.completion_ids[:length]),))])[0]
            assert turn_of(again).completion_ids.tolist() == turn.completion_ids.tolist()
            assert turn_of(again).finish_reason == turn.finish_reason


@pytest.mark.parametrize("reason", [STOP, LENGTH])
def test_a_text_that_has_ended_leaves_the_student_nothing(sampler: LocalSampler, reason: FinishReason) -> None:
    whole = ids_of("hi", stop=True)
    told: list[int] = []
    rollouts = played(sampler, begun((Written(whole, reason),)), progress=told.append)
    for rollout in rollouts:
        turn = turn_of(rollout)
        assert (turn.completion_ids.tolist(), turn.origin.tolist()) == (whole.tolist(), [T] * 3)
        assert (rollout.finish_reason, turn.finish_reason, rollout.num_given) == (reason, reason, 3)
        assert turn.behaviour_logprob.isnan().all() and turn.weight_version.tolist() == [-1] * 3
    assert sum(told) == len(rollouts)


def test_texts_longer_than_a_completion_may_be_are_cut(sampler: LocalSampler) -> None:
    for reason in (None, STOP):
        for length in (MOST, MOST + 3):
            given = Written(ids_of("abcdefghi"[:length]), reason)
            rollout = played(sampler, begun((given,)))[0]
            assert turn_of(rollout).completion_ids.tolist() == given.ids[:MOST].tolist()
            assert set(turn_of(rollout).origin.tolist()) == {T}
            expected = STOP if reason is STOP and length == MOST else LENGTH
            assert rollout.finish_reason is expected


def test_the_context_ends_a_prefix_too(sampler: LocalSampler) -> None:
    episode = Episode(Task("t", "a" * 60), 0, 0, opening=(Written(ids_of("hijk")),))  # 61 ids with the opening one
    (rollout,) = played(sampler, [episode], max_length=64)
    assert turn_of(rollout).completion_ids.tolist() == ids_of("hij").tolist()
    assert rollout.finish_reason is LENGTH
    (rollout,) = played(sampler, [replace(episode, opening=(Written(ids_of("hi")),))], max_length=64)
    assert turn_of(rollout).origin.tolist() == [T, T, S]
    with pytest.raises(ContextLengthError):
        played(sampler, [replace(episode, task=Task("t", "a" * 63))], max_length=64)


def test_the_verifier_reads_the_whole_completion(sampler: LocalSampler) -> None:
    heard: list[str] = []

    def verifier(completion: str, _: Mapping[str, object]) -> Verdict:
        heard.append(completion)
        return Verdict(reward=1.0, correct=True, parsed=completion if len(heard) % 2 else None)

    rollouts = played(sampler, begun((Written(ids_of("hij")),)), lambda: SingleTurn(verifier))
    assert all(completion.startswith("hij") for completion in heard)
    assert heard == [decode(TOKENIZER, turn_of(r).completion_ids) for r in rollouts]
    assert [r.parsed for r in rollouts] == [True, False] * 4
    assert {r.parsed for r in played(sampler, begun(None))} == {None}, "nobody looked"


def test_mixed_batches_keep_their_order(sampler: LocalSampler) -> None:
    openings = [None, (), (Written(ids_of("h")),), (Written(ids_of("hi"), STOP),)] * 3
    episodes = [replace(e, opening=o) for e, o in zip(begun(None, count=12), openings, strict=True)]
    together = played(sampler, episodes)
    for episode, rollout in zip(episodes, together, strict=True):
        alone = played(sampler, [episode])[0]
        assert turn_of(alone).completion_ids.tolist() == turn_of(rollout).completion_ids.tolist()
        assert turn_of(alone).origin.tolist() == turn_of(rollout).origin.tolist()


# ------------------------------------------------------------------------------------------ replays

TASKS = remember_digit_tasks()[:6]
STYLES = pytest.mark.parametrize("style", ["fresh", "growing"])


def said(text: str) -> Written:
    return Written(ids_of(text, stop=True), STOP)


@STYLES
def test_replayed_turns_act_in_the_environment_and_the_student_goes_on(sampler: LocalSampler, style: Any) -> None:
    episodes = [Episode(task, key=k, group=k, opening=(said(str(k)),)) for k, task in enumerate(TASKS)]
    rollouts = played(sampler, episodes, lambda: RememberDigit(style), max_turns=2)
    for number, rollout in enumerate(rollouts):
        first, second = rollout.turns
        assert first.completion_ids.tolist() == said(str(number)).ids.tolist()
        assert (set(first.origin.tolist()), set(second.origin.tolist())) == ({T}, {S})
        assert first.reward == 0.5, "the teacher said the right digit"
        assert decode(TOKENIZER, second.prompt_ids).endswith(f"said {number} ok:")
        assert rollout.num_given == first.completion_ids.numel()
    contexts = contexts_of(rollouts)
    assert len(contexts) == (12 if style == "fresh" else 6)
    table = batch_of(rollouts, contexts).table
    assert table["behaviour_logprob"].isfinite().equal(table["origin"] == S)


@STYLES
def test_replaying_ones_own_first_turn_gives_the_same_second(sampler: LocalSampler, style: Any) -> None:
    episodes = [Episode(task, key=k, group=k) for k, task in enumerate(TASKS)]
    plain = played(sampler, episodes, lambda: RememberDigit(style), max_turns=2)
    repeated = [replace(e, opening=replay_of(r.turns[:1])) for e, r in zip(episodes, plain, strict=True)]
    for one, other in zip(played(sampler, repeated, lambda: RememberDigit(style), max_turns=2), plain, strict=True):
        assert one.turns[0].completion_ids.tolist() == other.turns[0].completion_ids.tolist()
        assert_same_turn(one.turns[1], other.turns[1])
        assert (one.reward, one.correct) == (other.reward, other.correct)


def test_an_episode_may_be_replayed_whole(sampler: LocalSampler) -> None:
    episode = Episode(TASKS[3], 0, 0, opening=(said("3"), said("3")))
    (rollout,) = played(sampler, [episode], RememberDigit, max_turns=2)
    assert (rollout.reward, rollout.correct, rollout.finish_reason) == (1.0, True, STOP)
    assert {int(o) for turn in rollout.turns for o in turn.origin} == {T}


def test_turns_that_are_left_over_or_do_not_fit_are_not_played(sampler: LocalSampler) -> None:
    episode = Episode(TASKS[3], 0, 0, opening=(said("3"), said("3"), said("3")))
    (rollout,) = played(sampler, [episode], RememberDigit, max_turns=1)
    assert (len(rollout.turns), rollout.finish_reason) == (1, FinishReason.ENVIRONMENT)
    assert len(played(sampler, [episode], RememberDigit, max_turns=9)[0].turns) == 2, "the episode is over"
    longer = replace(episode, opening=(Written(ids_of("3333333"), STOP), said("3")))
    (rollout,) = played(sampler, [longer], RememberDigit, max_turns=2)
    assert rollout.turns[0].finish_reason is LENGTH
    assert set(rollout.turns[1].origin.tolist()) == {S}, "what followed in the teacher's episode does not follow here"


def test_a_prefix_begins_the_first_turn_only(sampler: LocalSampler) -> None:
    episode = Episode(TASKS[3], 0, 0, opening=(Written(ids_of("3")),))
    (rollout,) = played(sampler, [episode], RememberDigit, max_turns=2)
    assert rollout.turns[0].origin.tolist()[:2] == [T, S]
    assert set(rollout.turns[1].origin.tolist()) == {S}


# ------------------------------------------------------------------------------------------ worlds


class Seeded(RememberDigit):
    """Keeps the seeds it was reset with."""

    seeds: list[int]

    def reset(self, task: Task, seed: int) -> Observation:
        self.seeds.append(seed)
        return super().reset(task, seed)


def seeds_met(sampler: LocalSampler, episodes: Sequence[Episode], *, step: int) -> list[int]:
    seeds: list[int] = []

    def factory() -> Environment:
        environment = Seeded()
        environment.seeds = seeds
        return environment

    played(sampler, episodes, factory, step=step)
    return seeds


def test_a_world_is_met_again_at_any_step_and_in_any_group(sampler: LocalSampler) -> None:
    episodes = [Episode(TASKS[k % 2], key=k, group=k, world=k % 2) for k in range(4)]
    first = seeds_met(sampler, episodes, step=0)
    assert first == seeds_met(sampler, episodes, step=9)
    assert first[:2] == first[2:] and first[0] != first[1]
    plain = [replace(episode, world=None) for episode in episodes]
    assert len({*seeds_met(sampler, plain, step=0), *seeds_met(sampler, plain, step=9)}) == 8
