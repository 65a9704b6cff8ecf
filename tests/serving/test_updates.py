"""Weights, adapters and pauses: what changes, what stays, and what is refused."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from tests.conformance.tiny import tiny_model
from tests.serving.asking import array, generate, refused, rows_of
from tests.serving.conftest import tiny_loaded
from tests.serving.served import running_server
from tests.tiny_files import save_model
from understudy.engines.local import LocalScorer
from understudy.models.load import load_model
from understudy.serving import ScoringServer

IDS = [2, 7, 3, 16, 5]
UPDATE_ROUTES = (
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/collective_rpc"),
    ("POST", "/update_weight_version"),
    ("POST", "/reset_prefix_cache"),
    ("GET", "/weight_info"),
    ("GET", "/is_paused"),
    ("GET", "/get_world_size"),
    ("POST", "/init_weight_transfer_engine"),
    ("POST", "/start_weight_update"),
    ("POST", "/update_weights"),
    ("POST", "/finish_weight_update"),
    ("POST", "/shutdown_weight_transfer_engine"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``base`` and ``other``, models of one architecture, and adapters ``one`` and ``two`` of ``base``."""
    folder = tmp_path_factory.mktemp("weights")
    save_model(folder / "base", seed=0)
    save_model(folder / "other", seed=1)
    for seed, name in enumerate(("one", "two")):
        save_adapter(folder / name, base=folder / "base", seed=seed)
    return folder


def save_adapter(path: Path, *, base: Path, seed: int) -> None:
    config = LoraConfig(r=2 + seed, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    wrapped = get_peft_model(load_model(base).model, config)
    torch.manual_seed(seed)
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            weight.data.normal_(std=0.3)
    wrapped.save_pretrained(path)
    settings = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": str(base)}))


@pytest.fixture
def server(folder: Path) -> Iterator[ScoringServer]:
    with running_server(folder / "base", allow_updates=True, name="base") as server:
        yield server


@pytest.fixture
def client(server: ScoringServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def entropies(client: httpx.Client, model: str | None = None) -> torch.Tensor:
    return array(generate(client, IDS, model=model, max_tokens=0, prompt_entropy=True)["prompt_entropy"])


def expected_of(folder: Path) -> torch.Tensor:
    entropy = rows_of(LocalScorer(load_model(folder)), IDS, start=0, entropy=True).entropy
    assert entropy is not None
    return entropy


def load(client: httpx.Client, name: str, path: Path, **more: object) -> httpx.Response:
    return client.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(path), **more})


def test_adapters_come_and_go_beside_the_model(client: httpx.Client, folder: Path) -> None:
    base = expected_of(folder / "base")
    for name in ("one", "two"):
        response = load(client, name, folder / name)
        assert response.status_code == 200 and "Success" in response.text, response.text
    for _ in range(2):
        for name in ("two", None, "one", "base"):
            wanted = base if name in (None, "base") else expected_of(folder / name)
            assert_close(entropies(client, name), wanted, atol=5e-6, rtol=0)
    assert float((expected_of(folder / "one") - base).abs().max()) > 0.01
    listed = client.get("/v1/models").json()["data"]
    assert [(entry["id"], entry["parent"]) for entry in listed] == [("base", None), ("one", "base"), ("two", "base")]

    assert client.post("/v1/unload_lora_adapter", json={"lora_name": "one"}).status_code == 200
    body = {"token_ids": IDS, "model": "one", "sampling_params": {"max_tokens": 1}}
    refused(client.post("/inference/v1/generate", json=body), 404, "'one' does not exist")
    assert_close(entropies(client), base, atol=1e-6, rtol=0)
    assert_close(entropies(client, "two"), expected_of(folder / "two"), atol=5e-6, rtol=0)
    assert client.post("/v1/unload_lora_adapter", json={"lora_name": "two"}).status_code == 200
    assert load(client, "step/1.keys", folder / "two").status_code == 200
    assert_close(entropies(client, "step/1.keys"), expected_of(folder / "two"), atol=5e-6, rtol=0)


def test_an_adapter_also_samples(client: httpx.Client, folder: Path) -> None:
    assert load(client, "one", folder / "one").status_code == 200
    answer = generate(client, IDS, model="one", n=3, seed=4, max_tokens=6, logprobs=0, ignore_eos=True)
    assert answer["model"] == "one"
    adapted = LocalScorer(load_model(folder / "one"))
    for choice in answer["choices"]:
        own = rows_of(adapted, [*IDS, *choice["token_ids"]], start=len(IDS) - 1).sampled
        told = [entry["logprob"] for entry in choice["logprobs"]["content"]]
        assert told == pytest.approx(own.tolist(), abs=1e-5)


