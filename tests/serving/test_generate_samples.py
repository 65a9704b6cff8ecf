"""Completions over the wire: their log-probs, their seeds, and what ends them."""

from __future__ import annotations

import httpx
import pytest
import torch

from tests.serving.asking import generate, refused, rows_of
from understudy.engines.local import LocalScorer
from understudy.models.load import LoadedModel

PROMPT = [2, 7, 3]


def logprobs_of(choice: dict) -> list[float]:
    return [entry["logprob"] for entry in choice["logprobs"]["content"]]


def test_logprobs_are_those_of_the_distribution_that_sampled(client: httpx.Client, scorer: LocalScorer) -> None:
    answer = generate(client, PROMPT, n=4, seed=5, max_tokens=9, temperature=0.8, logprobs=0, ignore_eos=True)
    assert len(answer["choices"]) == 4
    for choice in answer["choices"]:
        expected = rows_of(scorer, [*PROMPT, *choice["token_ids"]], start=2, temperature=0.8)
        assert logprobs_of(choice) == pytest.approx(expected.sampled.tolist(), abs=2e-6)
        assert choice["weight_versions"] == [{"version": "0", "start": 0, "end": 9}]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 36, "total_tokens": 39}


def test_top_logprobs_are_of_the_truncated_distribution(client: httpx.Client, scorer: LocalScorer) -> None:
    params = {"temperature": 0.9, "top_p": 0.7, "top_k": 5}
    answer = generate(client, PROMPT, seed=1, max_tokens=6, logprobs=8, ignore_eos=True, **params)
    (choice,) = answer["choices"]
    full = rows_of(scorer, [*PROMPT, *choice["token_ids"]], start=2, top_k=17, temperature=0.9)
    for place, entry in enumerate(choice["logprobs"]["content"]):
        # By hand: the five most likely, of these as few as hold 0.7 of their mass, renormalised.
        five = full.top_logprobs[place, :5].double().exp()
        five = five / five.sum()
        count = int((five.cumsum(0) - five < 0.7).sum())
        expected = (five[:count] / five[:count].sum()).log().tolist()
        ranked = sorted((top for top in entry["top_logprobs"] if top["rank"]), key=lambda top: top["rank"])
        assert [top["token_id"] for top in ranked[:count]] == full.top_ids[place, :count].tolist()
        assert [top["logprob"] for top in ranked[:count]] == pytest.approx(expected, abs=1e-5)
        assert {top["logprob"] for top in ranked[count:]} == {-9999.0}
        assert entry["top_logprobs"][0]["token_id"] == entry["token_id"]


def test_a_seed_repeats_and_choices_differ(client: httpx.Client) -> None:
    params = {"n": 6, "seed": 11, "max_tokens": 8, "ignore_eos": True}
    first, second = (generate(client, PROMPT, **params)["choices"] for _ in range(2))
    assert [choice["token_ids"] for choice in first] == [choice["token_ids"] for choice in second]
    assert len({tuple(choice["token_ids"]) for choice in first}) > 3
    other = generate(client, PROMPT, **{**params, "seed": 12})["choices"]
    assert [choice["token_ids"] for choice in first] != [choice["token_ids"] for choice in other]


def test_without_a_seed_draws_differ(client: httpx.Client) -> None:
    params = {"n": 4, "max_tokens": 12, "ignore_eos": True}
    first, second = (generate(client, PROMPT, **params)["choices"] for _ in range(2))
    assert [choice["token_ids"] for choice in first] != [choice["token_ids"] for choice in second]


