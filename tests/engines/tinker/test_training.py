"""``understudy train`` on the service: the recipe of a local run with its engine changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Understudy
from tests.cli.conftest import place as place
from tests.cli.conftest import understudy as understudy
from tests.tinker_service.running import KEY, Running, tinker_service
from tests.tinker_service.student import dense
from tests.tiny_files import Workplace, metrics_of
from understudy.models.load import load_model
from understudy.training.metrics import is_time

RANK = {"rank": 4}


@pytest.fixture
def running(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    models = {str(folder): load_model(folder) for folder in (place.path / "student", place.path / "teacher")}
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    with tinker_service(models) as running:
        yield running


def recipe_for(place: Workplace, engine: dict[str, object], **changes: object) -> Path:
    student = {"model": str(place.path / "student"), "lora": RANK}
    optimizer = {"learning_rate": 0.05}
    return place.write_recipe(**{"student": student, "engine": engine, "optimizer": optimizer, **changes})


def there(running: Running, **fields: object) -> dict[str, object]:
    return {"kind": "tinker", "base_url": running.url, "timeout_seconds": 60, **fields}


def reverse_kl(running: Running, place: Workplace) -> tuple[float, float]:
    """KL(student || teacher) in nats a token on random texts: of the student's start, and as the service has it now."""
    generator = torch.Generator().manual_seed(1)
    texts = [torch.randint(2, 19, (12,), generator=generator).tolist() for _ in range(8)]
    teacher, start = (running.desk.models[str(place.path / name)] for name in ("teacher", "student"))
    student = list(running.desk.students.values())[-1]
    with torch.no_grad():
        found = []
        for model in (start.model, student.model):
            pairs = [(dense(model, text, 19), dense(teacher.model, text, 19)) for text in texts]
            found.append(sum(float((s.exp() * (s - t)).sum(1).mean()) for s, t in pairs) / len(texts))
    return found[0], found[1]


def test_the_student_moves_toward_its_teacher_and_goes_on_after_a_stop(
    place: Workplace, understudy: Understudy, running: Running
) -> None:
    recipe = recipe_for(place, there(running), steps=10, checkpoint={"every": 8}, evaluation={"suites": []})
    ended = understudy("train", recipe)
    assert ended.code == 0, ended.err
    before, after = reverse_kl(running, place)
    assert after < 0.9 * before
    record = json.loads((place.run / "checkpoints" / "step-000010" / "tinker.json").read_text())
    assert record["path"].startswith("tinker://") and record["updates"] == 10
    adapter = place.run / "checkpoints" / "step-000010" / "adapter"
    assert record["path"] in ended.out and str(adapter) in ended.out, "the user is told where the weights are"
    assert {"README.md", "adapter_model.safetensors", "tokenizer.json"} <= {file.name for file in adapter.iterdir()}
    assert_same_answers(running, adapter)
    everything = "".join(
        file.read_text() for file in place.run.rglob("*") if file.suffix in (".json", ".jsonl", ".yaml")
    )
    assert KEY not in ended.out + ended.err + everything
    assert "telemetry" not in running.desk.asked
    assert running.desk.asked[-1] == "finish success", "and its session is not kept alive any longer"

    lines = metrics_of(place.run)
    shutil.rmtree(place.run / "checkpoints" / "step-000010")
    assert understudy("train", recipe, "--resume").code == 0
    assert [plain(line) for line in metrics_of(place.run)] == [plain(line) for line in lines]


def assert_same_answers(running: Running, adapter: Path) -> None:
    """The adapter in the folder is the student that the service has."""
    fetched, student = load_model(adapter), list(running.desk.students.values())[-1]
    with torch.no_grad():
        mine, theirs = (dense(model, [2, 5, 3, 7], 19) for model in (fetched.model, student.model))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def plain(line: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in line.items() if not is_time(name)}


