"""What the doctor reads of two models without their weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.tiny import tiny_tokenizer
from tests.doctor.pairs import VOCAB, phi, recipe_of, write_pair
from understudy.doctor.batch import batch_finding
from understudy.doctor.pairing import context_findings
from understudy.doctor.room import disk_finding, kept_bytes
from understudy.errors import ModelError
from understudy.models.load import load_model
from understudy.models.papers import load_papers


def test_papers_say_what_the_loaded_model_says(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    papers, loaded = load_papers(str(tmp_path / "student")), load_model(tmp_path / "student")
    for field in ("vocab_size", "stop_ids", "max_length"):
        assert getattr(papers, field) == getattr(loaded, field)
    assert papers.is_papers and not loaded.is_papers
    assert sum(p.numel() for p in papers.model.parameters()) == sum(p.numel() for p in loaded.model.parameters())


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no configuration|is not"):
        load_papers(str(tmp_path))


def test_contexts_by_hand(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    model = load_papers(str(tmp_path / "student"))  # 256 tokens

    def verdicts(prompt: int, completion: int) -> list[str]:
        return [f.verdict for f in context_findings(model, model, longest_prompt=prompt, completion=completion)]

    assert verdicts(100, 156) == ["ok", "ok"]
    assert verdicts(100, 157) == ["warn", "stop"]
    assert verdicts(256, 1) == ["stop", "stop"]


def test_what_a_run_keeps_by_hand(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    recipe = recipe_of(
        tmp_path,
        rollout={"prompts_per_step": 2, "num_generations": 3, "max_completion_length": 5},
        checkpoint={"keep_last": 2},
    )
    # three checkpoints of weights and two moments; one step of 30 tokens
    assert kept_bytes(recipe, trained_parameters=10, parameters=10) == 3 * (40 + 80) + 30 * 40


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert disk_finding(tmp_path / "a" / "b", needed=1).verdict == "ok"
    assert disk_finding(tmp_path / "a" / "b", needed=1 << 60).verdict == "stop"


def test_more_prompts_than_problems() -> None:
    assert batch_finding(prompts_per_step=30, num_problems=3).verdict == "ok"
    found = batch_finding(prompts_per_step=3_000_000, num_problems=3)
    assert found.verdict == "warn" and "each of them 1,000,000 times" in found.what


def test_the_papers_of_an_adapter_are_its_base_models(tmp_path: Path) -> None:
    write_pair(tmp_path, phi)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "student")}))
    tiny_tokenizer(VOCAB).save_pretrained(adapter)
    papers, base = load_papers(str(adapter)), load_papers(str(tmp_path / "student"))
    assert (papers.vocab_size, papers.stop_ids, papers.max_length) == (base.vocab_size, base.stop_ids, base.max_length)
