"""Scores over the wire are those of the scorer in this process, row by row."""

from __future__ import annotations

import httpx
import pytest
import torch
from torch.testing import assert_close

from tests.serving.asking import array, generate, refused, rows_of
from tests.serving.conftest import TRUE_VOCAB
from understudy.engines.local import LocalScorer
from understudy.models.load import LoadedModel

IDS = [2, 7, 3, 16, 5, 1, 9, 4]
TOLERANCE = {"atol": 1e-6, "rtol": 0.0}


def test_chosen_ids_from_a_start_on(client: httpx.Client, scorer: LocalScorer) -> None:
    chosen = [[16, 2], [5, -1], [1, 16], [9, 0], [4, -1]]
    answer = generate(client, IDS, max_tokens=1, prompt_logprob_token_ids=chosen, prompt_logprob_start=2)
    got = array(answer["prompt_token_id_logprobs"])
    ids = torch.tensor(chosen)
    expected = rows_of(scorer, IDS, start=2, ids=ids.clamp(min=0)).at_ids
    assert got.dtype == torch.float32 and got.shape == (5, 2)
    assert_close(got.masked_fill(ids < 0, 0), expected.masked_fill(ids < 0, 0), **TOLERANCE)
    assert bool((got[ids < 0] == -torch.inf).all())


def test_extensions(client: httpx.Client, scorer: LocalScorer) -> None:
    wishes = {"prompt_top_k": 5, "prompt_entropy": True, "prompt_hidden": True, "prompt_temperature": 0.7}
    answer = generate(client, IDS, max_tokens=0, prompt_logprob_start=3, **wishes)
    expected = rows_of(scorer, IDS, start=3, top_k=5, entropy=True, hidden=True, temperature=0.7)
    assert array(answer["prompt_top_ids"]).dtype == torch.int32
    assert array(answer["prompt_top_ids"]).tolist() == expected.top_ids.tolist()
    assert_close(array(answer["prompt_top_logprobs"]), expected.top_logprobs, **TOLERANCE)
    assert_close(array(answer["prompt_entropy"]), expected.entropy, **TOLERANCE)
    assert_close(array(answer["prompt_hidden"]), expected.hidden, **TOLERANCE)
    assert [choice["token_ids"] for choice in answer["choices"]] == [[]]
    assert answer["prompt_logprobs"] is None and answer["prompt_token_id_logprobs"] is None


@pytest.mark.parametrize("k", [0, 3])
def test_classic_prompt_logprobs(client: httpx.Client, scorer: LocalScorer, k: int) -> None:
    rows = generate(client, IDS, max_tokens=1, prompt_logprobs=k)["prompt_logprobs"]
    expected = rows_of(scorer, IDS, start=0, top_k=k)
    assert len(rows) == len(IDS) and rows[0] is None
    for place, (row, own) in enumerate(zip(rows[1:], expected.sampled.tolist(), strict=True)):
        top = expected.top_ids[place].tolist() if k else []
        assert list(row) == [str(id) for id in dict.fromkeys([IDS[place + 1], *top])]
        assert row[str(IDS[place + 1])]["logprob"] == pytest.approx(own, abs=1e-6)
        for rank, id in enumerate(top):
            assert row[str(id)]["rank"] == rank + 1
            assert row[str(id)]["logprob"] == pytest.approx(float(expected.top_logprobs[place, rank]), abs=1e-6)


def test_every_wish_at_once_and_a_token_beside(client: httpx.Client, scorer: LocalScorer) -> None:
    answer = generate(
        client, IDS, max_tokens=1, temperature=0, prompt_logprobs=1, prompt_top_k=2, prompt_logprob_start=7
    )
    assert array(answer["prompt_top_ids"]).shape == (0, 2)
    assert len(answer["prompt_logprobs"]) == len(IDS)
    greedy = generate(client, IDS, max_tokens=1, temperature=0)["choices"][0]
    assert answer["choices"][0]["token_ids"] == greedy["token_ids"]
    both = rows_of(scorer, [*IDS, *greedy["token_ids"]], start=7, top_k=1)
    assert greedy["token_ids"] == both.top_ids[0].tolist()


