"""Weights that go to several addresses, seen from their sockets: in which order, and to whom when one is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.servers.scripted import Answer, Asked, Reply, ScriptedServer, scripted
from understudy.engines.served_sampler import ServedSampler, connect_sampler
from understudy.errors import ServerDownError
from understudy.protocols import SampleRequest, SamplingParams
from understudy.servers.settings import ServerSettings

PARAMS = SamplingParams(max_completion_length=4, stop_ids=frozenset({1}))
REQUESTS = [SampleRequest(torch.tensor([2, 3]), key=key) for key in range(4)]


class Model:
    """What a server of vLLM's form holds: the label of its weights, its adapters, and whether it is paused."""

    def __init__(self) -> None:
        self.label, self.adapters, self.is_paused, self.fails = "0", list[str](), False, 0

    def __call__(self, asked: Asked) -> Reply:
        path, body = asked.path.partition("?")[0], asked.body or {}
        if path == "/v1/models":
            adapters = [{"id": name, "parent": "student"} for name in self.adapters]
            return Reply({"data": [{"id": "student", "parent": None, "max_model_len": 64}, *adapters]})
        if path == "/inference/v1/generate":
            return self._draw(body)
        if path in ("/pause", "/resume"):
            self.is_paused = path == "/pause"
        elif path == "/update_weight_version":
            self.label = body["new_version"]
        elif path == "/v1/load_lora_adapter":
            self.adapters.append(body["lora_name"])
        elif path == "/v1/unload_lora_adapter":
            self.adapters.remove(body["lora_name"])
        elif path == "/weight_info":
            return Reply({"weight_version": self.label})
        elif path not in ("/collective_rpc", "/reset_prefix_cache", "/health"):
            return Reply({"error": {"message": "no such route"}}, status=404)
        return Reply({"success": True})

    def _draw(self, body: dict[str, Any]) -> Reply:
        if self.is_paused or self.fails:
            self.fails = max(0, self.fails - 1)
            return Reply({}, status=503)
        if body["model"] not in ("student", *self.adapters):
            return Reply({"error": {"message": "no such model"}}, status=404)
        content = [{"token_id": 5, "logprob": -0.5}, {"token_id": 1, "logprob": -0.1}]
        spans = [{"version": self.label, "start": 0, "end": 2}]
        choice = {"token_ids": [5, 1], "logprobs": {"content": content}, "finish_reason": "stop"}
        return Reply({"choices": [{**choice, "weight_versions": spans}]})


def paths(server: ScriptedServer, *, since: int = 0) -> list[str]:
    return [asked.path for asked in server.asked[since:]]


def sampler_on(*servers: ScriptedServer) -> ServedSampler:
    urls = tuple(server.url for server in servers)
    return connect_sampler(ServerSettings(urls, start_seconds=5, deadline_seconds=8, timeout_seconds=5), max_length=64)


def whole(folder: Path, version: int) -> Path:
    target = folder / f"{version:06d}"
    target.mkdir()
    (target / "config.json").write_text("{}")
    return target


def adapter(folder: Path, version: int) -> Path:
    target = folder / f"{version:06d}"
    target.mkdir()
    (target / "adapter_config.json").write_text("{}")
    (target / "adapter_model.safetensors").write_text(str(version))
    return target


@contextmanager
def two(*answers: Answer) -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    with scripted(answers[0]) as one, scripted(answers[1]) as other:
        yield one, other


def test_all_weights_are_pushed_in_the_one_right_order(tmp_path: Path) -> None:
    with two(Model(), Model()) as servers:
        sampler = sampler_on(*servers)
        before = [len(server.asked) for server in servers]
        sampler.load_weights(whole(tmp_path, 3), 3)
        for server, count in zip(servers, before, strict=True):
            assert paths(server, since=count) == [
                "/pause?mode=wait",
                "/collective_rpc",
                "/update_weight_version",
                "/reset_prefix_cache",
                "/resume",
            ]
            pushed = server.asked[count + 1].body["kwargs"]["weights_path"]
            assert pushed == str((tmp_path / "000003").resolve())
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
        assert {version for sample in samples for version in sample.weight_version.tolist()} == {3}


