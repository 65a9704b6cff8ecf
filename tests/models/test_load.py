from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Phi3Config, Phi3ForCausalLM

from tests.conformance.tiny import tiny_model, tiny_tokenizer
from understudy.errors import ModelError, TokenizerMismatchError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import LoadedModel, describe, load_model
from understudy.models.tokenizers import check_same_tokenizer, share_vocabulary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 24 padded rows with a tokenizer of 19 tokens."""
    model = tiny_model(vocab_size=24)
    model.generation_config.eos_token_id = [1, 7]
    model.save_pretrained(tmp_path / "model")
    tiny_tokenizer(19).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(folder: Path) -> None:
    loaded = load_model(folder)
    original = tiny_model(vocab_size=24)
    ids = torch.tensor([[3, 4, 5]])
    assert torch.equal(loaded.model(ids).logits, original(ids).logits)
    assert (loaded.vocab_size, loaded.stop_ids, loaded.max_length) == (19, frozenset({1, 7}), 64)
    assert loaded.tokenizer is not None and loaded.tokenizer("w5 w6")["input_ids"] == [5, 6]
    assert not loaded.model.training and loaded.name == str(folder)


def test_a_model_without_tokenizer(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.tokenizer, loaded.vocab_size) == (None, 19)


def test_a_context_is_read_the_same_beside_the_longest_one() -> None:
    """longrope goes by the longest context of a pass: past its turning point a short one would be read otherwise."""
    sizes = {"vocab_size": 19, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    lengths = {"max_position_embeddings": 128, "original_max_position_embeddings": 32}
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0, 3.0, 2.0, 1.5]}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0, **factors}
    config = Phi3Config(**sizes, **lengths, num_attention_heads=4, pad_token_id=0, rope_parameters=rope)
    torch.manual_seed(0)
    loaded = describe(Phi3ForCausalLM(config), None)
    short, longest = torch.randint(19, (20,)), torch.randint(19, (loaded.max_length,))
    alone = loaded.model(short[None]).logits[0]
    together = loaded.model(torch.stack([torch.cat([short, longest[20:]]), longest])).logits[0, :20]
    torch.testing.assert_close(together, alone)
    assert loaded.max_length == 32


def test_dtype(folder: Path) -> None:
    loaded = load_model(folder, dtype="bfloat16")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    with pytest.raises(ModelError, match="float32, bfloat16"):
        load_model(folder, dtype="int8")


def test_fingerprint_follows_weights_configuration_and_vocabulary(folder: Path) -> None:
    first = load_model(folder)
    assert load_model(folder).fingerprint == first.fingerprint
    assert load_model(folder, dtype="bfloat16").fingerprint != first.fingerprint
    assert describe(first.model, tiny_tokenizer(swapped=True)).fingerprint != first.fingerprint
    with torch.no_grad():
        first.model.model.norm.weight[3] += 1e-6
    assert describe(first.model, first.tokenizer).fingerprint != load_model(folder).fingerprint


def error_of(name: str | Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    message = str(caught.value)
    assert "\n" not in message and caught.value.exit_code == 2
    return message


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    assert "a folder without config.json" in error_of(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "a file" in error_of(tmp_path / "file")
    assert "no model at" in error_of(tmp_path / "nowhere")
    assert "no model at" in error_of("./nowhere")
    assert "nothing in the local cache" in error_of("nobody/has-this-model")


def test_broken_folders(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    tensors = {name: value.clone() for name, value in load_file(weights).items()}  # the file is mapped, not read
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in error_of(folder)
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, weights, metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in error_of(folder)
    weights.unlink()
    torch.save(tiny_model(vocab_size=24).state_dict(), folder / "pytorch_model.bin")
    assert "safetensors" in error_of(folder)
    weights.write_bytes(whole)
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-architecture"}))
    assert "cannot be loaded" in error_of(folder)


def test_adapter_folder_gives_the_merged_model(folder: Path, tmp_path: Path) -> None:
    wrapped = add_lora(load_model(folder).model, LoraConfig(rank=2, alpha=4), seed=0)
    with torch.no_grad():
        for name, p in wrapped.named_parameters():
            if "lora_B" in name:
                p.normal_()
    wrapped.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    merged = load_model(tmp_path / "adapter")
    ids = torch.tensor([[3, 4, 5]])
    torch.testing.assert_close(merged.model(ids).logits, wrapped(ids).logits, atol=1e-5, rtol=1e-5)
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    assert "adapter" in error_of(tmp_path / "adapter")


def loaded(tokenizer: object, *, vocab_size: int = 24) -> LoadedModel:
    return describe(tiny_model(vocab_size=vocab_size, layers=1), tokenizer)


def mismatch(student: LoadedModel, teacher: LoadedModel) -> str:
    with pytest.raises(TokenizerMismatchError) as caught:
        check_same_tokenizer(student, teacher)
    return str(caught.value)


def test_equal_tokenizers_pass_and_padding_is_cut() -> None:
    student, teacher = loaded(tiny_tokenizer(), vocab_size=24), loaded(tiny_tokenizer(), vocab_size=30)
    check_same_tokenizer(student, teacher)
    assert [model.vocab_size for model in share_vocabulary(student, teacher)] == [19, 19]


def test_differences_are_named() -> None:
    plain = loaded(tiny_tokenizer())
    assert "'w3' is id 3 (student) and 4 (teacher)" in mismatch(plain, loaded(tiny_tokenizer(swapped=True)))
    assert "vocabulary sizes 19 (student) and 15 (teacher)" in mismatch(plain, loaded(tiny_tokenizer(15)))
    special = tiny_tokenizer()
    special.add_special_tokens({"additional_special_tokens": ["w5"]})
    assert "'w5' is special for the teacher only" in mismatch(plain, loaded(special))
    assert "vocabulary sizes" in mismatch(plain, loaded(None, vocab_size=30))


def test_more_added_tokens_at_the_end_are_cut() -> None:
    longer = tiny_tokenizer()
    longer.add_tokens(["<think>", "</think>"])
    student, teacher = loaded(tiny_tokenizer()), loaded(longer)
    teacher = replace(teacher, stop_ids=frozenset({1, 20}))
    assert teacher.vocab_size == 21
    student, teacher = share_vocabulary(student, teacher)
    assert (student.vocab_size, teacher.vocab_size, teacher.stop_ids) == (19, 19, frozenset({1}))


def test_different_merges_are_named() -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocab = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4}
    pair = [
        loaded(PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE(vocab, merges))), vocab_size=5)
        for merges in ([("a", "b"), ("b", "c")], [("b", "c"), ("a", "b")])
    ]
    assert "merge 0 is ['a', 'b'] (student) and ['b', 'c'] (teacher)" in mismatch(*pair)
