"""Our games in the engine's form."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.environments.alfworld.reach import PYTHON, needs_engine
from tests.environments.household.rooms import HEAT, STUDY
from understudy.environments.alfworld import Alfworld, Engines, pddl_problem, published_tasks, write_game
from understudy.environments.alfworld.game_file import goal_condition
from understudy.environments.household import Goal, demonstrate, game_from, save_tasks, tasks
from understudy.environments.household.things import APPLIANCES, OPENABLE, SHARP, THINGS, VESSELS
from understudy.errors import DataError, UserMistakeError


def facts_of(problem: str) -> set[str]:
    return set(re.findall(r"^    \((\w[^()]*)\)", problem, re.MULTILINE))


def test_a_problem_has_the_facts_of_its_game() -> None:
    problem = pddl_problem(HEAT)
    facts = facts_of(problem)
    assert {
        "openable fridge_bar_001",
        "opened cabinet_bar_001",
        "receptacleType sink_bar_001_bar_sinkbasin sinkbasintype",
    } <= facts
    # The engine counts down: the first identifier of two is number 2.
    assert {"inReceptacle apple_bar_002 countertop_bar_001", "inReceptacle apple_bar_001 fridge_bar_001"} <= facts
    assert {"isReceptacleObject mug_bar_001", "heatable apple_bar_001", "cleanable knife_bar_001"} <= facts
    assert "canContain fridgetype appletype" in facts and "canContain fridgetype knifetype" not in facts
    assert "openable countertop_bar_001" not in facts and "heatable knife_bar_001" not in facts
    assert problem.count("(") == problem.count(")")


def test_lamps_stay_and_can_be_used() -> None:
    facts = facts_of(pddl_problem(STUDY))
    assert "toggleable desklamp_bar_001" in facts and "pickupable desklamp_bar_001" not in facts
    assert not [fact for fact in facts if fact.startswith("canContain") and "desklamptype" in fact]


def test_goals_by_hand() -> None:
    assert goal_condition(Goal("heat", "egg", "shelf")) == (
        "(exists (?r - receptacle ?o - object) (and (isHot ?o) (objectType ?o eggtype) (receptacleType ?r shelftype) "
        "(inReceptacle ?o ?r)))"
    )
    assert "(not (= ?o ?p))" in goal_condition(Goal("two", "egg", "shelf"))
    assert "(isToggled ?p)" in goal_condition(Goal("examine", "book", "desklamp"))
    assert "is" not in goal_condition(Goal("place", "egg", "shelf")).replace("exists", "")


def game_file(folder: Path, name: str, **fields: object) -> None:
    (folder / name).mkdir(parents=True)
    content = {"pddl_domain": "d", "grammar": '"rhs": "Your task is to: put a egg in fridge."', "pddl_problem": "p"}
    (folder / name / "game.tw-pddl").write_text(json.dumps({**content, **fields}))


def test_published_games_are_found_by_their_folders(tmp_path: Path) -> None:
    game_file(tmp_path, "pick_heat_then_place_in_recep-Egg-None-Fridge-13/trial_2")
    game_file(tmp_path, "look_at_obj_in_light-Book-None-DeskLamp-301/trial_1", solvable=True)
    game_file(tmp_path, "pick_and_place_simple-Egg-None-Fridge-2/trial_9", solvable=False)
    found = published_tasks(tmp_path)
    assert [task.domain for task in found] == ["alfworld/examine", "alfworld/heat"]
    assert found[1].problem == "pick_heat_then_place_in_recep-Egg-None-Fridge-13/trial_2"
    assert found[1].prompt == "put a egg in fridge" and len(published_tasks(tmp_path, limit=1)) == 1
    save_tasks(tmp_path / "games.jsonl", found)
    assert len((tmp_path / "games.jsonl").read_text().splitlines()) == 2


def test_broken_games_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none that can be solved"):
        published_tasks(tmp_path)
    game_file(tmp_path, "a/trial", grammar="")
    with pytest.raises(DataError, match="an ALFWorld game has no grammar; got trial/game"):
        published_tasks(tmp_path)
    (tmp_path / "a/trial/game.tw-pddl").write_text("{")
    with pytest.raises(DataError, match="cannot be read; got trial/game"):
        published_tasks(tmp_path)


def test_a_game_is_not_written_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.environments.alfworld.game_file.find_spec", lambda _: None)
    with pytest.raises(UserMistakeError, match=r"alfworld is not installed\. pip install"):
        write_game(HEAT, tmp_path / "game.tw-pddl")


@needs_engine
@pytest.mark.timeout(300)
def test_a_written_game_is_played_from_its_file(tmp_path: Path) -> None:
    """As a user's published game is: by its path, found in its folder, won by the walkthrough that stands in it."""
    assert PYTHON is not None
    task = tasks("train", 1, 0, kinds=("cool",))[0]
    walk = [move.action for move in demonstrate(task, knows=True).moves]
    folder = tmp_path / "pick_cool_then_place_in_recep-1" / "trial"
    folder.mkdir(parents=True)
    data = subprocess.run(
        [PYTHON, "-c", "import importlib.util as u; print(u.find_spec('alfworld').origin)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    spec = type("Spec", (), {"origin": data})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("understudy.environments.alfworld.game_file.find_spec", lambda _: spec)
        write_game(game_from(task.columns), folder / "game.tw-pddl", walkthrough=walk)
    (found,) = published_tasks(tmp_path)
    assert found.prompt == task.prompt
    engines = Engines(PYTHON)
    world = Alfworld(engines)
    assert world.reset(found, 0).goal == task.prompt
    scenes = [world.step(action) for action in walk]
    engines.close()
    assert scenes[-1].won and not any(scene.done for scene in scenes[:-1])


TABLES = """
import json, os, tempfile
os.environ.setdefault("ALFWORLD_DATA", tempfile.gettempdir())
from alfworld.gen import constants as c
low = lambda names: sorted(name.lower() for name in names)
print(json.dumps({
    "places": {place.lower(): low(things) for place, things in c.VAL_RECEPTACLE_OBJECTS.items()},
    "powers": {power.lower(): low(things) for power, things in c.VAL_ACTION_OBJECTS.items()},
    "openable": low(c.OPENABLE_CLASS_LIST), "vessels": low(c.MOVABLE_RECEPTACLES),
}))
"""


@needs_engine
@pytest.mark.timeout(120)
def test_our_tables_say_what_the_packages_tables_say() -> None:
    assert PYTHON is not None
    said = subprocess.run([PYTHON, "-c", TABLES], capture_output=True, text=True, check=True).stdout
    real = json.loads(said.strip().splitlines()[-1])
    movable = set(real["vessels"])
    for name, thing in THINGS.items():
        assert thing.places == {place for place, things in real["places"].items() if name in things} - movable, name
        for power in ("clean", "heat", "cool", "slice"):
            assert (power in thing.powers) == (name in real["powers"][f"{power}able"]), (name, power)
    assert set(real["openable"]) >= OPENABLE and movable >= VESSELS and not (THINGS.keys() & movable) - VESSELS
    assert set(APPLIANCES) <= real["places"].keys() and {"knife", "butterknife"} == SHARP
