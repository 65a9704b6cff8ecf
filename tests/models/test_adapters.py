from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conformance.tiny import tiny_model
from understudy.errors import ModelError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import load_model
from understudy.models.sampling import LocalSampler

CONFIG = LoraConfig(rank=3, alpha=6)


def weights(seed: int) -> dict[str, torch.Tensor]:
    model = add_lora(tiny_model(), CONFIG, seed=seed)
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def test_the_start_is_keyed_and_leaves_the_global_generator_alone() -> None:
    state = torch.random.get_rng_state()
    first = weights(1)
    torch.manual_seed(77)
    second, other = weights(1), weights(2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    torch.random.set_rng_state(state)
    model = tiny_model()
    torch.random.set_rng_state(state)
    add_lora(model, CONFIG, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_start_changes_no_answer_and_every_linear_layer_but_the_head_is_adapted() -> None:
    model, ids = tiny_model(tied=False), torch.tensor([[3, 4, 5]])
    before = model(ids).logits.detach()
    adapted = add_lora(model, CONFIG, seed=0)
    torch.testing.assert_close(adapted(ids).logits, before)
    names = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert len(names) == 2 * 2 * 7  # A and B, two layers, q k v o gate up down
    assert not any("lm_head" in name for name in names)


def test_unknown_modules_are_refused() -> None:
    with pytest.raises(ModelError, match="target_modules"):
        add_lora(tiny_model(), LoraConfig(target_modules=["no_such_layer"]), seed=0)


Damage = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
DAMAGES: dict[str, Damage] = {
    "no ": lambda weights: {name: value for name, value in weights.items() if "layers.1" not in name},
    "no place for ": lambda weights: weights | {"base_model.model.x.lora_A.weight": torch.zeros(3, 4)},
    "no base_model": lambda weights: {name.replace("self_attn", "attention"): x for name, x in weights.items()},
}


@pytest.mark.parametrize("said", DAMAGES)
def test_an_adapter_that_fits_in_part_is_refused(said: str, tmp_path: Path) -> None:
    """PEFT warns or says nothing, and the model would answer as if it had not been trained, or half."""
    base, folder = tiny_model(), tmp_path / "adapter"
    base.save_pretrained(tmp_path / "base")
    adapted = add_lora(base, CONFIG, seed=0)
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(folder, save_embedding_layers=False)
    load_model(folder)
    save_file(DAMAGES[said](load_file(folder / "adapter_model.safetensors")), folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=f"not one of this model; got {said}"):
        load_model(folder)
    with pytest.raises(ModelError, match=f"not one of this model; got {said}"):
        LocalSampler(adapted, vocab_size=8, max_length=8).load_weights(folder, 1)
