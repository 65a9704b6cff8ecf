"""Many clients at once: everybody gets the answer that they would have got alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.serving.asking import array, generate, refused, rows_of
from tests.serving.conftest import tiny_loaded
from tests.serving.served import running_server
from tests.tiny_files import save_model
from understudy.engines.local import LocalScorer
from understudy.serving import ScoringServer

CLIENTS = 32


def ids_of(number: int) -> list[int]:
    generator = torch.Generator().manual_seed(number)
    return torch.randint(2, 17, (4 + number % 30,), generator=generator).tolist()


def at_once(server: ScoringServer, ask: Callable[[httpx.Client, int], None]) -> None:
    """Let as many clients ask, all beginning at the same moment."""
    start = threading.Barrier(CLIENTS)

    def one(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            start.wait(timeout=30)
            ask(client, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS)))


@dataclass(frozen=True)
class Case:
    """What one client asks for, and the answer's field that is compared."""

    params: dict[str, object]
    field: str
    expected: Tensor


def case_of(number: int, scorer: LocalScorer) -> Case:
    """Four kinds of wishes, of many sizes."""
    ids, kind = ids_of(number), number % 4
    if kind == 0:
        chosen = [[(row + column) % 17 for column in range(1 + number % 5)] for row in range(len(ids) - 1)]
        expected = rows_of(scorer, ids, start=0, ids=torch.tensor(chosen)).at_ids
        return Case({"prompt_logprob_token_ids": chosen}, "prompt_token_id_logprobs", expected)
    if kind == 1:
        k = 1 + number % 7
        params = {"max_tokens": 1, "prompt_top_k": k, "prompt_logprob_start": 2}
        return Case(params, "prompt_top_logprobs", rows_of(scorer, ids, start=2, top_k=k).top_logprobs)
    if kind == 2:
        params = {"prompt_entropy": True, "prompt_temperature": 1.5}
        return Case(params, "prompt_entropy", rows_of(scorer, ids, start=0, entropy=True, temperature=1.5).entropy)
    params = {"prompt_hidden": True, "prompt_entropy": True}
    return Case(params, "prompt_hidden", rows_of(scorer, ids, start=0, hidden=True).hidden)


@pytest.mark.timeout(120)
def test_scores_of_many_wishes_at_once(server: ScoringServer, scorer: LocalScorer) -> None:
    cases = [case_of(number, scorer) for number in range(CLIENTS)]

    def ask(client: httpx.Client, number: int) -> None:
        case = cases[number]
        for _ in range(3):
            answer = generate(client, ids_of(number), **{"max_tokens": 0, **case.params})
            assert_close(array(answer[case.field]), case.expected, atol=2e-6, rtol=0)

    at_once(server, ask)


@pytest.mark.timeout(120)
def test_a_draw_does_not_depend_on_its_company(server: ScoringServer, client: httpx.Client) -> None:
    def params(number: int) -> dict[str, object]:
        return {"seed": number, "n": 1 + number % 3, "max_tokens": 3 + number % 9, "ignore_eos": number % 2 == 0}

    found: dict[int, list[list[int]]] = {}

    def ask(client: httpx.Client, number: int) -> None:
        answer = generate(client, ids_of(number % 6), **params(number))
        found[number] = [choice["token_ids"] for choice in answer["choices"]]

    at_once(server, ask)
    for number in range(CLIENTS):
        alone = generate(client, ids_of(number % 6), **params(number))
        assert [choice["token_ids"] for choice in alone["choices"]] == found[number]


@pytest.mark.timeout(120)
def test_requests_share_batches_and_a_group_its_prompt(server: ScoringServer, client: httpx.Client) -> None:
    at_once(server, lambda client, number: generate(client, ids_of(3), seed=number, max_tokens=8) and None)
    counted = {
        line.split(" ")[0]: float(line.split(" ")[1])
        for line in client.get("/metrics").text.splitlines()
        if line and not line.startswith("#")
    }
    batches = counted['understudy_batch_requests_count{kind="sample"}']
    assert counted['understudy_batch_requests_sum{kind="sample"}'] / batches > 1.5
    assert counted['understudy_requests_total{route="/inference/v1/generate",status="200"}'] >= CLIENTS
    assert counted['understudy_waiting_requests{kind="score"}'] == 0


@pytest.mark.timeout(120)
def test_a_long_completion_delays_no_score_and_ends_when_its_client_leaves() -> None:
    with running_server(tiny_loaded(max_length=1 << 16)) as server, httpx.Client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(
                "/inference/v1/generate",
                json={"token_ids": [2, 3], "sampling_params": {"ignore_eos": True, "max_tokens": 60000}},
                timeout=0.5,
            )
        began = time.monotonic()
        assert len(generate(client, [2, 3], max_tokens=2)["choices"]) == 1  # minutes, were the first still drawn
        assert time.monotonic() - began < 20

        long = threading.Thread(
            target=lambda: httpx.post(
                f"{server.url}/inference/v1/generate",
                json={"token_ids": [2, 3], "sampling_params": {"ignore_eos": True, "max_tokens": 500}},
                timeout=60,
            )
        )
        long.start()
        time.sleep(0.3)
        answered = 0
        while long.is_alive():
            generate(client, [2, 3, 4], max_tokens=0, prompt_entropy=True)
            answered += long.is_alive()
        assert answered >= 2


@pytest.mark.timeout(60)
def test_beyond_the_bound_clients_are_told_to_come_back() -> None:
    with (
        running_server(tiny_loaded(), max_waiting=1, allow_updates=True) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        client.post("/pause?mode=keep")
        waits = pool.submit(httpx.post, f"{server.url}/inference/v1/generate", json=body(), timeout=30)
        while server.service.line.waiting("score") == 0:
            time.sleep(0.005)
        response = client.post("/inference/v1/generate", json=body())
        refused(response, 503, "1 requests wait already")
        assert int(response.headers["Retry-After"]) >= 1
        client.post("/resume")
        assert waits.result().status_code == 200


@pytest.mark.timeout(60)
def test_nobody_pays_for_a_neighbour(tmp_path: Path) -> None:
    save_model(tmp_path, seed=0, broken_word=9)
    with (
        running_server(tmp_path, allow_updates=True) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
        ThreadPoolExecutor(6) as pool,
    ):
        client.post("/pause?mode=keep")
        samples = {"max_tokens": 3, "ignore_eos": True, "temperature": 0}
        bodies = [
            {"token_ids": ids, "sampling_params": params}
            for params in (samples, {"max_tokens": 0, "prompt_entropy": True})
            for ids in ([2, 3, 4], [2, 9, 4], [5, 6])
        ]
        route = f"{server.url}/inference/v1/generate"
        asked = [pool.submit(httpx.post, route, json=body, timeout=30) for body in bodies]
        while server.service.line.waiting("score") + server.service.line.waiting("sample") < len(bodies):
            time.sleep(0.005)
        client.post("/resume")
        answers = [one.result() for one in asked]
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200, 500, 200]
    refused(answers[1], 500, "not finite")
    refused(answers[4], 500, "NaN")


def body() -> dict[str, object]:
    return {"token_ids": [2, 3], "sampling_params": {"max_tokens": 0, "prompt_entropy": True}}
