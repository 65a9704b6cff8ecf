"""Weights that go from memory to memory: to our own server, to one of SGLang's form, and in vLLM's order."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import torch.distributed as dist
from safetensors import safe_open
from torch import Tensor
from torch.distributed import distributed_c10d as c10d
from torch.testing import assert_close

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from tests.servers.scripted import Asked, Reply, scripted
from tests.serving.served import running_server
from understudy.engines.pushed_weights import PushedWeights, named_weights, weights_as_saved
from understudy.engines.served_sampler import ServedSampler, connect_sampler
from understudy.errors import CapabilityError, ServerDownError, ServerError
from understudy.models.load import LoadedModel, describe
from understudy.protocols import SampleRequest, SamplingParams
from understudy.servers.background import background
from understudy.servers.cargo import Cargo
from understudy.servers.pool import ServerPool
from understudy.servers.pushing import Pusher
from understudy.servers.pushing_sglang import SglangForm
from understudy.servers.pushing_vllm import VllmForm
from understudy.servers.settings import ServerSettings
from understudy.servers.weight_group import NAME, WeightGroup
from understudy.serving import ScoringServer

PARAMS = SamplingParams(max_completion_length=4, stop_ids=frozenset({1}))
REQUESTS = [SampleRequest(torch.tensor([2, 3]), key=key) for key in range(4)]
SECONDS = 5.0


def loaded(seed: int) -> LoadedModel:
    return describe(tiny_model(seed=seed), tiny_tokenizer())


@pytest.fixture
def server() -> Iterator[ScoringServer]:
    with running_server(loaded(0), allow_updates=True) as server:
        yield server


def sampler_on(*urls: str) -> ServedSampler:
    settings = ServerSettings(urls, start_seconds=5, deadline_seconds=8, timeout_seconds=SECONDS)
    sampler = connect_sampler(settings, max_length=64)
    sampler.push_with(Pusher(VllmForm("gloo", SECONDS)))
    return sampler


def weights_of(server: ScoringServer) -> dict[str, Tensor]:
    return named_weights(server.service.resident.loaded.model)


def assert_has(server: ScoringServer, wanted: dict[str, Tensor]) -> None:
    there = weights_of(server)
    assert there.keys() == wanted.keys()
    for name, value in there.items():
        assert_close(value, wanted[name], atol=0, rtol=0)


def test_every_server_has_the_weights_of_the_present_version_and_no_other(server: ScoringServer) -> None:
    with running_server(loaded(0), allow_updates=True) as other:
        sampler = sampler_on(server.url, other.url)
        live = tiny_model(seed=1)
        supply = PushedWeights(lambda: named_weights(live), sampler)
        supply.keep(1)
        kept = {name: weight.clone() for name, weight in named_weights(live).items()}
        with torch.no_grad():
            for weight in live.parameters():
                weight.add_(1.0)  # training goes on between the two halves
        supply.keep(2)
        supply.give(1)
        for one in (server, other):
            assert_has(one, kept)
            assert not one.service.line.is_paused
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
        assert {version for one in samples for version in one.weight_version.tolist()} == {1}
        told = server.service.resident.fingerprint
        assert told == describe(tiny_model(seed=1), tiny_tokenizer()).fingerprint
        supply.give(2)
        assert_has(other, named_weights(live))
        assert server.service.resident.fingerprint != told


def test_a_server_that_was_started_anew_is_given_them_before_it_draws() -> None:
    with running_server(loaded(0), allow_updates=True) as first:
        sampler, port = sampler_on(first.url), first.socket.getsockname()[1]
        cargo = Cargo(named_weights(tiny_model(seed=1)), "1-abc")
        sampler.push_weights(cargo, 1)
        before = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
    with running_server(loaded(0), allow_updates=True, port=port) as second:
        again = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
        assert_has(second, dict(cargo.tensors))
        assert [one.completion_ids.tolist() for one in again] == [one.completion_ids.tolist() for one in before]
        sampler.push_weights(Cargo(named_weights(tiny_model(seed=2)), "2-abc"), 2)
        assert second.service.resident.version == "2-abc"


def _without_last(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(weights.items())[:-1])


def _of_other_shape(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "model.norm.weight": torch.ones(3)}


def _of_other_name(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "model.abacus": torch.ones(3)}


def _broken(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "model.norm.weight": torch.full_like(weights["model.norm.weight"], torch.nan)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_last, "is missing"),
        (_of_other_shape, r"'model.norm.weight' has the shape \[3\]"),
        (_of_other_name, "no weight 'model.abacus'"),
        (_broken, "'model.norm.weight' holds NaN"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence_and_changes_nothing(
    server: ScoringServer, spoil: Any, words: str
) -> None:
    before = {name: weight.clone() for name, weight in weights_of(server).items()}
    sampler = sampler_on(server.url)
    good = named_weights(tiny_model(seed=1))
    with pytest.raises(ServerError, match=words) as caught:
        sampler.push_weights(Cargo(spoil(good), "1-abc"), 1)
    assert server.url in str(caught.value) and not isinstance(caught.value, ServerDownError)
    assert_has(server, before)
    assert server.service.resident.version == "0" and not server.service.line.is_paused
    sampler.push_weights(Cargo(good, "2-abc"), 2)
    assert_has(server, good)


class Unlisted(VllmForm):
    """Pushes as to vLLM, which is not told beforehand what will come."""

    async def opened(self, pool: ServerPool, address: str) -> WeightGroup:
        return await VllmForm("gloo", SECONDS).opened(pool, address)


@pytest.mark.parametrize(("spoil", "words"), [(_of_other_shape, "shape"), (_without_last, "is missing")])
def test_what_is_refused_in_mid_push_leaves_nobody_waiting(server: ScoringServer, spoil: Any, words: str) -> None:
    before = {name: weight.clone() for name, weight in weights_of(server).items()}
    good = named_weights(tiny_model(seed=1))
    sampler = sampler_on(server.url)
    sampler.push_with(Pusher(Unlisted(None, seconds=60)))
    started = time.monotonic()
    with pytest.raises(ServerError, match=words):
        sampler.push_weights(Cargo(spoil(good), "1-abc"), 1)
    assert time.monotonic() - started < 30, "the end that sends notices that the other one has gone"
    assert_has(server, before)
    assert not server.service.line.is_paused
    sampler.push_weights(Cargo(good, "2-abc"), 2)
    assert_has(server, good)


def test_the_routes_refuse_what_is_out_of_turn(server: ScoringServer) -> None:
    with httpx.Client(base_url=server.url, timeout=10) as client:
        assert client.get("/get_world_size").json() == {"world_size": 1}
        assert "no group" in client.post("/start_weight_update", json={}).text
        assert "no group" in client.post("/update_weights", json={"update_info": {}}).text
        assert "/start_weight_update begins one" in client.post("/finish_weight_update", json={}).text
        info = {"master_address": "127.0.0.1", "master_port": 9}
        for change, words in ({"packed": True}, "packed"), ({"backend": "x"}, "'x'"), ({"world_size": 3}, "one rank"):
            answer = client.post("/init_weight_transfer_engine", json={"init_info": info | change})
            assert answer.status_code == 400 and words in answer.text


class Recorded:
    """Implements ``WeightGroup``: what this end sent."""

    def __init__(self) -> None:
        self.sent: list[Tensor] = []

    def broadcast(self, tensor: Tensor) -> None:
        self.sent.append(tensor)

    def close(self) -> None:
        self.sent.clear()


def test_vllm_is_asked_in_the_one_right_order() -> None:
    cargo = Cargo({"a": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}, "7-abc")
    group = Recorded()
    with scripted(lambda _: Reply({"success": True})) as server:
        pool = ServerPool(ServerSettings((server.url,)))
        background().run(VllmForm(None, SECONDS).pushed(pool, group, cargo))
    assert [asked.path for asked in server.asked] == [
        "/pause?mode=wait",
        "/start_weight_update",
        "/update_weights",
        "/finish_weight_update",
        "/reset_prefix_cache",
        "/resume",
    ]
    info = {"names": ["a", "b"], "dtype_names": ["float32", "bfloat16"], "shapes": [[2, 3], [4]]}
    assert server.asked[2].body == {"update_info": info}
    assert server.asked[3].body == {"weight_version": "7-abc"}
    assert [tuple(one.shape) for one in group.sent] == [(2, 3), (4,)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_vllm_wants_a_gpu() -> None:
    with scripted(lambda _: Reply({"world_size": 1})) as server:
        pool = ServerPool(ServerSettings((server.url,)))
        with pytest.raises(CapabilityError, match="by NCCL alone"):
            background().run(VllmForm(None, SECONDS).opened(pool, "127.0.0.1"))


class Sglang:
    """A server of SGLang's form that joins and receives as SGLang does: by a group that torch.distributed makes."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.version, self.flushed, self.group = "", False, None

    def __call__(self, asked: Asked) -> Reply:
        body = asked.body or {}
        if asked.path == "/server_info":
            return Reply({"tp_size": 1})
        if asked.path == "/destroy_weights_update_group":
            return Reply({"success": False, "message": "no such group"}, status=400)
        if asked.path == "/init_weights_update_group":
            self._join(body)
        if asked.path == "/update_weights_from_distributed":
            self._receive(body)
        return Reply({"success": True, "message": ""})

    def _join(self, body: dict[str, Any]) -> None:
        wait = datetime.timedelta(seconds=SECONDS)
        store: Any = dist.TCPStore(body["master_address"], body["master_port"], body["world_size"], False, wait)
        name = body["group_name"]
        self.group, _ = c10d._new_process_group_helper(
            body["world_size"],
            body["rank_offset"],
            [],
            c10d.Backend(body["backend"]),
            dist.PrefixStore(name, store),
            group_name=name,
            timeout=wait,
        )

    def _receive(self, body: dict[str, Any]) -> None:
        for name, dtype, shape in zip(body["names"], body["dtypes"], body["shapes"], strict=True):
            there = torch.empty(shape, dtype=getattr(torch, dtype))
            self.group.broadcast(there, 0).wait()  # type: ignore[attr-defined]
            self.weights[name] = there
        self.version, self.flushed = body.get("weight_version", self.version), body["flush_cache"]