def test_on_given_texts_its_losses_are_those_of_the_local_engine(
    place: Workplace, understudy: Understudy, running: Running
) -> None:
    """Nothing is drawn, so the two runs are one: the same recipe, one line apart."""
    losses = []
    for name, engine in (("here", {"kind": "local"}), ("there", there(running))):
        recipe = recipe_for(
            place, engine, name=name, objective={"method": "sft"}, teacher=None, steps=5, evaluation={"suites": []}
        )
        ended = understudy("train", recipe)
        assert ended.code == 0, ended.err
        losses.append([line["loss"] for line in metrics_of(place.path / "runs" / name)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.1


def test_a_local_teacher_tells_what_the_service_cannot(
    place: Workplace, understudy: Understudy, running: Running
) -> None:
    """EOPD asks its teacher for exact entropies; Lightning draws from the weights before step 0."""
    settings = {"steps": 2, "evaluation": {"suites": []}}
    eopd = {"method": "eopd", "top_k": 4}
    refused = understudy("train", recipe_for(place, there(running), objective=eopd, **settings))
    assert refused.code == 2 and "exact entropies from the teacher" in refused.err
    recipe = recipe_for(place, there(running, teacher="local"), objective=eopd, **settings)
    assert understudy("train", recipe).code == 0
    assert metrics_of(place.run)[0]["gate/forward_kl"] > 0
    shutil.rmtree(place.run)
    recipe = recipe_for(place, there(running), objective={"method": "lightning"}, **settings)
    ended = understudy("train", recipe)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"student": {"model": "student"}}, "give student.lora a rank"),
        ({"rollout": {"temperature": 0.7}}, "rollout.temperature"),
        ({"rollout": {"top_p": 0.9}}, "rollout.top_p"),
        ({"student": {"model": "student", "lora": {"rank": 2, "dropout": 0.1}}}, "student.lora.dropout"),
        ({"student": {"model": "student", "lora": {"rank": 2, "alpha": 4}}}, "student.lora.alpha"),
        ({"student": {"model": "student", "lora": RANK, "ema_decay": 0.9}}, "student.ema_decay"),
    ],
)
def test_what_the_service_has_no_setting_for_is_a_mistake_of_the_recipe(
    place: Workplace, understudy: Understudy, changes: dict[str, object], sentence: str
) -> None:
    recipe = recipe_for(place, {"kind": "tinker"}, **changes)
    ended = understudy("train", recipe, "--print-recipe")
    assert ended.code == 2
    assert sentence in ended.err and ended.err.count("\n") == 1


def test_a_missing_key_a_wrong_one_and_nobody_there_are_one_sentence_each(
    place: Workplace, understudy: Understudy, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINKER_API_KEY", "tml-another-key")
    ended = understudy("train", recipe_for(place, there(running)))
    assert ended.code == 2 and "refuses the API key" in ended.err and "another-key" not in ended.err
    monkeypatch.setenv("TINKER_API_KEY", "secret")
    ended = understudy("train", recipe_for(place, there(running)))
    assert ended.code == 2 and "begins with tml-" in ended.err and "secret" not in ended.err
    monkeypatch.delenv("TINKER_API_KEY")
    ended = understudy("train", recipe_for(place, there(running)))
    assert ended.code == 2 and "TINKER_API_KEY holds no API key" in ended.err
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    nobody = {"kind": "tinker", "base_url": "http://127.0.0.1:9", "start_seconds": 0.5}
    ended = understudy("train", recipe_for(place, nobody))
    assert ended.code == 1 and "does not answer" in ended.err
    assert ended.err.count("\n") == 1 and "Traceback" not in ended.err
    assert not place.run.exists()


def test_a_method_of_whole_vocabularies_is_refused_with_the_others_of_its_kind(
    place: Workplace, understudy: Understudy, running: Running
) -> None:
    ended = understudy("train", recipe_for(place, there(running), objective={"method": "gkd"}))
    assert ended.code == 2
    assert "method gkd cannot run on the Tinker service: it compares whole vocabularies" in ended.err
    assert "distillm, minillm, opsd, pw_opsd, tip" in ended.err and "engine.kind local" in ended.err


@pytest.mark.parametrize("deed", ["step", "save"])
def test_a_service_that_fails_within_a_run_ends_it_in_a_sentence_and_it_goes_on(
    deed: str, place: Workplace, understudy: Understudy, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"steps": 3, "checkpoint": {"every": 1}, "evaluation": {}}
    recipe = recipe_for(place, there(running, fetch_adapter=False), **small)
    real, asked = getattr(running.desk, deed), [0]

    def fails(*arguments: object, **options: object) -> object:
        asked[0] += 1
        if asked[0] >= 2:
            raise RuntimeError("the desk is on fire")
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(running.desk, deed, fails)
        ended = understudy("train", recipe)
    told = ended.err.splitlines()[-1]
    assert ended.code == 1 and told.startswith("understudy: ") and "on fire" in told, ended.err
    assert "Traceback" not in ended.err and KEY not in ended.err
    again = understudy("train", recipe, "--resume")
    assert again.code == 0, again.err
    assert [line["step"] for line in metrics_of(place.run)] == [0, 1, 2]
