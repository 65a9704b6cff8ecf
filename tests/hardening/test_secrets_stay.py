"""Canaries: keys in the environment, a run with a served teacher that wants one, and a search of all that is left."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import understudy as us
from tests.evaluation.grading.panels import criteria_in, office_folder, panel_of, results_in, says
from tests.servers.scripted import Asked, Reply
from tests.serving.served import served_model
from tests.tiny_files import Workplace, make_workplace
from understudy import cli, publishing
from understudy.errors import DataError, UnderstudyError
from understudy.evaluation.grading import grade_folder
from understudy.launching import commands_of, laid_out
from understudy.launching.order import Order
from understudy.recipe import load_recipe
from understudy.reports.reading import read_run
from understudy.training.progress import Silent

KEY = "canary-9f3b1c7e5a2d4860"
OTHERS = {"HF_TOKEN": "hf_canary" + "b" * 24, "WANDB_API_KEY": "canary-wandb-0a1b2c3d", "MY_PASSWORD": "canary-pass-77"}
CANARIES = (KEY, *OTHERS.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"TEACHER_KEY": KEY, **OTHERS}.items():
        monkeypatch.setenv(name, value)
    yield


class Told(Silent):
    """A display that keeps every notice."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def notice(self, sentence: str) -> None:
        self.text.write(sentence + "\n")


def found_in(folder: Path) -> list[str]:
    """Files below the folder that hold a canary."""
    words = [canary.encode() for canary in CANARIES]
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [str(file) for file in files if any(word in file.read_bytes() for word in words)]


