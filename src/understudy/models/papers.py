"""What a model's folder says of it without its weights: tokenizer, vocabulary, stop tokens, context length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from understudy.errors import ModelError, first_line
from understudy.models.load import LoadedModel, base_of, describe, load_tokenizer
from understudy.models.locate import check_location, written_out


def load_papers(name: str, *, trust_remote_code: bool = False, tokenizer: str | None = None) -> LoadedModel:
    """The record of a model whose weights stay where they are: the module is on the device ``meta``.

    Args:
        name: folder or hub id; of an adapter's folder, its base model is read. tokenizer: where it is not the model's.
    Raises:
        ModelError: no configuration of a causal language model is there.
    """
    name = written_out(name)
    check_location(name)
    whole = base_of(Path(name)) or name
    try:
        config = AutoConfig.from_pretrained(whole, trust_remote_code=trust_remote_code)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    except Exception as error:  # its settings are read by transformers, whose kinds of errors are many
        raise ModelError(f"{name} has no configuration of a causal language model", got=first_line(error)) from error
    written = _generation_config(whole)
    if written is not None:
        model.generation_config = written
    return describe(
        model, load_tokenizer(tokenizer or name, trust_remote_code=trust_remote_code), name=name, digest="papers"
    )


def _generation_config(name: str) -> Any:
    try:
        return GenerationConfig.from_pretrained(name)
    except OSError:  # few models lack the file; the one made from the configuration stands then
        return None
