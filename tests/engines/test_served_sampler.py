"""A student sampled behind a server: our own over a real socket, and answers of others written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from tests.conformance.sampler import PARAMS, SamplerSubject, SamplerSuite
from tests.models.test_sampling import V, qwen3, sharpened
from tests.servers.scripted import Answer, Asked, Reply, scripted
from tests.serving.served import served_model
from tests.tiny_files import save_model
from understudy.engines.served_sampler import ServedSampler, connect_sampler
from understudy.errors import ModelError, RecipeError, ServerAnswerError, ServerDownError, ServerError
from understudy.models.load import describe, load_model
from understudy.models.sampling import LocalSampler
from understudy.protocols import Sample, SampleRequest
from understudy.rollouts import FinishReason
from understudy.servers.settings import ServerSettings
from understudy.servers.weights import Shipment

pytestmark = pytest.mark.timeout(200)

LENGTH = 48


def settings(*urls: str) -> ServerSettings:
    return ServerSettings(urls, start_seconds=5, deadline_seconds=10, timeout_seconds=20)


class TestServedSampler(SamplerSuite):
    num_draws = 300

    @pytest.fixture(scope="class")
    def served(self) -> Iterator[tuple[str, Any]]:
        model = sharpened(qwen3(tie_word_embeddings=False)).eval()
        loaded = replace(describe(model, None), vocab_size=V, max_length=LENGTH)
        with served_model(loaded) as url:
            yield url, model

    @pytest.fixture
    def subject(self, served: tuple[str, Any]) -> SamplerSubject:
        url, model = served

        def logits(ids: Tensor) -> Tensor:
            with torch.no_grad():
                return model(input_ids=ids[None]).logits[0, :, :V]

        sampler = connect_sampler(settings(url), max_length=LENGTH, version=7)
        return SamplerSubject(sampler, logits, vocab_size=V, max_length=LENGTH)

    def test_the_draws_are_those_of_a_sampler_in_this_process(
        self, subject: SamplerSubject, served: tuple[str, Any]
    ) -> None:
        local = LocalSampler(served[1], vocab_size=V, max_length=LENGTH)
        requests = [replace(one, start_index=place) for place, one in enumerate(self.requests(subject))]
        there = subject.sampler.sample(requests, PARAMS, seed=9, step=4)
        for mine, one in zip(there, local.sample(requests, PARAMS, seed=9, step=4), strict=True):
            assert mine.completion_ids.tolist() == one.completion_ids.tolist()
            torch.testing.assert_close(mine.logprobs, one.logprobs, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("name", ["plain"])
    def test_samples_follow_the_distribution(self, subject: SamplerSubject, name: str) -> None:
        super().test_samples_follow_the_distribution(subject, name)

    def test_every_completion_is_told_once_as_soon_as_it_has_ended(self, subject: SamplerSubject) -> None:
        """In whatever order a server answers: ours draws a batch to its end."""
        self.check_all_are_told(subject)


# ------------------------------------------------------------------------------------------------ weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(("base", "other")):
        save_model(folder / name, seed=seed)
    for seed, name in enumerate(("one", "two")):
        config = LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
        wrapped = get_peft_model(load_model(folder / "base").model, config)
        torch.manual_seed(seed)
        for weight_name, weight in wrapped.named_parameters():
            if "lora_" in weight_name:
                weight.data.normal_(std=0.3)
        wrapped.save_pretrained(folder / name)
    return folder


REQUESTS = [SampleRequest(torch.tensor([2, 5, 3]), key=key) for key in range(6)]


def scored_by(folder: Path, samples: list[Sample]) -> float:
    """Largest |log-prob of the sampler - log-prob of the weights in that folder|."""
    model = load_model(folder).model
    worst = 0.0
    for request, sample in zip(REQUESTS, samples, strict=True):
        ids, start = torch.cat([request.prompt_ids, sample.completion_ids]), request.prompt_ids.numel()
        with torch.no_grad():
            rows = model(input_ids=ids[None]).logits[0, start - 1 : -1].log_softmax(1)
        own = rows.gather(1, sample.completion_ids[:, None]).squeeze(1)
        worst = max(worst, float((own - sample.logprobs).abs().max()))
    return worst


@pytest.mark.parametrize("kind", ["all weights", "adapters"])
def test_new_weights_reach_every_address_under_their_version(folder: Path, kind: str) -> None:
    sources = {"all weights": ("other", "base"), "adapters": ("one", "two")}[kind]
    with ExitStack() as stack:
        # transformers cannot read two models at one time in one process, and these servers are in this one.
        count = {"all weights": 1, "adapters": 2}[kind]
        urls = [stack.enter_context(served_model(folder / "base", allow_updates=True)) for _ in range(count)]
        sampler = connect_sampler(settings(*urls), max_length=64, version=3)
        assert scored_by(folder / "base", sampler.sample(REQUESTS, PARAMS, seed=0, step=0)) < 1e-4
        for version, name in enumerate(sources, start=4):
            sampler.load_weights(folder / name, version)
            for url in urls:
                alone = ServedSampler(
                    connect_sampler(settings(url), max_length=64).pool, sampler.identity, max_length=64
                )
                alone.adopt(folder / name, version)
                samples = alone.sample(REQUESTS, PARAMS, seed=0, step=0)
                assert scored_by(folder / name, samples) < 1e-4
            versions = {v for s in sampler.sample(REQUESTS, PARAMS, seed=0, step=0) for v in s.weight_version.tolist()}
            assert versions == {version}
        sampler.load_weights(folder / sources[-1], 5)  # as after a resume: the same weights under the same name


def test_a_server_that_came_back_is_given_the_weights_again(folder: Path) -> None:
    first = served_model(folder / "base", allow_updates=True)
    url = first.__enter__()
    sampler = connect_sampler(settings(url), max_length=64)
    sampler.load_weights(folder / "one", 1)
    sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
    first.__exit__(None, None, None)
    time.sleep(1.1)  # no process starts sooner
    port = int(url.rpartition(":")[2])
    with served_model(folder / "base", allow_updates=True, port=port):
        samples = sampler.sample(REQUESTS, PARAMS, seed=0, step=0)
    assert scored_by(folder / "one", samples) < 1e-4


def test_weights_that_are_none_and_servers_that_take_none(folder: Path, tmp_path: Path) -> None:
    with served_model(folder / "base") as url:
        sampler = connect_sampler(settings(url), max_length=64)
        for name in ("one", "other"):
            with pytest.raises(ServerError, match=r"takes no new weights.*--allow-updates"):
                sampler.load_weights(folder / name, 1)
        (tmp_path / "adapter_config.json").write_text("{}")
        with pytest.raises(ModelError, match="not a complete adapter"):
            sampler.load_weights(tmp_path, 1)


# ------------------------------------------------------------------------------------------------ other servers


def choice(**changes: Any) -> dict[str, Any]:
    content = [{"token_id": 5, "logprob": -0.5}, {"token_id": 1, "logprob": -9999.0}]
    spans = [{"version": "four", "start": 0, "end": 1}, {"version": "five", "start": 1, "end": 2}]
    whole = {"token_ids": [5, 1], "logprobs": {"content": content}, "finish_reason": "stop", "weight_versions": spans}
    return {**whole, **changes}


def vllm_answering(answer: Callable[[Asked], object], *, mode: str | None = None) -> Answer:
    def reply(asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        if path == "/v1/models":
            return Reply({"data": [{"id": "student", "max_model_len": 64}]})
        if path == "/server_info" and mode is not None:
            return Reply({"model_config": {"logprobs_mode": mode}})
        if path == "/inference/v1/generate":
            return Reply({"choices": [answer(asked)]})
        return Reply({"error": {"message": "no such route"}}, status=200 if path == "/health" else 404)

    return reply


ONE = [SampleRequest(torch.tensor([2, 3]), key=0)]


def test_an_aborted_completion_is_drawn_again_and_spans_give_each_token_its_version(tmp_path: Path) -> None:
    answers = iter([choice(finish_reason="abort", token_ids=[], logprobs=None), choice()])
    with scripted(vllm_answering(lambda _: next(answers))) as server:
        sampler = connect_sampler(settings(server.url), max_length=64)
        sampler._delivery.present = Shipment(tmp_path, 5, "five", is_adapter=False)
        sampler._labels = {"four": 4, "five": 5}
        (sample,) = sampler.sample(ONE, PARAMS, seed=0, step=0)
        assert sample.completion_ids.tolist() == [5, 1]
        assert sample.logprobs.tolist() == [-0.5, float("-inf")]
        assert sample.weight_version.tolist() == [4, 5], "the weights changed between its tokens"
        sent = [asked.body for asked in server.asked if asked.path == "/inference/v1/generate"]
        assert len(sent) == 2 and sent[0] == sent[1]
        assert sent[0]["sampling_params"]["stop_token_ids"] == [1]


def test_a_sampler_without_the_right_log_probs_is_refused() -> None:
    hot = replace(PARAMS, temperature=0.7)
    for mode, params, said in (
        (None, hot, "mode unknown, temperature 0.7"),
        ("raw_logprobs", replace(PARAMS, top_p=0.9), r"top_p 0\.9"),
        ("raw_logits", PARAMS, "raw_logits"),
    ):
        with scripted(vllm_answering(lambda _: choice(), mode=mode)) as server:
            sampler = connect_sampler(settings(server.url), max_length=64)
            with pytest.raises(RecipeError, match=said):
                sampler.sample(ONE, params, seed=0, step=0)
    with scripted(vllm_answering(lambda _: choice(), mode="processed_logprobs")) as server:
        connect_sampler(settings(server.url), max_length=64).sample(ONE, hot, seed=0, step=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token_ids": [5]}, "malformed"),
        ({"token_ids": [5, 2]}, "other tokens than were drawn"),
        ({"token_ids": [], "logprobs": {"content": []}}, "got 0 ids"),
        ({"finish_reason": "tired"}, "no known reason; got tired"),
        ({"logprobs": None}, "no logprobs.content"),
        ({"logprobs": {"content": [{"token_id": 5, "logprob": None}, {"token_id": 1, "logprob": 0}]}}, "no value"),
    ],
)
def test_malformed_completions_end_the_run_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    with scripted(vllm_answering(lambda _: choice(**changes))) as server:
        sampler = connect_sampler(settings(server.url), max_length=64)
        with pytest.raises(ServerAnswerError, match=said):
            sampler.sample(ONE, PARAMS, seed=0, step=0)


def test_a_token_beyond_the_students_vocabulary_is_refused() -> None:
    """vLLM draws from padded rows of an embedding as well; nothing after it can score them."""
    with scripted(vllm_answering(lambda _: choice())) as server:
        (sample,) = connect_sampler(settings(server.url), max_length=64, vocab_size=6).sample(
            ONE, PARAMS, seed=0, step=0
        )
        assert sample.completion_ids.tolist() == [5, 1]
        with pytest.raises(ServerAnswerError, match="a token that the student has not; got 5; expected ids below 5"):
            connect_sampler(settings(server.url), max_length=64, vocab_size=5).sample(ONE, PARAMS, seed=0, step=0)


def sglang_writing(*ids: int) -> Answer:
    """An SGLang server whose model writes these ids, with SGLang's own rules of when a completion ends."""

    def generate(body: Any) -> Reply:
        params, written, kind = body["sampling_params"], list[int](), "length"
        for id in ids:
            written.append(id)
            if len(written) >= params["max_new_tokens"]:  # looked at before any id that ends
                break
            if id in params["stop_token_ids"] and not params["ignore_eos"]:  # which also switches these off
                kind = "stop"
                break
        values = [[-0.31 * number, id, None] for number, id in enumerate(written, start=1)]
        meta = {"finish_reason": {"type": kind}, "weight_version": "12", "output_token_logprobs": values}
        return Reply({"output_ids": written, "meta_info": meta})

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply({"data": [{"id": "student"}]})
        if asked.path == "/model_info":
            return Reply({"model_path": "student"})
        return generate(asked.body) if asked.path == "/generate" else Reply({}, status=404)

    return answer


