"""A student sampled by vLLM in the process: the sampler's suite and whole runs, over a stand-in for vLLM."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import understudy as us
from tests.conformance.sampler import PARAMS, SamplerSubject, SamplerSuite
from tests.models.test_sampling import PADDED_V, qwen3, sharpened
from tests.servers.test_sampling import LORA, QUIET, ROLLOUT
from tests.tiny_files import Workplace, make_workplace, metrics_of
from tests.vllm_stand_in import engine_of, vllm_installed
from understudy.engines.pushed_weights import weights_as_saved
from understudy.engines.vllm_engine import VllmEngine
from understudy.engines.vllm_sampler import VllmSampler
from understudy.errors import ModelError, RecipeError
from understudy.models.load import load_model
from understudy.protocols import Sample, SampleRequest
from understudy.recipe import recipe_from
from understudy.servers.cargo import Cargo
from understudy.training.progress import Silent

LENGTH = 48


class TestVllmSampler(SamplerSuite):
    @pytest.fixture(scope="class")
    def engine(self, tmp_path_factory: pytest.TempPathFactory) -> VllmEngine:
        folder = tmp_path_factory.mktemp("vllm") / "model"
        sharpened(qwen3(seed=3, tie_word_embeddings=False)).eval().save_pretrained(folder)
        return engine_of(folder, max_length=LENGTH)

    @pytest.fixture
    def subject(self, engine: VllmEngine) -> SamplerSubject:
        module = engine._llm.module

        def logits(ids: Tensor) -> Tensor:
            with torch.no_grad():
                return module(input_ids=ids[None]).logits[0]

        return SamplerSubject(
            VllmSampler(engine, max_length=LENGTH, version=7), logits, vocab_size=PADDED_V, max_length=LENGTH
        )

    @pytest.fixture(autouse=True)
    def stand_in(self) -> Any:
        with vllm_installed():
            yield

    def test_start_index_moves_along_the_keys_stream(self, subject: SamplerSubject) -> None:
        """vLLM's generators have no place to begin at: another place is another seed, told by nothing else."""
        request = SampleRequest(torch.tensor([4, 2, 3]), key=5)
        params = replace(PARAMS, stop_ids=frozenset())
        first, again, later = (
            subject.sampler.sample([one], params, seed=3, step=0)[0].completion_ids.tolist()
            for one in (request, request, replace(request, start_index=5))
        )
        assert first == again != later

    def test_every_completion_is_told_once_as_soon_as_it_has_ended(self, subject: SamplerSubject) -> None:
        """vLLM answers when all of a call have ended."""
        told: dict[int, Sample] = {}
        samples = subject.sampler.sample(self.requests(subject), PARAMS, seed=0, step=0, ended=told.__setitem__)
        assert [told[place] for place in range(9)] == samples


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("vllm-runs"))


def worst_gap(folder: Path, samples: list[Sample], prompt: Tensor) -> float:
    """Largest |log-prob of the sampler - that of the weights in the folder|."""
    model, worst = load_model(folder).model, 0.0
    for sample in samples:
        ids = torch.cat([prompt, sample.completion_ids])
        with torch.no_grad():
            rows = model(input_ids=ids[None]).logits[0, prompt.numel() - 1 : -1].log_softmax(1)
        own = rows.gather(1, sample.completion_ids[:, None]).squeeze(1)
        worst = max(worst, float((own - sample.logprobs).abs().max()))
    return worst


def test_it_draws_with_the_weights_it_was_given_last(place: Workplace, tmp_path: Path) -> None:
    student, teacher, prompt = place.path / "student", place.path / "teacher", torch.tensor([2, 5, 3])
    requests = [SampleRequest(prompt, key=key) for key in range(3)]
    with vllm_installed():
        engine = engine_of(student, max_length=LENGTH)
        sampler = VllmSampler(engine, max_length=LENGTH)
        sampler.push_weights(Cargo(weights_as_saved(load_model(teacher).model), "x"), 3)
        samples = sampler.sample(requests, PARAMS, seed=0, step=0)
        assert worst_gap(teacher, samples, prompt) < 1e-5 < worst_gap(student, samples, prompt)
        assert {version for one in samples for version in one.weight_version.tolist()} == {3}
        assert engine._llm.num_resets == 1, "prefixes of the weights before are forgotten"
        sampler.load_weights(student, 4)
        assert worst_gap(student, sampler.sample(requests, PARAMS, seed=0, step=0), prompt) < 1e-5
        with pytest.raises(ModelError, match="holds no weights"):
            sampler.load_weights(tmp_path, 5)


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_samples_in_vllm_with_the_weights_of_each_step(place: Workplace, lora: bool) -> None:
    """Drift is the gap between vLLM's log-probs and the student's own: near 0 only with the present weights."""
    student = {"model": str(place.path / "student"), **({"lora": LORA} if lora else {})}
    rollout = {**ROLLOUT, "sampler": {"kind": "vllm", "max_model_len": LENGTH}}
    changes = {**QUIET, "student": student, "rollout": rollout, "steps": 3}
    with vllm_installed():
        us.train(place.write_recipe("v.yaml", name=f"v-{lora}", **changes), display=Silent())
    lines = metrics_of(place.path / "runs" / f"v-{lora}")
    assert len(lines) == 3 and lines[0]["loss"] != lines[2]["loss"]
    assert all(line["drift/trainer_vs_sampler"] < 1e-5 for line in lines), [
        line["drift/trainer_vs_sampler"] for line in lines
    ]


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_recipe_is_refused_in_a_sentence(place: Workplace) -> None:
    file = place.write_recipe("none.yaml", name="none", rollout={**ROLLOUT, "sampler": "vllm"}, **QUIET)
    with pytest.raises(RecipeError, match="needs vLLM in this Python"):
        us.train(file, display=Silent())


def test_contradictions_are_refused(place: Workplace) -> None:
    both = {**ROLLOUT, "sampler": "vllm", "server": "http://localhost:8000"}
    for changes, words in (
        ({"rollout": both}, "both say who draws"),
        ({"rollout": {**ROLLOUT, "sampler": "vllm"}, "engine": {"kind": "cluster"}}, "engine.kind local"),
    ):
        with pytest.raises(RecipeError, match=words):
            recipe_from(place.recipe(**changes))


def test_a_rank_is_one_that_vllm_knows(place: Workplace) -> None:
    with vllm_installed():
        options = engine_of(place.path / "student", max_length=LENGTH, adapter_rank=20)._llm.options
    assert (options["enable_lora"], options["max_lora_rank"]) == (True, 32)
    assert_close(options["gpu_memory_utilization"], 0.4)
