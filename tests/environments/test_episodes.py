"""Batches of episodes with a real tiny model: exact ids, contexts, rewards, failures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.models.test_chat import EOS, IM_END, make_tokenizer
from understudy.environments.episodes import Episode, from_completions, play
from understudy.environments.single_turn import SingleTurn
from understudy.environments.toy import RememberDigit, remember_digit_tasks
from understudy.errors import ContextLengthError, DataError, ShapeError
from understudy.models.chat import decode
from understudy.models.sampling import LocalSampler
from understudy.protocols import Environment, Observation, SamplingParams, Task
from understudy.rollouts import FinishReason, Origin, Rollout, contexts_of
from understudy.tokens import batch_of

TOKENIZER = make_tokenizer()
V = len(TOKENIZER)
PARAMS = SamplingParams(max_completion_length=6, stop_ids=frozenset({EOS, IM_END}))
EPISODES = [Episode(task, key=40 + k, group=k // 2) for k, task in enumerate(remember_digit_tasks()[:6])]


def played(sampler: LocalSampler, factory: Callable[[], Environment], episodes: Any = EPISODES, **options: Any) -> Any:
    settings = {"seed": 1, "step": 2, "max_turns": 2, "params": PARAMS} | options
    return play(episodes, environment_factory=factory, sampler=sampler, tokenizer=TOKENIZER, **settings)


class Scripted:
    """Shows what its script says, whatever the action."""

    def __init__(self, *script: Observation | Exception) -> None:
        self._script = iter(script)

    def _next(self) -> Observation:
        item = next(self._script)
        if isinstance(item, Exception):
            raise item
        return item

    def reset(self, task: Task, seed: int) -> Observation:
        return self._next()

    def step(self, action: str) -> Observation:
        return self._next()


def test_fresh_turns_keep_exact_ids_and_make_a_context_each(sampler: LocalSampler) -> None:
    rollouts = played(sampler, RememberDigit)
    assert [(r.key, r.group, r.problem) for r in rollouts] == [(e.key, e.group, e.task.problem) for e in EPISODES]
    for rollout, episode in zip(rollouts, EPISODES, strict=True):
        environment = RememberDigit()
        observation = environment.reset(episode.task, 0)
        for turn in rollout.turns:
            assert decode(TOKENIZER, turn.prompt_ids) == observation.prompt
            observation = environment.step(decode(TOKENIZER, turn.completion_ids))
            assert turn.reward == observation.reward
            assert set(turn.origin.tolist()) == {Origin.STUDENT}
            assert set(turn.weight_version.tolist()) == {3}
        assert len(rollout.turns) == 2
        assert rollout.reward == sum(turn.reward for turn in rollout.turns)
        assert rollout.correct is observation.correct
        assert rollout.finish_reason == rollout.turns[-1].finish_reason
        assert rollout.extra == episode.task.columns
    contexts = contexts_of(rollouts)
    assert len(contexts) == 12
    assert all(len(set(context.turn.tolist())) == 1 for context in contexts)


def test_growing_turns_make_one_context(sampler: LocalSampler) -> None:
    rollouts = played(sampler, lambda: RememberDigit("growing"))
    contexts = contexts_of(rollouts)
    assert len(contexts) == 6
    for rollout, context in zip(rollouts, contexts, strict=True):
        first, second = rollout.turns
        start = first.prompt_ids.numel() + first.completion_ids.numel()
        assert second.prompt_ids[:start].tolist() == [*first.prompt_ids.tolist(), *first.completion_ids.tolist()]
        told = second.prompt_ids[start:]
        said = decode(TOKENIZER, first.completion_ids)[:1]
        assert decode(TOKENIZER, told).startswith(f"said {said}")
        assert context.ids.tolist() == [*second.prompt_ids.tolist(), *second.completion_ids.tolist()]
        assert set(context.origin[start : start + told.numel()].tolist()) == {Origin.ENVIRONMENT}
        assert context.origin.tolist().count(Origin.STUDENT) == sum(t.completion_ids.numel() for t in rollout.turns)


def test_behaviour_log_probs_equal_a_dense_forward_in_both_styles(sampler: LocalSampler) -> None:
    for style in ("fresh", "growing"):
        rollouts = played(sampler, lambda style=style: RememberDigit(style))
        batch = batch_of(rollouts, contexts_of(rollouts))
        table = batch.table
        for number, context in enumerate(batch.contexts):
            with torch.no_grad():
                logprobs = sampler.model.eval()(input_ids=context.ids[None]).logits[0].log_softmax(-1)
            mine = table["context"] == number
            position, token = table["position"][mine], table["token_id"][mine]
            assert position.numel() > 0
            torch.testing.assert_close(
                table["behaviour_logprob"][mine], logprobs[position - 1, token], atol=1e-5, rtol=0
            )


def test_growing_chats_go_on_by_the_template(sampler: LocalSampler) -> None:
    ask = Observation(prompt=[{"role": "user", "content": "a"}], style="growing")
    more = Observation(prompt=[{"role": "user", "content": "b"}], style="growing")
    done = Observation(prompt="", done=True, reward=1.0, correct=True)
    rollout = played(sampler, lambda: Scripted(ask, more, done), EPISODES[:1])[0]
    text = decode(TOKENIZER, contexts_of([rollout])[0].ids, skip_special_tokens=False)
    said = [decode(TOKENIZER, turn.completion_ids) for turn in rollout.turns]
    assert text.startswith(f"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{said[0]}")
    assert "<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n" in text
    assert len(contexts_of([rollout])) == 1


def test_later_turns_use_new_draws(sampler: LocalSampler) -> None:
    """The same prompt in both turns: with the same draws the completions would be equal."""
    same = Observation(prompt="abc")
    rollouts = played(sampler, lambda: Scripted(same, same, replace(same, done=True)))
    assert any(r.turns[0].completion_ids.tolist() != r.turns[1].completion_ids.tolist() for r in rollouts)
    alone = played(sampler, lambda: Scripted(same, same, replace(same, done=True)), EPISODES[3:4])[0]
    assert _ids(alone) == _ids(rollouts[3]), "nor do they depend on the batch"


def test_a_raising_environment_costs_one_rollout(sampler: LocalSampler) -> None:
    class Fragile(RememberDigit):
        def reset(self, task: Task, seed: int) -> Observation:
            self.number = task.columns["digit"]
            if self.number == 1:
                raise OSError("no display")
            return super().reset(task, seed)

        def step(self, action: str) -> Observation:
            if self.number == 3:
                raise ValueError("broken pipe")
            return "done" if self.number == 4 else super().step(action)  # type: ignore[return-value]

    sound, fragile = played(sampler, RememberDigit), played(sampler, Fragile)
    for number, (rollout, expected) in enumerate(zip(fragile, sound, strict=True)):
        if number not in (1, 3, 4):
            assert _ids(rollout) == _ids(expected)
            continue
        assert (rollout.finish_reason, rollout.reward, rollout.correct) == (FinishReason.FAILED, None, None)
        assert len(rollout.turns) == (0 if number == 1 else 1)
        assert rollout.extra["digit"] == number
    errors = [str(fragile[n].extra["environment_error"]) for n in (1, 3, 4)]
    assert errors[:2] == ["OSError: no display", "ValueError: broken pipe"]
    assert "wrong type; got str" in errors[2]
    assert batch_of(fragile, contexts_of(fragile)).table.num_rollouts == 6


def test_a_users_mistake_is_not_an_environments_failure(sampler: LocalSampler) -> None:
    def verifier(completion: str, columns: Any) -> Any:
        raise DataError("no column 'answer'")

    episodes = [Episode(Task("a", "a"), 0, 0)]
    with pytest.raises(DataError, match="no column"):
        played(sampler, lambda: SingleTurn(verifier), episodes)


def test_rollouts_that_run_out_of_turns(sampler: LocalSampler) -> None:
    rollout = played(sampler, lambda: Scripted(*[Observation(prompt="a", reward=0.25)] * 9), EPISODES[:1], max_turns=4)[
        0
    ]
    assert (len(rollout.turns), rollout.finish_reason, rollout.reward) == (4, FinishReason.ENVIRONMENT, 1.0)
    assert rollout.correct is None


def test_a_context_that_is_full_ends_a_growing_rollout(sampler: LocalSampler) -> None:
    script = [Observation(prompt="0123456789" * 2, style="growing")] * 9
    rollouts = played(sampler, lambda: Scripted(*script), max_turns=9, max_length=64)
    assert all(r.finish_reason == FinishReason.LENGTH and 1 < len(r.turns) < 4 for r in rollouts)
    with pytest.raises(ContextLengthError):
        played(sampler, lambda: Scripted(*script), max_turns=9)


def test_a_teachers_samples_carry_no_behaviour(sampler: LocalSampler) -> None:
    own = played(sampler, RememberDigit)
    for rollout, student in zip(played(sampler, RememberDigit, author=Origin.TEACHER), own, strict=True):
        assert _ids(rollout) == _ids(student)
        for turn in rollout.turns:
            assert set(turn.origin.tolist()) == {Origin.TEACHER}
            assert set(turn.weight_version.tolist()) == {-1}
            assert turn.behaviour_logprob.isnan().all()


def test_single_turn_ends_as_its_completion_did(sampler: LocalSampler) -> None:
    told: list[int] = []
    episodes = [Episode(Task(f"t{k}", "abc"), key=k, group=0) for k in range(60)]
    rollouts = played(sampler, lambda: SingleTurn(None), episodes, max_turns=1, progress=told.append)
    assert sum(told) == 60
    assert {r.finish_reason for r in rollouts} == {FinishReason.STOP, FinishReason.LENGTH}
    for rollout in rollouts:
        last = int(rollout.turns[0].completion_ids[-1])
        assert (last in PARAMS.stop_ids) == (rollout.finish_reason == FinishReason.STOP)
        assert (rollout.reward, rollout.correct) == (None, None)
        assert math.isnan(rollout.turns[0].reward)


def test_members_of_a_group_meet_the_same_episode(sampler: LocalSampler) -> None:
    task = Task("any", "")
    episodes = [Episode(task, key=k, group=k // 3) for k in range(30)]
    prompts = [decode(TOKENIZER, r.turns[0].prompt_ids) for r in played(sampler, RememberDigit, episodes)]
    assert all(len({*prompts[g * 3 : g * 3 + 3]}) == 1 for g in range(10))
    assert len(set(prompts)) > 2


def test_demonstrations_are_data() -> None:
    tasks = [Episode(Task("a", "ab:", {"n": 1}, "letters"), 5, 1), Episode(Task("b", "abcdefg:"), 6, 2)]
    first, second = from_completions(tasks, ["cd", "xyz"], tokenizer=TOKENIZER, stop_id=EOS, max_length=11)
    assert decode(TOKENIZER, first.turns[0].prompt_ids) == "ab:"
    assert decode(TOKENIZER, first.turns[0].completion_ids, skip_special_tokens=False) == "cd</s>"
    assert (first.key, first.group, first.problem, first.domain, first.extra) == (5, 1, "a", "letters", {"n": 1})
    assert (first.reward, first.finish_reason) == (None, FinishReason.STOP)
    assert decode(TOKENIZER, second.turns[0].completion_ids, skip_special_tokens=False) == "xy"
    assert second.finish_reason == FinishReason.LENGTH
    table = batch_of([first, second], contexts_of([first, second])).table
    assert set(table["origin"].tolist()) == {Origin.DATA}
    assert table["behaviour_logprob"].isnan().all()
    assert table.num_tokens == 5


def test_demonstrations_end_with_eos_unless_told() -> None:
    tasks = [Episode(Task("a", "ab:"), 5, 1)]
    for options, stop in (({}, EOS), ({"stop_id": IM_END}, IM_END)):
        assert from_completions(tasks, ["c"], tokenizer=TOKENIZER, **options)[0].turns[0].completion_ids[-1] == stop
    endless = make_tokenizer()
    endless.eos_token = None
    with pytest.raises(DataError, match="without an EOS"):
        from_completions(tasks, ["c"], tokenizer=endless)


def test_demonstrations_that_do_not_fit_are_named() -> None:
    tasks = [Episode(Task("b", "abcdefg:"), 6, 2)]
    with pytest.raises(ContextLengthError, match="9 tokens in task b"):
        from_completions(tasks, ["x"], tokenizer=TOKENIZER, stop_id=EOS, max_length=9)
    with pytest.raises(ShapeError, match="differ in number"):
        from_completions(tasks, [], tokenizer=TOKENIZER, stop_id=EOS)


def _ids(rollout: Rollout) -> list[list[int]]:
    return [turn.completion_ids.tolist() for turn in rollout.turns]


def test_environments_are_told_every_action_before_any_of_them_steps(sampler: LocalSampler) -> None:
    heard: list[str] = []

    class Preparing(RememberDigit):
        def prepare(self, action: str) -> None:
            heard.append("prepare")
            self.prepared = action

        def step(self, action: str) -> Observation:
            heard.append("step")
            assert self.prepared == action
            return super().step(action)

    class Unprepared(Preparing):
        def prepare(self, action: str) -> None:
            raise OSError("cannot prepare")

    rollouts = played(sampler, Preparing)
    assert _ids(rollouts[0]) == _ids(played(sampler, RememberDigit)[0])
    per_turn = len(EPISODES)
    assert heard[: 2 * per_turn] == ["prepare"] * per_turn + ["step"] * per_turn
    failed = played(sampler, Unprepared)
    assert {rollout.finish_reason for rollout in failed} == {FinishReason.FAILED}
    assert failed[0].extra["environment_error"] == "OSError: cannot prepare"
