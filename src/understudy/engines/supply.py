"""How the weights of the student get from where it learns to where it is sampled."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from understudy.models.sampling import LocalSampler
from understudy.protocols import Sampler


class Supply(Protocol):
    """Two halves of a hand-over, so that training may go on between them."""

    def keep(self, version: int) -> None:
        """Keep the live weights as ``version``; called between two updates, by whoever trains, on every rank."""

    def give(self, version: int) -> None:
        """Have the sampler draw with ``version``, which was kept; called by whoever samples, between two draws.

        Older versions are let go.
        """


class SharedWeights:
    """Implements ``Supply`` for a sampler on the very module that learns."""

    def __init__(self, sampler: LocalSampler) -> None:
        self._sampler = sampler

    def keep(self, version: int) -> None:
        """Nothing: they are where they are needed."""

    def give(self, version: int) -> None:
        """Their name."""
        self._sampler.load_weights(None, version)


class HeldWeights:
    """Implements ``Supply`` with a second module in this process, for a sampler that draws while the first one learns.

    Args:
        learning: a module with the live weights, whole. names: of those that learn; the others never change.
    Attributes:
        module: for the sampler. sampler: set by whoever made it.
    """

    def __init__(self, learning: nn.Module, names: Collection[str]) -> None:
        self._learning = {name: p for name, p in learning.named_parameters() if name in names}
        self.module = copy.deepcopy(learning)
        self.sampler: LocalSampler | None = None
        self._drawing = dict(self.module.named_parameters())
        self._kept: dict[int, dict[str, Tensor]] = {}

    def keep(self, version: int) -> None:
        """A copy of what learns."""
        self._kept[version] = {name: p.detach().clone() for name, p in self._learning.items()}

    def give(self, version: int) -> None:
        """The copy, put into the second module."""
        with torch.no_grad():
            for name, value in self._kept[version].items():
                self._drawing[name].copy_(value)
        assert self.sampler is not None
        self.sampler.load_weights(None, version)
        for old in [one for one in list(self._kept) if one <= version]:
            del self._kept[old]


class FolderWeights:
    """Implements ``Supply`` through a folder that the servers see: an adapter, or a whole model, at a path of its own.

    Args:
        save: writes the live model below a folder and returns where; called on every rank.
        sampler: its servers are given them. folder: of all versions; what an earlier session left there goes.
        adopt: told of weights that another rank gives, by folder and version; None: this one gives them.
        meet: returns once every rank has called it, on the thread that samples and on the one that trains.
    """

    def __init__(
        self,
        save: Callable[[Path], Path],
        sampler: Sampler,
        folder: Path,
        *,
        adopt: Callable[[Path, int], None] | None = None,
        meet: Callable[[], None] = lambda: None,
    ) -> None:
        self._save, self._sampler, self._folder = save, sampler, folder
        self._adopt, self._meet = adopt, meet
        self._kept: dict[int, Path] = {}
        if adopt is None:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, version: int) -> None:
        """Write them."""
        self._kept[version] = self._save(self._folder / f"{version:06d}")

    def give(self, version: int) -> None:
        """Have every server take them, then remove the folders before."""
        self._meet()  # nobody draws with the weights before any more
        if self._adopt is None:
            self._sampler.load_weights(self._kept[version], version)
        self._meet()  # every server that answers has them
        if self._adopt is not None:
            self._adopt(self._kept[version], version)
        for old in [one for one in list(self._kept) if one < version]:
            del self._kept[old]
            if self._adopt is None:
                shutil.rmtree(self._folder / f"{old:06d}", ignore_errors=True)