def test_what_ends_a_completion(client: httpx.Client, loaded: LoadedModel) -> None:
    assert loaded.stop_ids == {1}
    free = generate(client, PROMPT, seed=3, n=8, max_tokens=20)["choices"]
    held = generate(client, PROMPT, seed=3, n=8, max_tokens=20, ignore_eos=True)["choices"]
    for one, other in zip(free, held, strict=True):
        assert other["finish_reason"] == "length" and len(other["token_ids"]) == 20
        end = other["token_ids"].index(1) + 1 if 1 in other["token_ids"] else 20
        assert one["token_ids"] == other["token_ids"][:end]
        assert one["finish_reason"] == ("stop" if 1 in other["token_ids"] else "length")
        assert one["stop_reason"] is None
    assert {choice["finish_reason"] for choice in free} == {"stop", "length"}
    other = held[0]["token_ids"][4]
    ended = generate(client, PROMPT, seed=3, n=8, max_tokens=20, ignore_eos=True, stop_token_ids=[other])["choices"][0]
    assert ended["token_ids"][-1] == ended["stop_reason"] == other and ended["finish_reason"] == "stop"


def test_without_a_length_the_context_is_filled(client: httpx.Client) -> None:
    (choice,) = generate(client, PROMPT, seed=3, ignore_eos=True)["choices"]
    assert len(choice["token_ids"]) == 61 and choice["finish_reason"] == "length"


def test_a_stop_text_cuts_where_it_first_stands(client: httpx.Client) -> None:
    params = {"seed": 3, "max_tokens": 20, "ignore_eos": True}
    ids = generate(client, PROMPT, **params)["choices"][0]["token_ids"]
    word = next(id for id in ids[3:] if id > 9)  # one-digit words stand in longer ones
    (cut,) = generate(client, PROMPT, stop=[f"w{word}", "none such"], **params)["choices"]
    assert cut["token_ids"] == ids[: ids.index(word) + 1]
    assert cut["finish_reason"] == "stop" and cut["stop_reason"] == f"w{word}"


def test_greedy_is_the_most_likely_token(client: httpx.Client, scorer: LocalScorer) -> None:
    (choice,) = generate(client, PROMPT, temperature=0, max_tokens=5, ignore_eos=True)["choices"]
    full = rows_of(scorer, [*PROMPT, *choice["token_ids"]], start=2, top_k=1)
    assert choice["token_ids"] == full.top_ids[:, 0].tolist()


def test_the_answer_repeats_what_it_was_asked(client: httpx.Client) -> None:
    body = {"token_ids": PROMPT, "request_id": "mine", "return_token_ids": True, "sampling_params": {"max_tokens": 1}}
    answer = client.post("/inference/v1/generate", json=body).json()
    assert answer["request_id"] == "generate-tokens-mine" and answer["prompt_token_ids"] == PROMPT
    named = client.post("/inference/v1/generate", json=body, headers={"X-Request-Id": "other"}).json()
    assert named["request_id"] == "generate-tokens-other"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n": 0}, "n of 0"),
        ({"n": 257}, "n of 257"),
        ({"temperature": -0.5}, "temperature"),
        ({"temperature": 1e-300}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"max_tokens": -1}, "max_completion_length"),
        ({"stop_token_ids": [17]}, "stop_token_ids"),
        ({"seed": 1 << 63}, "seed"),
        ({"logprobs": 9}, "at most 8"),
        ({"min_p": 0.1}, "min_p is not supported"),
        ({"repetition_penalty": 1.1}, "repetition_penalty is not supported"),
        ({"min_tokens": 2}, "min_tokens is not supported"),
    ],
)
def test_what_cannot_be_drawn_is_refused(client: httpx.Client, params: dict[str, object], words: str) -> None:
    body = {"token_ids": PROMPT, "sampling_params": {"max_tokens": 2, **params}}
    refused(client.post("/inference/v1/generate", json=body), 400, words)


def test_fields_that_ask_for_nothing_and_unknown_ones_pass(client: httpx.Client) -> None:
    plain = generate(client, PROMPT, seed=1, max_tokens=4)
    more = generate(client, PROMPT, seed=1, max_tokens=4, min_p=0.0, repetition_penalty=1.0, flavour="sweet", stop=[])
    assert torch.equal(*(torch.tensor(one["choices"][0]["token_ids"]) for one in (plain, more)))