def test_adapters_and_model_at_once(server: ScoringServer, client: httpx.Client, folder: Path) -> None:
    load(client, "one", folder / "one")
    expected = {"base": expected_of(folder / "base"), "one": expected_of(folder / "one")}

    def ask(number: int) -> None:
        name = ("base", "one")[number % 2]
        with httpx.Client(base_url=server.url, timeout=30) as own:
            for _ in range(5):
                assert_close(entropies(own, name), expected[name], atol=5e-6, rtol=0)
                generate(own, IDS, model=name, max_tokens=4, ignore_eos=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_adapters_that_cannot_be_taken(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    before = entropies(client)
    refused(load(client, "x", tmp_path / "nowhere"), 404, "adapter_config.json")
    refused(load(client, "", folder / "one"), 400, "a name of its own")
    refused(load(client, "base", folder / "one"), 400, "a name of its own")
    refused(client.post("/v1/unload_lora_adapter", json={"lora_name": "x"}), 404, "not loaded")

    def changed(name: str, **settings: object) -> Path:
        shutil.copytree(folder / "one", tmp_path / name)
        file = tmp_path / name / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))
        return tmp_path / name

    refused(load(client, "x", changed("kind", peft_type="IA3")), 400, "not LoRA")
    refused(load(client, "x", changed("whole", modules_to_save=["lm_head"])), 400, "output head")
    refused(load(client, "x", changed("rank", r=7)), 400, "does not fit")
    refused(load(client, "x", changed("elsewhere", target_modules=["no_such"])), 400, "does not fit")
    weights = changed("nan") / "adapter_model.safetensors"
    save_file({name: value * torch.nan for name, value in load_file(weights).items()}, weights)
    refused(load(client, "x", tmp_path / "nan"), 400, "NaN")
    short = changed("short") / "adapter_model.safetensors"
    short.write_bytes(short.read_bytes()[:100])
    refused(load(client, "x", tmp_path / "short"), 400, "cannot be read")
    some = changed("some") / "adapter_model.safetensors"
    save_file(dict(list(load_file(some).items())[:1]), some)
    refused(load(client, "x", tmp_path / "some"), 400, "does not fit")

    assert [entry["id"] for entry in client.get("/v1/models").json()["data"]] == ["base"]
    assert_close(entropies(client), before, atol=1e-6, rtol=0)
    assert load(client, "x", folder / "one").status_code == 200
    refused(load(client, "x", folder / "one"), 400, "already been loaded")
    assert load(client, "x", folder / "two", load_inplace=True).status_code == 200
    assert_close(entropies(client, "x"), expected_of(folder / "two"), atol=5e-6, rtol=0)


