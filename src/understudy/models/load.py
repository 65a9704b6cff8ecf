"""Loading a causal language model and its tokenizer from a folder or a hub id; safetensors only."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from understudy.errors import ModelError, first_line
from understudy.models.bars import hide_bars_of_weights
from understudy.models.locate import check_location, written_out
from understudy.models.tokenizers import check_same_tokenizer, share_vocabulary, vocabulary_digest

__all__ = ["DTYPES", "LoadedModel", "check_same_tokenizer", "describe", "fingerprint", "load_model", "share_vocabulary"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
_SAMPLED_ELEMENTS = 1 << 20
_UNLIMITED = 1 << 30


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in evaluation mode, its tokenizer, and what the rest of the program asks of them.

    Args:
        model: the causal language model. tokenizer: None when the folder holds none.
        fingerprint: digest of configuration, weights and vocabulary.
        vocab_size: true vocabulary; the padded rows of an embedding beyond it take part in no softmax.
        stop_ids: every id that ends a completion. max_length: longest context in tokens that is read the same
            whatever stands beside it.
        name: path or hub id it came from; empty when it was made in memory.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    fingerprint: str
    vocab_size: int
    stop_ids: frozenset[int]
    max_length: int
    name: str = ""

    @property
    def known_tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer; raises ModelError where there is none."""
        if self.tokenizer is None:
            raise ModelError(
                f"{self.name or 'the model'} has no tokenizer",
                expected="tokenizer.json in its folder",
                remedy="Save its tokenizer there, or name one in student.tokenizer.",
            )
        return self.tokenizer

    @property
    def device(self) -> torch.device:
        """Where its parameters are; for one without weights, the CPU, where its words are."""
        return torch.device("cpu") if self.is_papers else next(self.model.parameters()).device

    @property
    def is_papers(self) -> bool:
        """Whether the weights are not here, as ``papers.load_papers`` has it."""
        return next(self.model.parameters()).device.type == "meta"


def load_model(
    name: str | Path,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    trust_remote_code: bool = False,
    tokenizer: str | None = None,
) -> LoadedModel:
    """The model at a path or hub id; a folder with a LoRA adapter gives its base model with the adapter merged in.

    Args:
        name: folder or hub id. dtype: of the weights, one of ``DTYPES``. device: a torch device.
        trust_remote_code: run Python code that comes with the model. tokenizer: where it is not the model's own.
    Raises:
        ModelError: not a model, broken or incomplete weights, or no safetensors file.
    """
    name = written_out(str(name))
    if dtype not in DTYPES:
        raise ModelError("unknown dtype", got=repr(dtype), expected=f"one of {', '.join(DTYPES)}")
    check_location(name)
    if (Path(name) / "adapter_config.json").is_file():
        model = _load_adapted(name, dtype=DTYPES[dtype], trust_remote_code=trust_remote_code)
    else:
        model = _load_plain(name, dtype=DTYPES[dtype], trust_remote_code=trust_remote_code)
    read = load_tokenizer(tokenizer or name, trust_remote_code=trust_remote_code)
    nn.Module.to(model, torch.device(device))
    return describe(model, read, name=name)


def describe(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, *, name: str = "", digest: str | None = None
) -> LoadedModel:
    """The record of a model that is already in memory; puts it in evaluation mode.

    Args:
        digest: stands for the fingerprint of weights that are not there.
    """
    model.eval()
    vocab_size = _true_vocab_size(model, tokenizer)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        fingerprint=digest or fingerprint(model, tokenizer),
        vocab_size=vocab_size,
        stop_ids=_stop_ids(model, tokenizer, vocab_size=vocab_size),
        max_length=_max_length(model, tokenizer),
        name=name,
    )


def fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> str:
    """16 hex digits over configuration, weights and vocabulary.

    Tensors above a million elements enter by their shape and a million elements spread evenly over them.
    """
    return fingerprint_of(model, dict(model.named_parameters()), tokenizer)