def test_a_server_of_sglangs_form_receives_by_its_own_kind_of_group() -> None:
    sglang = Sglang()
    model = tiny_model(seed=1)
    cargo = Cargo(weights_as_saved(model), "3-abc")
    try:
        with scripted(sglang) as server:
            pool = ServerPool(ServerSettings((server.url,), timeout_seconds=SECONDS))
            background().run(Pusher(SglangForm("gloo", SECONDS)).push(pool, cargo))
        assert [asked.path for asked in server.asked][-3:] == [
            "/pause_generation",
            "/update_weights_from_distributed",
            "/continue_generation",
        ]
        assert sglang.version == "3-abc" and sglang.flushed
        for name, weight in named_weights(model).items():
            assert torch.equal(sglang.weights[name], weight)
    finally:
        for held in (c10d._world.pg_names, c10d._world.pg_map, c10d._world.pg_backend_config):
            for group in [one for one in held if one is sglang.group]:
                del held[group]
    assert NAME not in c10d._world.pg_names.values()


def test_a_bucket_is_never_larger_than_it_may_be_unless_one_tensor_is() -> None:
    cargo = Cargo({name: torch.zeros(size) for name, size in (("a", 10), ("b", 10), ("c", 90), ("d", 1))}, "x")
    assert list(cargo.buckets(80)) == [["a", "b"], ["c"], ["d"]]
    assert list(Cargo({}, "x").buckets()) == []


def test_files_names_are_those_that_a_saved_model_has(tmp_path: Path) -> None:
    model = tiny_model(seed=0)
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(weights_as_saved(model))