@pytest.mark.parametrize(
    ("most", "ids", "reason"),
    [(9, [7, 8, 1], FinishReason.STOP), (3, [7, 8, 1], FinishReason.STOP), (2, [7, 8], FinishReason.LENGTH)],
)
def test_on_sglang_a_completion_ends_with_the_runs_own_id(most: int, ids: list[int], reason: FinishReason) -> None:
    with scripted(sglang_writing(7, 8, 1, 9, 9, 9, 9, 9, 9)) as server:
        sampler = connect_sampler(settings(server.url), max_length=64)
        (sample,) = sampler.sample(ONE, replace(PARAMS, max_completion_length=most), seed=0, step=0)
    assert (sample.completion_ids.tolist(), sample.finish_reason) == (ids, reason)


def test_sglang_answers_are_read() -> None:
    with scripted(sglang_writing(7, 8)) as server:
        sampler = connect_sampler(settings(server.url), max_length=64, version=2)
        (sample,) = sampler.sample(ONE, replace(PARAMS, temperature=0.7), seed=0, step=0)
        assert (sample.completion_ids.tolist(), sample.weight_version.tolist()) == ([7, 8], [2, 2])
        torch.testing.assert_close(sample.logprobs, torch.tensor([-0.31, -0.62]))
        with pytest.raises(RecipeError, match=r"top_p 0\.9"):
            sampler.sample(ONE, replace(PARAMS, top_p=0.9), seed=0, step=0)
        (greedy,) = sampler.sample(ONE, replace(PARAMS, temperature=0), seed=0, step=0)  # as a greedy suite asks
        assert greedy.completion_ids.tolist() == [7, 8]
        assert server.asked[-1].body["sampling_params"]["temperature"] == 0


def test_a_dead_server_is_told() -> None:
    with scripted(vllm_answering(lambda _: choice())) as server:
        url = server.url
    with pytest.raises(ServerDownError, match="no connection"):
        connect_sampler(replace(settings(url), start_seconds=0.3), max_length=64)
