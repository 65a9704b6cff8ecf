"""A shell and a Python in sandboxes, as agents meet them."""

from __future__ import annotations

from functools import partial

import pytest

from tests.environments.tools.speaking import IM_END, Speaker, call, tool_tokenizer
from understudy.environments.agents import TALLY
from understudy.environments.episodes import Episode, play
from understudy.environments.tools import ComputingBoxes, Rules, ToolError, ToolUse, python_tool, shell_tool
from understudy.protocols import SamplingParams, Task
from understudy.recipe import Verifier
from understudy.rollouts import Origin, Rollout, contexts_of
from understudy.sandbox import Limits, SandboxUnavailableError, isolation
from understudy.tasks.verifiers import verifier_from

LIMITS = Limits(wall_seconds=5, cpu_seconds=5, num_processes=8, output_bytes=4000)
TOKENIZER = tool_tokenizer()
TASK = Task(prompt="What is 123456789 * 987654321?", problem="product", columns={"answer": "121932631112635269"})


@pytest.fixture(autouse=True)
def _isolated() -> None:
    try:
        isolation()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


def test_files_stay_between_calls_and_variables_do_not(tmp_path) -> None:
    shell, python = shell_tool(tmp_path, LIMITS), python_tool(tmp_path, LIMITS)
    assert shell.call({"command": "x=3; echo $x > three; pwd"}) == "/workspace"
    assert shell.call({"command": "echo [$x]"}) == "[]"
    assert python.call({"code": "print(int(open('three').read()) * 14)"}) == "42"
    assert (tmp_path / "three").read_text() == "3\n"


def test_how_it_ended_is_told(tmp_path) -> None:
    python, shell = python_tool(tmp_path, LIMITS), shell_tool(tmp_path, LIMITS)
    failed = python.call({"code": "print(1)\nprint(1 / 0)"})
    assert failed.startswith("1\n[stderr]\nTraceback")
    assert failed.endswith("ZeroDivisionError: division by zero\n[exit status 1]")
    assert shell.call({"command": "kill -9 $$"}) == "[stopped by a signal]"
    quick = python_tool(tmp_path, Limits(wall_seconds=0.5, cpu_seconds=5))
    assert quick.call({"code": "import time; time.sleep(60)"}) == "[stopped: it took longer than 0.5 s]"
    small = python_tool(tmp_path, Limits(wall_seconds=20, cpu_seconds=0.3))
    assert small.call({"code": "while True: pass"}) == "[stopped: it used too much (cpu)]"


def test_what_no_shell_can_take_harms_nothing(tmp_path) -> None:
    shell, python = shell_tool(tmp_path, LIMITS), python_tool(tmp_path, LIMITS)
    assert shell.call({"command": "echo a\x00b"}) == "ab"
    assert shell.call({"command": ""}) == ""
    assert "null bytes" in python.call({"code": "print('\x00')"})
    assert "SyntaxError" in python.call({"code": "\ud800("})
    assert shell.call({"command": "echo \ud800"}).endswith("[exit status 126]")
    with pytest.raises(ToolError, match="too long"):
        shell.call({"command": "#" * 200_000})


def test_the_packages_of_this_process_are_there_where_asked_for(tmp_path) -> None:
    code = {"code": "import regex; print(regex.match(r'\\p{L}', 'é').group())"}
    assert python_tool(tmp_path, LIMITS, has_packages=True).call(code) == "é"


def played(*script: str) -> Rollout:
    boxes = ComputingBoxes(verifier_from(Verifier(kind="math"), "answer"), LIMITS)
    (rollout,) = play(
        [Episode(TASK, key=7, group=0)],
        environment_factory=partial(ToolUse, boxes, rules=Rules(max_turns=3)),
        sampler=Speaker(TOKENIZER, list(script)),
        params=SamplingParams(max_completion_length=2000, stop_ids=frozenset({IM_END})),
        tokenizer=TOKENIZER,
        seed=1,
        step=0,
        max_turns=40,
    )
    return rollout


def test_an_agent_computes_and_answers_and_what_it_read_is_not_trained_on() -> None:
    rollout = played(call("python", code="print(123456789 * 987654321)"), "It is \\boxed{121932631112635269}.")
    assert (rollout.reward, rollout.correct) == (1.0, True)
    (context,) = contexts_of([rollout])
    seen = TOKENIZER.decode(context.ids[context.origin == Origin.ENVIRONMENT])
    assert "121932631112635269" in seen
    assert rollout.extra[TALLY]["world"]["parsed"] == "121932631112635269"


def test_an_agent_that_never_answers_or_answers_wrongly_gets_nothing() -> None:
    again = call("shell", command="true")
    assert (played(again, again, again, again).reward, played("\\boxed{7}").correct) == (0.0, False)
