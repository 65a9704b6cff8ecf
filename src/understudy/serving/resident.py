"""The model that is served: its scorer, its sampler, its adapters, and what its weights are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from understudy.engines.local import LocalScorer
from understudy.errors import ModelError
from understudy.models.load import LoadedModel, fingerprint, fingerprint_of, load_model
from understudy.models.sampling import LocalSampler
from understudy.recipe import Engine
from understudy.serving.adapters import Adapters
from understudy.serving.refusal import Refusal
from understudy.serving.settings import Settings


class Resident:
    """One model in memory. Its weights are touched by one thread only; names and versions may be read by any.

    Args:
        loaded: the model. settings: its name, longest context and dtype. engine: sizes of batches.
    Raises:
        ModelError: its context is shorter than asked for, or its logits are not known here.
    """

    def __init__(self, loaded: LoadedModel, settings: Settings, engine: Engine) -> None:
        if settings.max_model_len is not None and settings.max_model_len > loaded.max_length:
            raise ModelError(
                "--max-model-len is longer than the model's context",
                got=settings.max_model_len,
                expected=f"at most {loaded.max_length}",
            )
        self.loaded = replace(loaded, max_length=settings.max_model_len or loaded.max_length)
        self.name = settings.name or loaded.name or type(loaded.model).__name__
        self.max_logprobs = settings.max_logprobs if settings.max_logprobs >= 0 else loaded.vocab_size
        self.fingerprint = loaded.fingerprint
        self.dtype = str(next(loaded.model.parameters()).dtype).removeprefix("torch.")
        self.version = "0"
        self.scorer = LocalScorer(
            self.loaded, token_budget=engine.micro_batch_tokens, chunk_rows=engine.head_chunk_rows
        )
        self.sampler = LocalSampler(
            loaded.model,
            vocab_size=loaded.vocab_size,
            max_length=self.loaded.max_length,
            device=loaded.device,
            max_batch_rows=engine.sampler_batch_rows,
        )
        self.adapters = Adapters(loaded.model)

    @property
    def hidden_size(self) -> int:
        """Width of the last hidden states."""
        return int(self.loaded.model.config.get_text_config().hidden_size)

    def check_name(self, name: str | None) -> str:
        """The model that a client means; raises Refusal (404)."""
        if name is None or name == self.name:
            return self.name
        if name not in self.adapters.paths:
            raise Refusal(404, f"the model {name!r} does not exist; this server has {self.name!r}", param="model")
        return name

    @contextmanager
    def answering_as(self, name: str) -> Iterator[None]:
        """Within the block the model has this adapter, or none; afterwards the one it had."""
        if name != self.name and name not in self.adapters.paths:
            raise Refusal(404, f"the adapter {name!r} was unloaded", param="model")
        before = self.adapters.active
        self.adapters.activate(None if name == self.name else name)
        try:
            yield
        finally:
            self.adapters.activate(before if before in self.adapters.paths else None)

    def take(self, weights: Mapping[str, Tensor], version: str) -> None:
        """Take weights that were checked, by the names of the model's own, and call them ``version``."""
        own = self.adapters.base_state()
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)
        self.fingerprint = fingerprint_of(self.loaded.model, self.adapters.base_weights(), self.loaded.tokenizer)
        self.version = version

    def reload(self, folder: Path) -> None:
        """Take the weights in a folder; raises ModelError, and nothing has changed, unless they are of this model."""
        if not folder.is_dir():
            raise ModelError("weights_path is not a folder on the server", got=str(folder))
        fresh = load_model(folder, dtype=self.dtype, device=str(self.loaded.device))
        new = fresh.model.state_dict()
        own = self.adapters.base_state()
        if new.keys() != own.keys() or any(new[name].shape != value.shape for name, value in own.items()):
            raise ModelError("these weights are of another architecture", got=str(folder), expected=self.name)
        if not all(bool(value.isfinite().all()) for value in new.values() if value.is_floating_point()):
            raise ModelError("these weights hold NaN or infinity", got=str(folder))
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(new[name])
        self.fingerprint = fingerprint(fresh.model, self.loaded.tokenizer)
