"""Write stored scores part by part: what is on the disk when a part is added survives whatever happens next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from understudy.errors import DataError, RunDirectoryError
from understudy.teachers.disk_scores_files import (
    MANIFEST,
    NARROW,
    Manifest,
    PartRecord,
    Rows,
    digest_of,
    files_of,
    read_manifest,
    read_part,
    rollouts_digest,
)
from understudy.training.durable import write_file, write_json

_OF = ("teacher", "tokenizer", "temperature", "top_k", "entropy")


class ScoresFolder:
    """A folder of scores that grows.

    Parts of an earlier session are kept where they are whole; from the first that is not, they are made anew.

    Args:
        path: the folder. manifest: what its scores are of.
    Raises:
        RunDirectoryError: it holds scores of another teacher, tokenizer, temperature or width.
        DataError: what it says of its scores cannot be read.
    """

    @staticmethod
    def began(path: Path) -> bool:
        """Whether scores stand there, of which the first part may have been the last thing written."""
        return (path / MANIFEST).is_file() or any(file.is_file() for file in files_of(path, 0))

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.known: set[bytes] = set()
        self._manifest = replace(manifest, parts=self._kept(manifest))

    @property
    def num_rows(self) -> int:
        """Rows on the disk."""
        return sum(part.num_rows for part in self._manifest.parts)

    def add(self, rows: Rows) -> None:
        """Write the rows as one more part, on the disk when the call returns; none are no part."""
        if not rows.contexts:
            return
        number = len(self._manifest.parts)
        narrow, wide = files_of(self.path, number)
        write_file(narrow, lambda beside: pq.write_table(_table_of(rows), beside, compression="zstd"))
        if rows.top_ids is not None and rows.top_logprobs is not None:
            tensors = {"top_ids": rows.top_ids.to(torch.int32), "top_logprobs": rows.top_logprobs.contiguous()}
            write_file(wide, lambda beside: save_file(tensors, beside))
        part = PartRecord(number, len(rows.contexts), digest_of(self.path, number))
        self.known |= set(rows.contexts)
        self._write(replace(self._manifest, parts=(*self._manifest.parts, part), complete=False))

    def finish(self) -> Manifest:
        """Say that every rollout is scored."""
        self._write(replace(self._manifest, rollouts=rollouts_digest(self.known), complete=True))
        return self._manifest

    def _write(self, manifest: Manifest) -> None:
        write_json(self.path / MANIFEST, manifest.to_json())
        self._manifest = manifest

    def _kept(self, wanted: Manifest) -> tuple[PartRecord, ...]:
        if not (self.path / MANIFEST).is_file():
            return ()
        try:
            found = read_manifest(self.path)
        except DataError as error:  # its own remedy is what was just done
            error.remedy = "Choose another folder with --out, or delete this one."
            raise
        for name in _OF:
            if getattr(found, name) != getattr(wanted, name):
                raise RunDirectoryError(
                    f"{self.path} holds scores of another {name.replace('_', ' ')}",
                    got=getattr(found, name),
                    expected=getattr(wanted, name),
                    remedy="Choose another folder with --out.",
                )
        kept: list[PartRecord] = []
        for part in found.parts:
            try:
                rows = read_part(self.path, part, found)
            except DataError:
                break
            self.known |= set(rows.contexts)
            kept.append(part)
        return tuple(kept)


def _table_of(rows: Rows) -> pa.Table:
    entropy = None if rows.entropy is None else rows.entropy.numpy()
    columns = {
        "context": pa.array(rows.contexts, type=pa.binary(16)),
        "position": pa.array(rows.position.numpy(), type=pa.int32()),
        "token_id": pa.array(rows.token_id.numpy(), type=pa.int64()),
        "logprob": pa.array(rows.logprob.numpy(), type=pa.float32()),
        "entropy": pa.array([None] * len(rows.contexts) if entropy is None else entropy, type=pa.float32()),
    }
    return pa.table(columns, schema=NARROW)
