"""A run pushed to a model hub: real requests of the real library to a server on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import understudy as us
from tests.hub_server import Hub, serving
from tests.tiny_files import Workplace, make_workplace
from understudy import publishing
from understudy.errors import UnderstudyError, UserMistakeError
from understudy.training.progress import Silent

TOKEN = "hf_" + "Zz9" * 11


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """With a finished run; no test changes it."""
    logging.disable_progress_bar()
    made = make_workplace(tmp_path_factory.mktemp("place"))
    us.train(made.path / "tiny.yaml", display=Silent())
    return made


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(token=TOKEN, owner="jane")) as served:
        yield served


def push(hub: Hub, run: Path, *arguments: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads its settings when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = run.parent / "no-login"
    environment = {**kept, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "understudy", "push", str(run), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**environment, **({"HF_TOKEN": token} if token else {})},
    )


def assert_refused(ended: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.startswith("understudy: ") and ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stdout == ""
    for word in words:
        assert word in ended.stderr


def test_a_push_sends_weights_card_recipe_and_summary(place: Workplace, hub: Hub, tmp_path: Path) -> None:
    ended = push(hub, place.run, "--repo", "jane/tiny", "--private")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"The weights of step 4 are at {hub.url}/jane/tiny\n"
    assert hub.repositories == {"jane/tiny": True}
    assert hub.commits == ["Weights after 4 steps"]

    sent = hub.files["jane/tiny"]
    folder = place.run / "checkpoints" / "step-000004" / "model"
    for file in folder.iterdir():
        if file.name != "README.md":
            assert sent.pop(file.name) == file.read_bytes()
    assert set(sent) == {"README.md", "recipe.yaml", "summary.json"}, "the curves went with the weights"
    assert sent["summary.json"] == (place.run / "summary.json").read_bytes()
    assert sent["recipe.yaml"] == (place.run / "recipe.yaml").read_bytes()
    card = sent["README.md"].decode()
    assert ModelCard(card).data.to_dict()["tags"] == ["understudy", "opd"]
    assert 'name = "jane/tiny"\n' in card
    assert card.replace('name = "jane/tiny"', 'name = "."') == (
        (folder / "README.md").read_text().replace("  # this folder; where it is published, OWNER/NAME", "")
    )
    assert TOKEN.encode() not in b"".join(sent.values())

    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((folder / "config.json").read_bytes())
    (copy / "model.safetensors").write_bytes(hub.objects[next(iter(hub.objects))])
    assert AutoModelForCausalLM.from_pretrained(copy).num_parameters() > 0


def test_an_earlier_checkpoint_goes_without_the_summary_of_later_weights(place: Workplace, hub: Hub) -> None:
    assert push(hub, place.run, "--repo", "jane/tiny", "--checkpoint", "2").returncode == 0
    assert "summary.json" not in hub.files["jane/tiny"]
    assert "2 of 4" in hub.files["jane/tiny"]["README.md"].decode()
    assert hub.repositories == {"jane/tiny": False}
    again = push(hub, place.run, "--repo", "jane/tiny")
    assert again.returncode == 0, "a repository that is there is written to"
    assert hub.commits == ["Weights after 2 steps", "Weights after 4 steps"]


def test_a_run_without_a_card_gets_one(place: Workplace, hub: Hub, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place.run, tmp_path / "tiny"))
    for page in [*run.rglob("README.md"), *run.rglob("curves.svg")]:
        page.unlink()
    assert push(hub, run, "--repo", "jane/tiny").returncode == 0
    assert hub.files["jane/tiny"]["curves.svg"].startswith(b"<svg ")
    assert 'name = "jane/tiny"\n' in hub.files["jane/tiny"]["README.md"].decode()


def test_a_hub_that_refuses_is_one_sentence(place: Workplace, hub: Hub) -> None:
    repo = ("--repo", "jane/tiny")
    assert_refused(push(hub, place.run, *repo, token="hf_wrong"), "jane/tiny", "token is not accepted", code=1)
    assert_refused(push(hub, place.run, "--repo", "joe/tiny"), "joe/tiny", "may not write there", code=1)
    assert not hub.files
    gone = Hub(token=TOKEN, owner="jane", url="http://127.0.0.1:9")
    assert_refused(push(gone, place.run, *repo), "jane/tiny", "onnect", code=1)


def test_mistakes_are_found_before_anything_is_sent(place: Workplace, hub: Hub, tmp_path: Path) -> None:
    assert_refused(push(hub, place.run, "--repo", "jane/tiny", token=None), "nobody is logged in", "HF_TOKEN")
    assert_refused(push(hub, place.run, "--repo", "tiny"), "'tiny'", "OWNER/NAME")
    assert hub.requests == []

    spoilt = Path(shutil.copytree(place.run, tmp_path / "spoilt"))
    weights = spoilt / "checkpoints" / "step-000004" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    none = Path(shutil.copytree(place.run, tmp_path / "none"))
    shutil.rmtree(none / "checkpoints")
    for run, repo, step, words in (
        (place.run, "jane/ti ny", None, "got 'jane/ti ny'; expected OWNER/NAME"),
        (place.run, "jane/tiny/2", None, "got 'jane/tiny/2'; expected OWNER/NAME"),
        (place.run, "jane/tiny", 3, "no checkpoint of step 3; expected one of those there: 2, 4"),
        (none, "jane/tiny", None, "has no checkpoint"),
        (spoilt, "jane/tiny", None, "model.safetensors has changed"),
        (tmp_path, "jane/tiny", None, "is no run"),
    ):
        with pytest.raises(UserMistakeError, match=re.escape(words)):
            publishing.push(run, repo, step=step)


def test_from_python(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's process is cut off from every hub; what comes back is that, in one sentence."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run = us.train(place.path / "tiny.yaml", resume=True, display=Silent())
    with pytest.raises(UnderstudyError, match=r"does not take jane/tiny: .*offline") as refused:
        run.push_to_hub("jane/tiny", private=True, step=2)
    assert TOKEN not in str(refused.value)