def fingerprint_of(
    model: PreTrainedModel, weights: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerBase | None
) -> str:
    """``fingerprint`` of that model with these weights, by the names of its parameters and in their order."""
    digest = hashlib.sha256()
    settings = {key: value for key, value in model.config.to_dict().items() if not key.startswith("_")}
    settings.pop("transformers_version", None)
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in weights.items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().flatten()
        stride = max(1, flat.numel() // _SAMPLED_ELEMENTS)
        digest.update(flat[::stride].contiguous().cpu().view(torch.uint8).numpy().data)
    digest.update(vocabulary_digest(tokenizer).encode() if tokenizer is not None else b"")
    return digest.hexdigest()[:16]


def _load_plain(name: str, *, dtype: torch.dtype, trust_remote_code: bool) -> PreTrainedModel:
    hide_bars_of_weights()
    load: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, report = load(
            name, dtype=dtype, use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    except Exception as error:  # its settings are read by transformers, whose kinds of errors are many
        raise ModelError(
            f"{name} cannot be loaded as a causal language model",
            got=first_line(error),
            expected="a folder or hub id with config.json and *.safetensors",
            remedy="Check the name and that its download or copy is complete.",
        ) from error
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise ModelError(
            f"the weights of {name} are incomplete",
            got=f"no {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}",
            remedy="Copy or download the model again.",
        )
    return model


def _load_adapted(name: str, *, dtype: torch.dtype, trust_remote_code: bool) -> PreTrainedModel:
    from peft import PeftModel  # slow to import, needed for adapters only

    from understudy.models.adapters import read_adapter

    base_name = base_of(Path(name))
    if base_name is None or not (Path(name) / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"{name} is not a complete adapter",
            expected="adapter_config.json with base_model_name_or_path, and adapter_model.safetensors",
        )
    base = _load_plain(base_name, dtype=dtype, trust_remote_code=trust_remote_code)
    try:
        with warnings.catch_warnings():
            # PEFT's affairs with transformers, and its word for an incomplete file, which is refused below.
            warnings.simplefilter("ignore")
            adapted = PeftModel.from_pretrained(base, name)
        read_adapter(adapted, Path(name))
        return adapted.merge_and_unload()
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the adapter {name} does not fit its base model {base_name}",
            got=first_line(error),
            remedy="Check that both copies are complete and belong together.",
        ) from error


def base_of(folder: Path) -> str | None:
    """The model that an adapter's settings name; None where there are none, or they cannot be read."""
    try:
        return json.loads((folder / "adapter_config.json").read_text()).get("base_model_name_or_path") or None
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def load_tokenizer(name: str, *, trust_remote_code: bool) -> PreTrainedTokenizerBase | None:
    """The tokenizer at a path or hub id; None for a folder without one; raises ModelError for a broken one."""
    name = written_out(name)
    folder = Path(name)
    if folder.is_dir() and not any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
        return None
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
    except Exception as error:  # the same, and the tokenizers library's own, which is plain Exception
        raise ModelError(f"the tokenizer of {name} cannot be loaded", got=first_line(error)) from error


def _text_config(model: PreTrainedModel) -> Any:
    return model.config.get_text_config()


def _true_vocab_size(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> int:
    sizes = [int(_text_config(model).vocab_size)]
    weight = getattr(model.get_output_embeddings(), "weight", None)
    if isinstance(weight, torch.Tensor):
        sizes.append(weight.shape[0])
    if tokenizer is not None:
        sizes.append(len(tokenizer))
    return min(sizes)


def _stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, *, vocab_size: int) -> frozenset[int]:
    found: set[int] = set()
    for owner in (getattr(model, "generation_config", None), _text_config(model), tokenizer):
        ids = getattr(owner, "eos_token_id", None)
        listed = ids if isinstance(ids, (list, tuple)) else [] if ids is None else [ids]
        if not all(isinstance(id, int) for id in listed):
            what = "the model names an end of text that is no token"
            raise ModelError(what, got=f"eos_token_id {str(ids)[:80]!r}", expected="an id, or a list of ids")
        found.update(listed)
    return frozenset(id for id in found if 0 <= id < vocab_size)


def _max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None) -> int:
    config = _text_config(model)
    for field in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        value = getattr(config, field, None)
        if isinstance(value, int) and value > 0:
            return min([value, *_turning_points(config)])
    limit = getattr(tokenizer, "model_max_length", _UNLIMITED)
    return int(min(limit, _UNLIMITED))


def _turning_points(config: Any) -> list[int]:
    """Lengths past which ``longrope`` turns every token of a pass by other angles (Phi-3, Phi-4-mini).

    transformers goes by the longest context of the pass: what is said of a short one then depends on who stands beside
    it, and what was drawn up to that length is scored otherwise once the text is longer.
    """
    settings = getattr(config, "rope_parameters", None) or {}
    of_layers = [one for one in settings.values() if isinstance(one, dict)] or [settings]
    return [one["original_max_position_embeddings"] for one in of_layers if one.get("rope_type") == "longrope"]