def test_a_refused_successor_leaves_the_adapter_as_it_was(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    """Whether it has a weight too many, which PEFT passes over, or too few."""
    assert load(client, "one", folder / "one").status_code == 200
    before = entropies(client, "one")
    weights = load_file(folder / "two" / "adapter_model.safetensors")
    first = next(iter(weights))
    extra = {first.replace("layers.0", "layers.77"): weights[first].clone()}
    lacking = {name: value for name, value in weights.items() if name != first}
    for number, (content, said) in enumerate(
        (({**weights, **extra}, "no place for model.layers.77"), (lacking, "no "))
    ):
        path = tmp_path / str(number)
        shutil.copytree(folder / "two", path)
        save_file(content, path / "adapter_model.safetensors")
        for name in ("one", "new"):
            response = load(client, name, path, load_inplace=True)
            assert response.status_code == 400 and said in response.text, response.text
    assert torch.equal(entropies(client, "one"), before)
    assert [entry["id"] for entry in client.get("/v1/models").json()["data"]] == ["base", "one"]
    assert load(client, "one", folder / "two", load_inplace=True).status_code == 200
    assert_close(entropies(client, "one"), expected_of(folder / "two"), atol=5e-6, rtol=0)


def test_new_weights_from_disk(client: httpx.Client, folder: Path) -> None:
    old = client.get("/server_info").json()["understudy"]["fingerprint"]
    load(client, "one", folder / "one")
    assert client.get("/weight_info").json() == {"weight_version": "0"}
    response = reload(client, folder / "other")
    assert response.status_code == 200, response.text
    client.post("/update_weight_version", json={"new_version": "12"})
    assert client.post("/reset_prefix_cache").json() == {"success": True}
    assert client.get("/weight_info").json() == {"weight_version": "12"}
    assert_close(entropies(client), expected_of(folder / "other"), atol=1e-6, rtol=0)
    new = client.get("/server_info").json()["understudy"]["fingerprint"]
    assert new == load_model(folder / "other").fingerprint != old
    spans = generate(client, IDS, max_tokens=3, ignore_eos=True)["choices"][0]["weight_versions"]
    assert spans == [{"version": "12", "start": 0, "end": 3}]


def reload(client: httpx.Client, path: object) -> httpx.Response:
    call = {"method": "reload_weights", "kwargs": {"weights_path": str(path)}, "timeout": 600}
    return client.post("/collective_rpc", json=call)


def test_weights_that_cannot_be_taken_change_nothing(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    before = entropies(client)
    refused(reload(client, tmp_path / "nowhere"), 400, "not a folder")
    tiny_model(layers=2).save_pretrained(tmp_path / "deeper")
    refused(reload(client, tmp_path / "deeper"), 400, "another architecture")
    shutil.copytree(folder / "other", tmp_path / "short")
    (tmp_path / "short" / "model.safetensors").write_bytes(b"\0" * 50)
    refused(reload(client, tmp_path / "short"), 400, "cannot be loaded")
    save_model(tmp_path / "broken", seed=0)
    weights = load_file(tmp_path / "broken" / "model.safetensors")
    weights["model.embed_tokens.weight"][3] = torch.nan
    save_file(weights, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    refused(reload(client, tmp_path / "broken"), 400, "NaN")
    refused(client.post("/collective_rpc", json={"method": "eval"}), 400, "'eval' is not known")
    refused(client.post("/collective_rpc", json={"method": "reload_weights"}), 400, "weights_path")
    assert torch.equal(entropies(client), before)


def test_the_head_travels_with_its_fingerprint(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    response = client.get("/understudy/head")
    fingerprint = client.get("/server_info").json()["understudy"]["fingerprint"]
    assert response.headers["etag"] == f'"{fingerprint}"'
    (tmp_path / "head.safetensors").write_bytes(response.content)
    weight = load_file(tmp_path / "head.safetensors")["weight"]
    states = array(generate(client, IDS, max_tokens=0, prompt_hidden=True)["prompt_hidden"])
    top = (states @ weight.T).log_softmax(-1).topk(3)
    expected = rows_of(LocalScorer(load_model(folder / "base")), IDS, start=0, top_k=3)
    assert top.indices.tolist() == expected.top_ids.tolist()
    assert_close(top.values, expected.top_logprobs, atol=2e-6, rtol=0)
    assert client.get("/understudy/head", headers={"If-None-Match": f'"{fingerprint}"'}).status_code == 304
    reload(client, folder / "other")
    assert client.get("/understudy/head", headers={"If-None-Match": f'"{fingerprint}"'}).status_code == 200


@pytest.mark.parametrize("mode", ["abort", "wait"])
def test_while_paused_nobody_is_let_in(client: httpx.Client, mode: str) -> None:
    assert client.post(f"/pause?mode={mode}").json() == {"status": "paused"}
    assert client.get("/is_paused").json() == {"is_paused": True}
    body = {"token_ids": IDS, "sampling_params": {"max_tokens": 1}}
    refused(client.post("/inference/v1/generate", json=body), 503, "paused")
    assert client.get("/health").status_code == 200
    assert client.post("/resume").json() == {"status": "resumed"}
    assert client.post("/inference/v1/generate", json=body).status_code == 200
    refused(client.post("/pause?mode=sleep"), 400, "'sleep' is not known")


def test_keep_lets_requests_wait_for_the_new_weights(server: ScoringServer, client: httpx.Client, folder: Path) -> None:
    client.post("/pause?mode=keep")
    found: list[torch.Tensor] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as own:
            found.append(entropies(own))

    waits = threading.Thread(target=ask)
    waits.start()
    while server.service.line.waiting("score") == 0:
        time.sleep(0.005)
    reload(client, folder / "other")
    assert not found
    client.post("/resume")
    waits.join(timeout=30)
    assert_close(found[0], expected_of(folder / "other"), atol=1e-6, rtol=0)


def test_abort_ends_a_running_completion() -> None:
    with (
        running_server(tiny_loaded(max_length=1 << 16), allow_updates=True) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        body = {"token_ids": IDS, "sampling_params": {"max_tokens": 60000, "ignore_eos": True, "n": 2}}
        running = pool.submit(httpx.post, f"{server.url}/inference/v1/generate", json=body, timeout=60)
        time.sleep(0.5)
        client.post("/pause?mode=abort")
        choices = running.result().json()["choices"]
        assert [choice["finish_reason"] for choice in choices] == ["abort", "abort"]
        client.post("/resume")
        assert generate(client, IDS, max_tokens=2)["choices"][0]["finish_reason"] != "abort"


def test_without_allow_updates_nothing_can_be_changed(folder: Path) -> None:
    with running_server(folder / "base") as server, httpx.Client(base_url=server.url) as client:
        for method, route in UPDATE_ROUTES:
            refused(client.request(method, route, json={} if method == "POST" else None), 404)
