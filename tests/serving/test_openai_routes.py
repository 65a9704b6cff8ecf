"""The routes that harnesses and agents use: completions, chat, tokens."""

from __future__ import annotations

import httpx
import pytest

from tests.serving.asking import generate, refused, rows_of
from understudy.engines.local import LocalScorer

IDS = [2, 7, 3, 16, 5]

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def complete(client: httpx.Client, **body: object) -> dict:
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_echo_scores_a_prompt_without_a_token_more(client: httpx.Client, scorer: LocalScorer) -> None:
    (choice,) = complete(client, prompt=IDS, max_tokens=0, echo=True, logprobs=2, return_token_ids=True)["choices"]
    expected = rows_of(scorer, IDS, start=0, top_k=2)
    logprobs = choice["logprobs"]
    assert choice["token_ids"] == [] and choice["prompt_token_ids"] == IDS
    assert logprobs["tokens"] == [f"w{id}" for id in IDS]
    assert logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None
    assert logprobs["token_logprobs"][1:] == pytest.approx(expected.sampled.tolist(), abs=1e-6)
    for place, top in enumerate(logprobs["top_logprobs"][1:]):
        best = f"w{int(expected.top_ids[place, 0])}".replace("w1", "<eos>", int(expected.top_ids[place, 0]) == 1)
        assert top.get(best, top.get("<pad>")) == pytest.approx(float(expected.top_logprobs[place, 0]), abs=1e-6)
    assert logprobs["text_offset"] == [0, 2, 4, 6, 9]


def test_ids_and_text_of_one_prompt_give_one_answer(client: httpx.Client) -> None:
    params = {
        "max_tokens": 6,
        "seed": 4,
        "n": 2,
        "logprobs": 1,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
    }
    by_ids, by_text = complete(client, prompt=[2, 3, 4], **params), complete(client, prompt="w2 w3 w4", **params)
    assert by_ids["choices"] == by_text["choices"] and len(by_ids["choices"]) == 2
    for choice in by_ids["choices"]:
        assert choice["logprobs"]["tokens"] == [f"token_id:{id}" for id in choice["token_ids"]]
    same = generate(client, [2, 3, 4], seed=4, n=2, max_tokens=6)["choices"]
    assert [choice["token_ids"] for choice in same] == [choice["token_ids"] for choice in by_ids["choices"]]


def test_several_prompts_at_once(client: httpx.Client, scorer: LocalScorer) -> None:
    prompts = [[2, 3, 4], [5, 6]]
    answer = complete(client, prompt=prompts, max_tokens=1, n=2, prompt_logprobs=0, seed=0)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    for number, choice in enumerate(answer["choices"]):
        ids = prompts[number // 2]
        own = [row[str(id)]["logprob"] for row, id in zip(choice["prompt_logprobs"][1:], ids[1:], strict=True)]
        assert own == pytest.approx(rows_of(scorer, ids, start=0).sampled.tolist(), abs=1e-6)
    assert answer["usage"]["prompt_tokens"] == 5 and answer["usage"]["completion_tokens"] == 4


def test_a_stop_text_is_cut_off_the_text(client: httpx.Client) -> None:
    params = {"prompt": [2, 3], "max_tokens": 20, "seed": 3, "ignore_eos": True, "return_token_ids": True}
    (free,) = complete(client, **params)["choices"]
    word = f"w{next(id for id in free['token_ids'][2:] if id > 9)}"
    (cut,) = complete(client, **params, stop=word)["choices"]
    assert cut["text"] == free["text"].partition(word)[0]
    assert cut["stop_reason"] == word and cut["finish_reason"] == "stop"
    for nothing in ("", [""]):
        assert complete(client, **params, stop=nothing)["choices"] == [free], "an empty text ends nothing"


def test_chat_reads_the_template_and_gives_ids_back(client: httpx.Client) -> None:
    body = {
        "messages": [
            {"role": "user", "content": "w5 w6"},
            {"role": "assistant", "content": [{"type": "text", "text": "w7"}]},
        ],
        "max_completion_tokens": 5,
        "seed": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "return_token_ids": True,
    }
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["prompt_token_ids"] == [5, 6, 7, 2]
    (choice,) = answer["choices"]
    direct = generate(client, [5, 6, 7, 2], seed=2, max_tokens=5, logprobs=0)["choices"][0]
    assert choice["token_ids"] == direct["token_ids"]
    told = [entry["logprob"] for entry in choice["logprobs"]["content"]]
    assert told == pytest.approx([entry["logprob"] for entry in direct["logprobs"]["content"]], abs=1e-6)
    assert all(len(entry["top_logprobs"]) == 2 for entry in choice["logprobs"]["content"])
    assert choice["message"]["role"] == "assistant" and isinstance(choice["message"]["content"], str)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": []}, "empty list of messages"),
        ({"messages": [{"role": "king", "content": "w2"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text"),
        ({"messages": [{"role": "user", "content": "w2"}], "tools": [{"type": "function"}]}, "a tool is"),
        ({"messages": [{"role": "user", "content": "w2"}], "tools": [TOOL]}, "template knows no tools"),
        ({"messages": [{"role": "user", "content": "w2"}], "tools": [TOOL], "tool_choice": "required"}, "forces no"),
        ({"messages": [{"role": "user", "content": "w2"}], "max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "w2 " * 70}]}, "longer than the context"),
    ],
)
def test_chats_that_cannot_be_had(client: httpx.Client, body: dict[str, object], words: str) -> None:
    refused(client.post("/v1/chat/completions", json=body), 400, words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": [], "max_tokens": 1}, "empty"),
        ({"prompt": [[2], []], "max_tokens": 1}, "empty"),
        ({"prompt": [[2]] * 257}, "257 prompts"),
        ({"prompt": [2], "max_tokens": 0}, "asks for nothing"),
        ({"prompt": [2], "logprobs": 9}, "at most 8"),
        ({"prompt": {"text": "w2"}}, "prompt"),
    ],
)
def test_completions_that_cannot_be_had(client: httpx.Client, body: dict[str, object], words: str) -> None:
    refused(client.post("/v1/completions", json=body), 400, words)


def test_words_there_and_back(client: httpx.Client) -> None:
    read = client.post("/tokenize", json={"prompt": "w4 w5 w16"}).json()
    assert read == {"count": 3, "max_model_len": 64, "tokens": [4, 5, 16], "token_strs": None}
    assert client.post("/detokenize", json={"tokens": [4, 5, 16]}).json() == {"prompt": "w4 w5 w16"}
    chat = client.post("/tokenize", json={"messages": [{"role": "user", "content": "w9"}]}).json()
    assert chat["tokens"] == [9, 2]
    refused(client.post("/detokenize", json={"tokens": [17]}), 400, "vocabulary")
    refused(client.post("/tokenize", json={}), 400, "prompt")
