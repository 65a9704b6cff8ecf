"""Agents with tools: the conformance suite, and rollouts whose every token is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from tests.conformance.environment import EnvironmentSubject, EnvironmentSuite
from tests.environments.tools.speaking import IM_END, SUM, Speaker, calculator, call, tool_tokenizer
from understudy.environments.agents import TALLY
from understudy.environments.episodes import Episode, play
from understudy.environments.tools import Rules, Toolbox, ToolUse
from understudy.models.chat import decode
from understudy.protocols import SamplingParams, Task
from understudy.rollouts import FinishReason, Origin, Rollout, contexts_of

TOKENIZER = tool_tokenizer()
PARAMS = SamplingParams(max_completion_length=2000, stop_ids=frozenset({IM_END}))


class TestConformance(EnvironmentSuite):
    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        return EnvironmentSubject(
            make=partial(ToolUse, calculator),
            tasks=[SUM, replace(SUM, problem="more", columns={"answer": "7"})],
            solution=lambda task: [call("add", a="2", b="3"), call("finish", answer=task.columns["answer"])],
        )


def played(script: list[str], rules: Rules | None = None, **options: Any) -> tuple[Rollout, Speaker]:
    speaker = Speaker(TOKENIZER, script)
    (rollout,) = play(
        [Episode(SUM, key=7, group=0)],
        environment_factory=partial(ToolUse, calculator, rules=rules),
        sampler=speaker,
        params=PARAMS,
        tokenizer=TOKENIZER,
        seed=1,
        step=0,
        **{"max_turns": 40, **options},
    )
    return rollout, speaker


def test_a_conversation_is_one_context_in_which_only_the_agent_is_trained_on() -> None:
    script = ["Adding. " + call("add", a="2", b="3"), "No call here.", call("finish", answer="5")]
    rollout, speaker = played(script)
    assert (rollout.reward, rollout.correct, rollout.finish_reason) == (1.0, True, FinishReason.STOP)
    (context,) = contexts_of([rollout])
    own = context.ids[context.origin == Origin.STUDENT]
    assert decode(TOKENIZER, own) == "".join(script)
    observed = decode(TOKENIZER, context.ids[context.origin == Origin.ENVIRONMENT], skip_special_tokens=False)
    assert "<|im_start|>tool\n5<|im_end|>" in observed
    assert "No tool was called" in observed
    assert torch.isnan(context.behaviour_logprob[context.origin != Origin.STUDENT]).all()
    first = speaker.prompts[0]
    assert first.startswith("<|im_start|>tools")
    assert '"name": "add"' in first
    assert first.endswith("What is 2 + 3?<|im_end|>\n<|im_start|>assistant\n")
    tally = rollout.extra[TALLY]
    assert (tally["steps"], tally["world"]["calls"], tally["world"]["idle"]) == (3, 2, 1)
    assert tally["world"]["answered"] is True


def test_mistakes_come_back_as_words_and_cost_what_the_rules_say() -> None:
    script = [
        '<tool_call>{"name": "add", </tool_call>',
        call("multiply", a="2", b="3"),
        call("add", a="2"),
        call("add", a="two", b="3"),
        call("finish", answer="5") + call("finish", answer="6") + call("add", a="1", b="1"),
        call("finish", answer="five"),
        call("finish", answer="5"),
    ]
    rollout, _ = played(script, Rules(penalty=0.1))
    shown = [str(turn.shown) for turn in rollout.turns[1:]]
    for told, words in zip(
        shown,
        ["no JSON", "no tool 'multiply'", "'b' is a required property", "no numbers", "more than once", "no number"],
        strict=True,
    ):
        assert words in told
    assert "'content': '2'" in shown[4], "ordinary calls of a turn are done before a finish is looked at"
    tally = rollout.extra[TALLY]
    assert (tally["malformed"], tally["inadmissible"], tally["world"]["failed"]) == (1, 4, 2)
    assert [round(turn.reward, 6) for turn in rollout.turns] == [-0.1, -0.1, -0.1, 0, -0.2, 0, 1]


def test_turns_are_counted_down_and_an_agent_that_never_finishes_gets_nothing() -> None:
    rollout, speaker = played(["On it."] * 9, Rules(max_turns=4, count_from=2))
    assert (len(rollout.turns), rollout.reward, rollout.correct) == (4, 0.0, False)
    assert ["Turns remaining" in prompt for prompt in speaker.prompts] == [False, False, True, True]
    assert "Turns remaining: 1<|im_end|>" in speaker.prompts[-1]
    assert rollout.extra[TALLY]["world"]["why"] == "turns"


def test_a_long_result_loses_its_middle_and_is_counted() -> None:
    rollout, _ = played([call("add", a="1" * 3000, b="0"), call("finish", answer="5")], Rules(result_characters=100))
    shown = str(rollout.turns[1].shown)
    assert "(2900 characters cut)" in shown
    assert "1" * 50 + "\\n..." in shown
    assert rollout.extra[TALLY]["cut"] == 1


def test_a_full_context_is_summarised_and_the_agent_goes_on_from_its_notes() -> None:
    window = 2600
    script = ["word " * 260, "2 + 3 is 5.", call("finish", answer="5")]
    rollout, speaker = played(script, max_length=window)
    assert rollout.correct is True
    contexts = contexts_of([rollout])
    assert len(contexts) == 2, "the summary opens a fresh context"
    assert "Only this will be kept" in speaker.prompts[1]
    assert "Your notes so far:\n2 + 3 is 5." in speaker.prompts[2]
    assert "word word" not in speaker.prompts[2]
    assert rollout.extra[TALLY]["world"]["summaries"] == 1


def test_an_agent_that_fills_its_context_again_and_again_is_stopped_with_a_reason() -> None:
    rollout, _ = played(["word " * 260, "notes", "word " * 260], Rules(max_summaries=1), max_length=2600)
    assert rollout.extra[TALLY]["world"]["why"] == "context"
    assert rollout.correct is False


def test_a_tool_that_breaks_costs_its_own_rollout() -> None:
    def broken(task: Task, seed: int) -> Toolbox:
        box = calculator(task, seed)

        def fails(arguments: Any) -> str:
            raise OSError("the disk is gone")

        return replace(box, tools=(replace(box.tools[0], call=fails),))

    speaker = Speaker(TOKENIZER, [call("add", a="1", b="1"), call("finish", answer="5")])
    good, bad = (Episode(SUM, key=key, group=key) for key in (0, 1))
    boxes = iter([broken, calculator])
    rollouts = play(
        [good, bad],
        environment_factory=lambda: ToolUse(next(boxes)),
        sampler=speaker,
        params=PARAMS,
        tokenizer=TOKENIZER,
        seed=0,
        step=0,
        max_turns=9,
    )
    assert [rollout.finish_reason for rollout in rollouts] == [FinishReason.FAILED, FinishReason.STOP]
    assert rollouts[0].extra["environment_error"] == "OSError: the disk is gone"
    assert rollouts[1].correct is True
