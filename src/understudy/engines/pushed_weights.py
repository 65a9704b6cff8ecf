"""Weights that go from the memory of whoever trains into that of the servers, without a disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn
from transformers.core_model_loading import revert_weight_conversion

from understudy.servers.cargo import Cargo


class Takes(Protocol):
    """A sampler that is given whole weights from memory."""

    def push_weights(self, cargo: Cargo, version: int) -> None:
        """Draw with these weights, as ``version``."""


class PushedWeights:
    """Implements ``Supply`` with a copy in the CPU's memory for each version that is under way or present.

    The copy is what an address is given that comes back while the student learns on.

    Args:
        weights: the live ones, whole, by the names that the servers know. sampler: its servers are given them.
        expect: told of weights that another rank gives, by label and version; None: this one gives them.
        share: the lead's word, on every rank; called by whoever trains. meet: as of ``FolderWeights``.
    """

    def __init__(
        self,
        weights: Callable[[], Mapping[str, Tensor]],
        sampler: Takes,
        *,
        expect: Callable[[str, int], None] | None = None,
        share: Callable[[str], str] = str,
        meet: Callable[[], None] = lambda: None,
    ) -> None:
        self._weights, self._sampler = weights, sampler
        self._expect, self._share, self._meet = expect, share, meet
        self._kept: dict[int, Cargo] = {}

    def keep(self, version: int) -> None:
        """A copy, under a label that no other set of weights ever has."""
        label = self._share(f"{version}-{secrets.token_hex(4)}")
        tensors = self._weights() if self._expect is None else {}
        self._kept[version] = Cargo({name: _copied(one) for name, one in tensors.items()}, label)

    def give(self, version: int) -> None:
        """Have every server take the copy; older ones are let go."""
        cargo = self._kept[version]
        self._meet()  # nobody draws with the weights before any more
        if self._expect is None:
            self._sampler.push_weights(cargo, version)
        self._meet()  # every server that answers has them
        if self._expect is not None:
            self._expect(cargo.label, version)
        for old in [one for one in list(self._kept) if one < version]:
            del self._kept[old]


def weights_as_saved(model: nn.Module) -> dict[str, Tensor]:
    """Every weight once, by its name in the files of a model as the hub has them, where vLLM and SGLang read names."""
    return revert_weight_conversion(model, named_weights(model))  # type: ignore[arg-type]


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """Every weight once, by its name in the module."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def _copied(weight: Tensor) -> Tensor:
    there = weight.detach().contiguous()
    return there.clone() if there.device.type == "cpu" else there.cpu()
