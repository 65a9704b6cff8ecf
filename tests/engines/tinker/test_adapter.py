"""The trained adapter in the run's folder: the very weights that the service has, and what is made of a bad export."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from tests.tinker_service.running import KEY, Running, tinker_service
from tests.tinker_service.student import dense
from understudy.engines.local import OptimizerConfig
from understudy.engines.tinker import TinkerLora, TinkerPolicy, TinkerService, TinkerSettings, adapter
from understudy.engines.tinker.adapter import SETTINGS, WEIGHTS, fetch_adapter
from understudy.errors import ServerAnswerError, ServerError
from understudy.models.load import LoadedModel, load_model

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("adapter") / "base"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return load_model(folder)


@pytest.fixture(scope="module")
def running(base: LoadedModel) -> Iterator[Running]:
    with tinker_service({base.name: base}) as running:
        yield running


@pytest.fixture
def policy(base: LoadedModel, running: Running) -> Iterator[TinkerPolicy]:
    running.desk.spoil = dict
    service = TinkerService(TinkerSettings(KEY, running.url, timeout_seconds=30))
    policy = TinkerPolicy(
        base,
        service,
        base_model=base.name,
        lora=TinkerLora(4),
        optimizer=OptimizerConfig(),
        total_updates=1,
        fetches=True,
    )
    _ = policy.training
    student = list(running.desk.students.values())[-1]
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in student.parameters.values():
            weight.normal_(std=0.2)
    yield policy
    service.close()


def test_a_checkpoint_has_the_adapter_that_the_service_has(
    policy: TinkerPolicy, running: Running, base: LoadedModel, tmp_path: Path
) -> None:
    policy.save(tmp_path)
    fetched = load_model(tmp_path / "adapter")
    student, tokens = list(running.desk.students.values())[-1], [2, 5, 3, 7]
    with torch.no_grad():
        own, there, before = (dense(m, tokens, base.vocab_size) for m in (fetched.model, student.model, base.model))
    assert_close(own, there, atol=1e-5, rtol=0)
    assert float((there - before).abs().max()) > 0.01
    assert fetched.tokenizer is not None
    assert json.loads((tmp_path / "tinker.json").read_text())["path"].startswith("tinker://")
    assert running.desk.exports == {}, "what was exported for the fetch alone is deleted there"
    assert KEY not in "".join(f.read_text() for f in tmp_path.rglob("*.json"))


def _without_weights(files: Files) -> Files:
    return {SETTINGS: files[SETTINGS], "../../../evil.safetensors": b"x", "adapter_model.bin": b"pickle"}


def _of_another_kind(files: Files) -> Files:
    return {**files, SETTINGS: json.dumps({"peft_type": "IA3"}).encode()}


def _no_json(files: Files) -> Files:
    return {**files, SETTINGS: b"{"}


def _too_long(files: Files) -> Files:
    return {**files, SETTINGS: b" " * (2 << 20)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_weights, "no adapter in PEFT's form"),
        (_of_another_kind, "no LoRA adapter"),
        (_no_json, "cannot be read"),
        (_too_long, "longer than any"),
        (lambda _: {}, "no files"),
    ],
)
def test_an_export_that_is_no_adapter_leaves_nothing_and_is_told(
    policy: TinkerPolicy,
    running: Running,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Files], Files],
    words: str,
) -> None:
    running.desk.spoil = spoil
    with pytest.raises(ServerAnswerError, match=words):
        fetch_adapter(policy.service, policy.training, tmp_path, base_model="base", name="x")
    assert list(tmp_path.iterdir()) == [] and running.desk.exports == {}
    with caplog.at_level(logging.WARNING):
        policy.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tinker.json"], "the checkpoint stands without it"
    assert words in caplog.text and "was not fetched" in caplog.text


def test_only_the_two_files_of_an_adapter_are_taken(policy: TinkerPolicy, running: Running, tmp_path: Path) -> None:
    running.desk.spoil = lambda files: {**files, "../escape.json": b"{}", "adapter_model.bin": b"pickle", "x/y": b""}
    target = fetch_adapter(policy.service, policy.training, tmp_path / "a", base_model="base", name="x")
    assert {file.name for file in target.iterdir()} == {SETTINGS, WEIGHTS}
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()].count("escape.json") == 0
    assert json.loads((target / SETTINGS).read_text())["base_model_name_or_path"] == "base"


def test_an_address_that_is_not_encrypted_is_refused_of_a_service_that_is() -> None:
    urls = {SETTINGS: "http://elsewhere/a", WEIGHTS: "https://elsewhere/b"}
    with pytest.raises(ServerAnswerError, match="not https"):
        adapter._addresses(urls, "https://service")
    with pytest.raises(ServerAnswerError, match="not https"):
        adapter._addresses({**urls, SETTINGS: "file:///etc/passwd"}, "http://service")
    assert adapter._addresses(urls, "http://localhost:1") == urls


def test_a_file_that_is_not_there_is_an_error_without_its_address(
    policy: TinkerPolicy, running: Running, tmp_path: Path
) -> None:
    with pytest.raises(ServerError) as caught:
        adapter._download(f"{running.url}/nothing?key=secret", tmp_path / "f", most_bytes=10, deadline=float("inf"))
    assert "secret" not in str(caught.value) and "HTTP 4" in str(caught.value)