def test_a_token_of_the_scoring_pass_is_the_one_that_sampling_draws(client: httpx.Client) -> None:
    for seed in range(8):
        params = {"max_tokens": 1, "seed": seed, "temperature": 1.3, "top_p": 0.9, "logprobs": 0}
        alone, scored = generate(client, IDS, **params), generate(client, IDS, prompt_logprobs=0, **params)
        one, other = alone["choices"][0], scored["choices"][0]
        assert one["token_ids"] == other["token_ids"] and one["finish_reason"] == other["finish_reason"]
        mine, yours = (choice["logprobs"]["content"][0]["logprob"] for choice in (one, other))
        assert mine == pytest.approx(yours, abs=1e-5)  # a pass over whole texts adds in another order


def test_the_softmax_is_over_the_true_vocabulary(client: httpx.Client, loaded: LoadedModel) -> None:
    columns = [[*range(8)], [*range(8, 16)], [16] * 8]
    found = [
        array(
            generate(client, [3, 4], max_tokens=0, prompt_logprob_token_ids=[row], prompt_logprob_start=0)[
                "prompt_token_id_logprobs"
            ]
        )
        for row in columns
    ]
    mass = torch.cat([found[0], found[1], found[2][:, :1]], dim=1).exp().sum()
    assert loaded.vocab_size == TRUE_VOCAB
    assert float(mass) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"prompt_logprob_token_ids": [[1]] * 6}, "6 rows, but 7"),
        ({"prompt_logprob_token_ids": [[1]] * 7, "prompt_logprob_start": 1}, "7 rows, but 6"),
        ({"prompt_logprob_token_ids": [[1]] * 6 + [[1, 2]]}, "one length"),
        ({"prompt_logprob_token_ids": [[1] * 9] * 7}, "at most 8"),
        ({"prompt_logprob_token_ids": [[17]] * 7}, "id 17 is out of the vocabulary of 17"),
        ({"prompt_logprob_token_ids": [[-2]] * 7}, "id -2"),
        ({"prompt_logprob_token_ids": [[1 << 70]] * 7}, "no token id"),
        ({"prompt_logprob_token_ids": [["1"]] * 7}, "integer"),
        ({"prompt_logprob_start": 8, "prompt_entropy": True}, "outside 0..7"),
        ({"prompt_logprob_start": -1, "prompt_entropy": True}, "outside 0..7"),
        ({"prompt_logprobs": 9}, "at most 8"),
        ({"prompt_logprobs": -1}, "at most 8"),
        ({"prompt_top_k": 9}, "at most 8"),
        ({"prompt_top_k": 2, "prompt_temperature": 0}, "above 0"),
        ({"prompt_top_k": 2, "prompt_temperature": -1.0}, "above 0"),
        ({"prompt_top_k": 2, "prompt_temperature": 1e-300}, "at least 1e-05"),
        ({}, "asks for nothing"),
    ],
)
def test_what_cannot_be_scored_is_refused(client: httpx.Client, params: dict[str, object], words: str) -> None:
    body = {"token_ids": IDS, "sampling_params": {"max_tokens": 0, **params}}
    refused(client.post("/inference/v1/generate", json=body), 400, words)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"token_ids": []}, 400, "empty"),
        ({"token_ids": [17]}, 400, "id 17"),
        ({"token_ids": [-1]}, 400, "id -1"),
        ({"token_ids": [True]}, 400, "integer"),
        ({"token_ids": "2 3"}, 400, "token_ids"),
        ({}, 400, "token_ids"),
        ({"token_ids": [2] * 65, "sampling_params": {"max_tokens": 0}}, 400, "longer than the context of 64"),
        ({"token_ids": [2] * 64, "sampling_params": {"max_tokens": 1}}, 400, "longer than the context of 64"),
        ({"token_ids": IDS, "model": "another"}, 404, "'another' does not exist"),
        ({"token_ids": IDS, "output_mode": "text"}, 400, "output_mode"),
        ({"token_ids": IDS, "stream": True}, 400, "stream"),
    ],
)
def test_what_is_no_request_is_refused(client: httpx.Client, body: object, status: int, words: str) -> None:
    refused(client.post("/inference/v1/generate", json=body), status, words)


def test_a_context_of_full_length_is_scored(client: httpx.Client, scorer: LocalScorer) -> None:
    ids = [2 + place % 15 for place in range(64)]
    answer = generate(client, ids, max_tokens=0, prompt_entropy=True)
    assert_close(array(answer["prompt_entropy"]), rows_of(scorer, ids, start=0, entropy=True).entropy, **TOLERANCE)