def test_no_key_is_in_anything_a_run_leaves_or_says(
    place: Workplace, keys: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told()
    with served_model(place.path / "teacher", api_key=KEY) as url:
        recipe = place.write_recipe("served.yaml", teacher={"server": url, "api_key_env": "TEACHER_KEY"})
        run = us.train(recipe, ["name=served", "steps=2", "evaluation.teacher=false"], display=told)
    card = list(run.path.rglob("README.md"))
    assert card and (run.path / "report.html").exists()
    assert "TEACHER_KEY" in (run.path / "recipe.yaml").read_text(), "its name is no secret"
    assert found_in(place.path) == []
    said = "".join(capfd.readouterr()) + caplog.text + told.text.getvalue()
    assert [canary for canary in CANARIES if canary in said] == []


def test_no_key_is_in_a_refusal(place: Workplace, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the right key nor a wrong one, whatever the server says of it."""
    with served_model(place.path / "teacher", api_key="another-key-of-the-server") as url:
        recipe = place.write_recipe("refused.yaml", teacher={"server": url, "api_key_env": "TEACHER_KEY"})
        with pytest.raises(UnderstudyError) as refused:
            us.train(recipe, ["name=refused"], display=Silent())
    with pytest.raises(UnderstudyError) as gone:
        us.train(recipe, ["name=gone", "teacher.deadline_seconds=0.5"], display=Silent())
    for error in (refused.value, gone.value):
        assert not [canary for canary in (*CANARIES, "another-key") if canary in str(error)]
    assert found_in(place.path / "runs") == [] if (place.path / "runs").exists() else True


def test_a_login_in_an_address_is_refused_and_not_repeated(place: Workplace) -> None:
    sections: tuple[dict[str, object], ...] = (
        {"server": f"http://me:{KEY}@host:1"},
        {"server": [f"http://host:1/?key={KEY}"]},
        {"server": {"urls": [f"http://me:{KEY}@host:1"]}},
        {"server": [f"http://host:1/?key={KEY}"], "misspelt": 1},
    )
    for section in sections:
        recipe = place.write_recipe("login.yaml", teacher=section)
        with pytest.raises(UnderstudyError) as refused:
            load_recipe(recipe)
        assert KEY not in str(refused.value)


def test_a_key_in_the_recipe_does_not_reach_the_page_or_the_card(place: Workplace, keys: None) -> None:
    """Somebody writes a token where free text may stand: the run keeps its recipe, what is shown does not."""
    kwargs = {"note": OTHERS["HF_TOKEN"]}
    student = {"model": str(place.path / "student"), "chat_template_kwargs": kwargs}
    recipe = place.write_recipe("token.yaml", student=student)
    run = us.train(recipe, ["name=token", "steps=1", "evaluation.suites=[]"], display=Silent())
    assert OTHERS["HF_TOKEN"] in (run.path / "recipe.yaml").read_text(), "it is replayable"
    pages = [run.path / "report.html", *run.path.rglob("README.md")]
    assert len(pages) > 1
    assert [str(page) for page in pages if OTHERS["HF_TOKEN"] in page.read_text(encoding="utf-8")] == []
    published_without_keys(run.path)


def published_without_keys(run: Path) -> None:
    """What a push would send, also where the owner of the card and the summary has put keys into them."""
    card, summary = next(run.rglob("README.md")), run / "summary.json"
    card.write_text(card.read_text() + f"\nMy token is {OTHERS['HF_TOKEN']}.\n", encoding="utf-8")
    told = json.loads(summary.read_text())
    summary.write_text(json.dumps({**told, "note": OTHERS["WANDB_API_KEY"]}))
    sent = {one.path_in_repo: one for one in publishing._files(read_run(run), card.parent, repo="a/b", step=1)}
    texts = [one.path_or_fileobj for one in sent.values() if isinstance(one.path_or_fileobj, bytes)]
    assert {"README.md", "recipe.yaml", "summary.json"} <= set(sent) and len(texts) == 3
    assert [text for text in texts if any(canary.encode() in text for canary in CANARIES)] == []
    assert b"My token is (removed)." in sent["README.md"].path_or_fileobj


def test_no_key_is_in_what_a_grading_leaves_or_says(
    tmp_path: Path, keys: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an endpoint that quotes the key in its verdicts, nor one that quotes it in its refusal, gives it away."""
    monkeypatch.setenv("GRADER_KEY", KEY)
    caplog.set_level(logging.DEBUG)

    def quotes(asked: Asked) -> Reply:
        given = [{"id": id, "reason": f"you sent {KEY}", "met": True} for id in criteria_in(asked)]
        return says(json.dumps({"verdicts": given}))

    folder = office_folder(tmp_path / "run", {"t1": {"a.md": "# One"}}, {"t1": [("a", 4)]})
    with panel_of(quotes, lambda _: Reply({"error": f"no {KEY}"}, status=401), api_key_env="GRADER_KEY") as (
        panel,
        servers,
    ):
        report = grade_folder(folder, panel)
        assert servers[0].asked[0].headers["Authorization"] == f"Bearer {KEY}", "it is sent"
    assert results_in(folder)["t1"]["rubric"][0]["votes"][0] is True
    assert found_in(tmp_path) == [] and KEY not in json.dumps(report) + caplog.text


def test_no_key_is_in_what_a_launch_prints_or_writes(place: Workplace, keys: None) -> None:
    recipe = place.write_recipe("launched.yaml", teacher={"model": str(place.path / "teacher")})
    for order in (Order(teachers=2, samplers=1), Order(teachers=1, samplers=1, program="vllm")):
        layout = laid_out(load_recipe(recipe), recipe, [], order)
        said = commands_of(layout) + json.dumps(layout.to_json()) + repr(layout)
        assert [canary for canary in CANARIES if canary in said] == []


def test_no_key_is_in_the_words_of_a_crash(keys: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever an error quotes, what the command line prints of it has no key of the environment in it."""
    cli._print(f"understudy: no file {KEY}; got Bearer {OTHERS['MY_PASSWORD']}", error=True)
    said = capfd.readouterr().err
    assert "understudy: no file (removed); got Bearer (removed)" in said


@pytest.mark.parametrize("error", [RuntimeError, DataError, OSError])
def test_no_key_is_in_the_traceback_of_a_live_crash(
    error: type[Exception], keys: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashes(*_: object, **__: object) -> None:
        raise error(f"Bearer {KEY}") from ValueError(f"https://jane:{OTHERS['MY_PASSWORD']}@host/")

    monkeypatch.setattr(cli, "app", crashes)
    monkeypatch.setattr("sys.argv", ["understudy", "methods", "--traceback"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capfd.readouterr().err
    assert ended.value.code == getattr(error, "exit_code", 1)
    assert "Traceback (most recent call last)" in said and "in crashes" in said and "(removed)" in said
    assert [canary for canary in CANARIES if canary in said] == []


def test_the_search_can_find_something(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"x{KEY}y")
    assert len(found_in(tmp_path)) == 1