@pytest.mark.parametrize(("slow", "make"), [("/collective_rpc", whole), ("/v1/load_lora_adapter", adapter)])
def test_a_server_that_reads_weights_for_longer_than_anybody_is_waited_for_has_them(
    tmp_path: Path, slow: str, make: Callable[[Path, int], Path]
) -> None:
    model = Model()

    def slowly(asked: Asked) -> Reply:
        return replace(model(asked), wait_seconds=1.2 if asked.path == slow else 0.0)

    with scripted(slowly) as server:
        settings = ServerSettings((server.url,), start_seconds=5, deadline_seconds=0.8, timeout_seconds=0.9)
        sampler = connect_sampler(settings, max_length=64)
        sampler.load_weights(make(tmp_path, 3), 3)
        assert server.count(slow) == 1
        (sample,) = sampler.sample(REQUESTS[:1], PARAMS, seed=0, step=0)
        assert sample.weight_version.tolist() == [3, 3]


def test_an_adapter_comes_under_a_new_name_before_the_old_one_goes(tmp_path: Path) -> None:
    models = Model(), Model()
    leftover = "understudy-00000000-000009-of-another-run"
    models[0].adapters.append(leftover)
    with two(*models) as servers:
        sampler = sampler_on(*servers)
        sampler.load_weights(adapter(tmp_path, 1), 1)
        first = models[1].adapters[0]
        before = len(servers[1].asked)
        sampler.load_weights(adapter(tmp_path, 2), 2)
        assert paths(servers[1], since=before) == ["/v1/load_lora_adapter", "/v1/unload_lora_adapter"]
        assert servers[1].asked[-1].body["lora_name"] == first
        assert models[1].adapters != [first] and len(models[1].adapters) == 1
        assert leftover in models[0].adapters, "another run's adapters are its own"
        # A session that begins anew forgets what the one before left on the servers.
        again = sampler_on(*servers)
        again.load_weights(adapter(tmp_path, 5), 5)
        assert [name.split("-")[2] for name in models[1].adapters] == ["000005"]


def test_one_that_is_away_holds_nobody_up_and_has_the_weights_before_it_draws(tmp_path: Path) -> None:
    healthy, lost = Model(), Model()
    with scripted(healthy) as here, scripted(lost) as away:
        sampler = sampler_on(here, away)
        sampler.load_weights(whole(tmp_path, 1), 1)
        away.close()
        started = time.monotonic()
        sampler.load_weights(whole(tmp_path, 2), 2)
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
        assert time.monotonic() - started < 8 and len(samples) == 4
        fresh = Model()
        with scripted(fresh, port=away.port) as back:
            until = time.monotonic() + 8
            while back.count("/inference/v1/generate") == 0 and time.monotonic() < until:
                drawn = sampler.sample(REQUESTS, PARAMS, seed=0, step=1)
                assert all(sample.weight_version.tolist() == [2, 2] for sample in drawn)
            order = [path for path in paths(back) if path in ("/update_weight_version", "/inference/v1/generate")]
            assert order[0] == "/update_weight_version" and "/inference/v1/generate" in order
            assert fresh.label.startswith("2-")


def test_a_sampler_that_fails_in_the_middle_of_a_step_leaves_its_draws_to_the_other(tmp_path: Path) -> None:
    failing, other = Model(), Model()
    with two(failing, other) as servers:
        sampler = sampler_on(*servers)
        sampler.load_weights(whole(tmp_path, 1), 1)
        failing.fails = 2
        told: list[int] = []
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0, ended=lambda place, _: told.append(place))
        assert len(samples) == 4 and sorted(told) == [0, 1, 2, 3], "each is given once"


def test_a_draw_with_weights_that_nobody_gave_is_made_again(tmp_path: Path) -> None:
    """A server that was started anew so quickly that no connection was lost."""
    model = Model()
    with scripted(model) as server:
        sampler = sampler_on(server)
        sampler.load_weights(whole(tmp_path, 4), 4)
        model.label = "0"
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
        assert all(sample.weight_version.tolist() == [4, 4] for sample in samples)
        assert model.label.startswith("4-")


def test_no_server_at_all_ends_the_run_in_one_sentence(tmp_path: Path) -> None:
    with scripted(Model()) as server:
        sampler = sampler_on(server)
    with pytest.raises(ServerDownError, match="no server took the weights of version 1"):
        sampler.load_weights(whole(tmp_path, 1), 1)
