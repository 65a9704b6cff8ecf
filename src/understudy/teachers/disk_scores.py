"""A teacher whose scores were written beforehand: it need not be there, and marks only what it has marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from understudy.errors import DataError
from understudy.protocols import Capabilities, ScoreRequest, Scores, View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.teachers.disk_scores_files import (
    REMEDY,
    Manifest,
    Rows,
    context_digest,
    read_manifest,
    read_part,
    rollouts_digest,
)
from understudy.teachers.limits import refuse_beyond


class DiskScorer:
    """Implements ``Scorer`` from stored scores, for contexts of the student's ids that are among them.

    Args:
        folder: that ``understudy score`` wrote.
    Raises:
        DataError: a file is missing, cut short or changed, or not every rollout was scored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)
        if not self.manifest.complete:
            raise DataError(f"the scores in {folder} are not complete", remedy=REMEDY)
        self._rows = _joined([read_part(folder, part, self.manifest) for part in self.manifest.parts], self.manifest)
        found = rollouts_digest(self._rows.contexts)
        if found != self.manifest.rollouts:
            raise DataError(
                f"the scores in {folder} are of other rollouts than they say",
                got=f"digest {found}",
                expected=self.manifest.rollouts,
                remedy=REMEDY,
            )
        places = zip(self._rows.contexts, self._rows.position.tolist(), strict=True)
        self._row_of = {place: row for row, place in enumerate(places) if place[1] >= 0}
        self._known = set(self._rows.contexts)

    @property
    def capabilities(self) -> Capabilities:
        """What was stored."""
        stored = self.manifest
        return Capabilities(top_k=stored.top_k, entropy=stored.entropy, vocab_size=stored.vocab_size)

    @property
    def fingerprint(self) -> str:
        """Of the teacher that gave the scores."""
        return self.manifest.teacher

    def view(self) -> View:
        """The student's own contexts, in which a token that has no score has no place."""
        return View("rollout", self._read)

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order.

        Raises:
            CapabilityError: more is asked than was stored. DataError: other rollouts, or another temperature.
        """
        refuse_beyond(request, self.capabilities, who="a folder of stored scores")
        if request.temperature != self.manifest.temperature and request.context.numel():
            raise DataError(
                f"the scores in {self.folder} are of another temperature",
                got=self.manifest.temperature,
                expected=request.temperature,
                remedy="Set rollout.temperature to that of the scores, or score again.",
            )
        rows = self._find(request)
        stored, k = self._rows, request.top_k
        return Scores(
            sampled=stored.logprob[rows],
            fingerprint=self.fingerprint,
            version=0,
            top_ids=stored.top_ids[rows, :k] if stored.top_ids is not None and k else None,
            top_logprobs=stored.top_logprobs[rows, :k] if stored.top_logprobs is not None and k else None,
            entropy=stored.entropy[rows] if stored.entropy is not None and request.entropy else None,
        )

    def _find(self, request: ScoreRequest) -> Tensor:
        digests = [context_digest(ids) for ids in request.contexts]
        rows = []
        for context, position in zip(request.context.tolist(), request.position.tolist(), strict=True):
            row = self._row_of.get((digests[context], position))
            if row is None:
                raise self._of_others()
            rows.append(row)
        return torch.tensor(rows, dtype=torch.int64)

    def _read(self, _: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        viewed = []
        for context in contexts:
            digest = context_digest(context.ids)
            if digest not in self._known:
                raise self._of_others()
            has_row = [(digest, place) in self._row_of for place in range(context.ids.numel())]
            position = torch.arange(context.ids.numel()).masked_fill(~torch.tensor(has_row, dtype=torch.bool), -1)
            viewed.append(Viewed(context.ids, position))
        return viewed

    def _of_others(self) -> DataError:
        return DataError(
            f"the scores in {self.folder} are of other rollouts",
            got="a completion that is not among them",
            expected=f"those with digest {self.manifest.rollouts}",
            remedy="Score the rollouts of this recipe: understudy score RECIPE --out DIR.",
        )


def _joined(parts: Sequence[Rows], manifest: Manifest) -> Rows:
    """All rows, in the order of the parts."""
    none = torch.zeros(0)
    first = Rows([], none.long(), none.long(), none, none if manifest.entropy else None)
    if manifest.top_k:
        empty = torch.zeros(0, manifest.top_k)
        first = replace(first, top_ids=empty.long(), top_logprobs=empty)
    every = [first, *parts]

    def joined(name: str) -> Tensor | None:
        columns = [getattr(one, name) for one in every]
        return None if columns[0] is None else torch.cat(columns)

    names = ("position", "token_id", "logprob", "entropy", "top_ids", "top_logprobs")
    return Rows([one for part in every for one in part.contexts], **{name: joined(name) for name in names})  # type: ignore[arg-type]
