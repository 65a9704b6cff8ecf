"""A user's mistake on several ranks: said once, by whom it concerns, and nothing of torchrun's around it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.cluster.on_ranks import under_torchrun
from tests.tiny_files import Workplace, make_workplace
from understudy.torchrun import telling

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """``fine-0.yaml`` and ``lost-1.yaml``; of ``data-R.yaml`` the first rank's problems are there, the other's not."""
    place = make_workplace(tmp_path_factory.mktemp("mistakes"))
    quiet = {"engine": {"kind": "cluster"}, "evaluation": {"suites": []}, "steps": 1}
    place.write_recipe("fine-0.yaml", **quiet)
    place.write_recipe("data-0.yaml", **quiet)
    data = place.recipe()["data"]
    place.write_recipe("data-1.yaml", **{**quiet, "data": {**data, "dataset": str(place.path / "nowhere.jsonl")}})
    return place


@dataclass(frozen=True)
class Mistake:
    """Args: recipe: its name; ``{rank}`` is the rank's number. override: of all. said: by whom, of what."""

    recipe: str
    override: str
    said: str


MISTAKES = {
    "of all": Mistake("fine-0", "rollout.num_generations=0", "understudy: RECIPE: rollout.num_generations"),
    "of the second alone": Mistake("fine-{rank}", "seed=3", "understudy: rank 1: "),
    "of the second alone, when they have met": Mistake("data-{rank}", "seed=3", "understudy: rank 1: "),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_said_once_and_ends_the_run_with_its_own_status(
    place: Workplace, tmp_path: Path, kind: str
) -> None:
    mistake = MISTAKES[kind]
    recipe = str(place.path / f"{mistake.recipe}.yaml")
    torchrun = under_torchrun(2, ["train", recipe, mistake.override], tmp_path / "run", module="understudy.torchrun")
    assert torchrun.ended() == 2, torchrun.log.read_text()
    (line,) = torchrun.log.read_text().splitlines()
    assert line.startswith(mistake.said.replace("RECIPE", recipe)) and torchrun.left() == []


def test_under_torchrun_itself_the_mistake_is_the_end_of_its_report(place: Workplace, tmp_path: Path) -> None:
    arguments = ["train", str(place.path / "fine-0.yaml"), "rollout.num_generations=0"]
    torchrun = under_torchrun(2, arguments, tmp_path / "run")
    assert torchrun.ended() == 1
    *_, last, _border = torchrun.log.read_text().splitlines()
    assert last.startswith(f"  traceback : understudy: {place.path / 'fine-0.yaml'}: rollout.num_generations")


def test_a_store_that_takes_the_call_and_never_answers_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where torchrun has died, and somebody else listens on its port."""
    monkeypatch.setattr(telling, "_CONNECTION_SECONDS", 0.3)
    telling._store.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, value in {
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(silent.getsockname()[1]),
        }.items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        assert telling.is_first_to_say("the others are gone")
        assert time.monotonic() - began < 5
    telling._store.cache_clear()
