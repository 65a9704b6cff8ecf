"""Processes that answer, hang, die or talk nonsense: each costs one episode, and none stays behind."""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.environments.household.rooms import HEAT
from understudy.environments.alfworld import Alfworld, Engines
from understudy.environments.household import task_of
from understudy.errors import EnvironmentFailedError, UserMistakeError

pytestmark = pytest.mark.timeout(120)

GREETS = 'import sys, json, time, os\nprint(json.dumps({"ready": True}), flush=True)\n'
OBEDIENT = """
for line in sys.stdin:
    asked = json.loads(line)
    opening = "Welcome.\\n\\nA room.\\n\\nYour task is to: " + asked.get("open", {}).get("goal", "") + "."
    text = asked.get("step", opening)
    print(json.dumps({"text": text, "admissible": ["look"], "won": text == "win"}), flush=True)
"""
TASK = task_of(HEAT, "heat")


def engines(tmp_path: Path, code: str, **options) -> Engines:
    script = tmp_path / "worker.py"
    script.write_text(code)
    return Engines(command=[sys.executable, str(script)], **options)


def test_an_engine_is_asked_and_used_again(tmp_path: Path) -> None:
    lent = engines(tmp_path, GREETS + OBEDIENT)
    world = Alfworld(lent)
    first = world.reset(TASK, 0)
    assert (first.observation, first.goal, first.admissible) == ("A room.", TASK.prompt, ("look",))
    assert world.step("go").observation == "go"
    last = world.step("win")
    assert (last.reward, last.done, last.won) == (10.0, True, True)
    (idle,) = lent._idle
    assert idle.is_alive and idle.num_games == 1
    again = Alfworld(lent)
    again.reset(TASK, 0)
    assert not lent._idle and idle.num_games == 2
    del again
    assert lent._idle == [idle], "a world that nobody holds gives its process back"
    lent.close()
    assert not idle.is_alive


def test_an_answer_that_nobody_waited_for_is_not_the_next_episodes(tmp_path: Path) -> None:
    lent = engines(tmp_path, GREETS + OBEDIENT)
    left = Alfworld(lent)
    left.reset(TASK, 0)
    left.prepare("go")
    left.close()  # as where another environment of the batch ends the run between the two
    world = Alfworld(lent)
    assert world.reset(TASK, 0).observation == "A room."
    assert world.step("look").observation == "look"
    world.close()
    lent.close()


def test_a_process_is_replaced_after_its_games(tmp_path: Path) -> None:
    lent = engines(tmp_path, GREETS + OBEDIENT, games=2)
    world, seen = Alfworld(lent), []
    for _ in range(5):
        world.reset(TASK, 0)
        seen.append(world._running())
    world.close()
    lent.close()
    assert [one is other for one, other in pairwise(seen)] == [True, False, True, False]
    assert not any(engine.is_alive for engine in seen)


def test_prepared_actions_are_begun_before_any_is_waited_for(tmp_path: Path) -> None:
    marks = (
        f"\n    'step' in asked and open({str(tmp_path)!r} + '/begun-' + str(os.getpid()), 'w').close()\n    opening ="
    )
    lent = engines(tmp_path, GREETS + OBEDIENT.replace("\n    opening =", marks))
    worlds = [Alfworld(lent) for _ in range(3)]
    for world in worlds:
        world.reset(TASK, 0)
    for world in worlds:
        world.prepare("go")
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("begun-*"))) < 3:
        assert time.monotonic() < until, "no answer is asked for, and yet all three begin"
        time.sleep(0.01)
    assert [world.step("go").observation for world in worlds] == ["go"] * 3
    for world in worlds:
        world.close()
    lent.close()


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("time.sleep(60)", "gave no answer in time"),
        ("sys.exit(3)", "has ended"),
        ("sys.stdin.readline(); print('rubbish', flush=True)", "answered b'rubbish'"),
        ("sys.stdin.readline(); print('[1]', flush=True)", "answered b'\\[1\\]'"),
        (
            "sys.stdin.readline(); print(json.dumps({'error': 'ValueError: no'}), flush=True)",
            "failed \\(ValueError: no\\)",
        ),
    ],
)
def test_what_goes_wrong_costs_the_episode_and_the_process(tmp_path: Path, behaviour: str, said: str) -> None:
    lent = engines(tmp_path, GREETS + behaviour, seconds=1.0)
    world = Alfworld(lent)
    with pytest.raises(EnvironmentFailedError, match=f"the ALFWorld engine {said}"):
        world.reset(TASK, 0)
    engine = world._running()
    assert not engine.is_alive
    world.close()
    assert not lent._idle, "a dead process is not lent again"


def test_it_hangs_in_the_middle(tmp_path: Path) -> None:
    lent = engines(
        tmp_path,
        GREETS + OBEDIENT.replace("    text =", "    'step' in asked and time.sleep(60)\n    text ="),
        seconds=1.0,
    )
    world = Alfworld(lent)
    world.reset(TASK, 0)
    with pytest.raises(EnvironmentFailedError, match="gave no answer in time"):
        world.step("go")


def test_an_engine_that_is_not_installed_is_said_before_a_run(tmp_path: Path) -> None:
    missing = engines(tmp_path, 'print(\'{"missing": "No module named alfworld"}\', flush=True)')
    with pytest.raises(
        UserMistakeError, match=r"engine is not there; got No module named alfworld\. pip install 'understudy"
    ):
        missing.check()
    with pytest.raises(UserMistakeError, match="cannot be started; got no-such-python"):
        Engines("no-such-python").check()


def test_steps_without_an_episode_are_refused(tmp_path: Path) -> None:
    lent = engines(tmp_path, GREETS + OBEDIENT)
    world = Alfworld(lent)
    with pytest.raises(EnvironmentFailedError, match="Call reset first"):
        world.step("go")
    world.reset(TASK, 0)
    world.prepare("go")
    with pytest.raises(EnvironmentFailedError, match="another action was prepared"):
        world.step("look")
    world.close()
    lent.close()
