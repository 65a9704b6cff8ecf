"""The files of stored scores: ``scores.json``, and parts of rows in Parquet (narrow) and safetensors (wide)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from understudy.errors import DataError, first_line

MANIFEST = "scores.json"
FORMAT = 1
REMEDY = "Run understudy score again; it keeps the parts that are whole."

NARROW = pa.schema(
    {
        "context": pa.binary(16),
        "position": pa.int32(),
        "token_id": pa.int64(),
        "logprob": pa.float32(),
        "entropy": pa.float32(),
    }
)
"""One row a scored token: digest of the student's context, place in it, the teacher's figures; entropy may be null."""


@dataclass(frozen=True)
class PartRecord:
    """One part: its number, its rows, and a digest of both files."""

    number: int
    num_rows: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What stored scores are of.

    Args:
        teacher: its fingerprint. tokenizer: the student's, whose ids are stored. temperature: of the softmax.
        top_k: candidates a row, 0 for none. vocab_size: of which the top-k is, where known. entropy: whether stored.
        rollouts: digest of all contexts. parts: in order. complete: whether every rollout was scored.
    """

    teacher: str
    tokenizer: str
    temperature: float
    top_k: int
    entropy: bool
    vocab_size: int | None = None
    rollouts: str = ""
    parts: tuple[PartRecord, ...] = ()
    complete: bool = False
    format: int = FORMAT

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of stored scores, those of a context side by side and in the order of their places.

    Args:
        contexts: [n] digests. position, token_id: [n] int64. logprob: [n]. entropy: [n] or None.
        top_ids, top_logprobs: [n, k] or None.
    """

    contexts: Sequence[bytes]
    position: Tensor
    token_id: Tensor
    logprob: Tensor
    entropy: Tensor | None = None
    top_ids: Tensor | None = None
    top_logprobs: Tensor | None = None


def context_digest(ids: Tensor) -> bytes:
    """16 bytes that stand for a context of the student's ids."""
    return hashlib.blake2b(ids.numpy().tobytes(), digest_size=16).digest()


def rollouts_digest(contexts: Iterable[bytes]) -> str:
    """16 hex digits over contexts, in whatever order they came."""
    return hashlib.sha256(b"".join(sorted(set(contexts)))).hexdigest()[:16]


def files_of(folder: Path, number: int) -> tuple[Path, Path]:
    """Where a part's narrow and wide rows stand."""
    return folder / f"part-{number:06d}.parquet", folder / f"part-{number:06d}.safetensors"


def digest_of(folder: Path, number: int) -> str:
    """16 hex digits over the files of a part, those there are."""
    digest = hashlib.sha256()
    for file in files_of(folder, number):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_manifest(folder: Path) -> Manifest:
    """What the scores of a folder are of.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    file = folder / MANIFEST
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise DataError(f"{file} is of another version", got=content.get("format"), expected=FORMAT, remedy=REMEDY)
        parts = tuple(PartRecord(**part) for part in content.pop("parts"))
        manifest = Manifest(**content, parts=parts)
        _check_kinds(manifest)
        return manifest
    except OSError as error:
        remedy = "Write them with understudy score RECIPE --out DIR."
        raise DataError(
            f"{folder} holds no stored scores", got=error.strerror, expected=MANIFEST, remedy=remedy
        ) from error
    except DataError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DataError(f"{file} cannot be read", got=first_line(error)[:300], remedy=REMEDY) from error


def _check_kinds(manifest: Manifest) -> None:
    """A ValueError where a field is of another kind, or out of its range."""
    texts = (manifest.teacher, manifest.tokenizer, manifest.rollouts, *(part.digest for part in manifest.parts))
    sizes = (
        manifest.top_k,
        manifest.vocab_size or 0,
        *(n for part in manifest.parts for n in (part.number, part.num_rows)),
    )
    is_good = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(size, int) and 0 <= size < 1 << 40 for size in sizes)
        and isinstance(manifest.entropy, bool)
        and isinstance(manifest.complete, bool)
        and isinstance(manifest.temperature, int | float)
        and 0 < manifest.temperature < float("inf")
    )
    if not is_good:
        raise ValueError("a field is of another kind, or out of its range")


def read_part(folder: Path, part: PartRecord, manifest: Manifest) -> Rows:
    """The rows of one part.

    Raises:
        DataError: a file is missing, cut short, changed, or has another shape than it should.
    """
    narrow, wide = files_of(folder, part.number)
    if digest_of(folder, part.number) != part.digest:
        raise DataError(
            f"part {part.number} of the scores in {folder} is missing, cut short or changed",
            got=f"digest {digest_of(folder, part.number)}",
            expected=part.digest,
            remedy=REMEDY,
        )
    try:
        rows = _rows(narrow, wide, manifest)
    except (OSError, pa.ArrowException, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{narrow} cannot be read", got=first_line(error)[:300], remedy=REMEDY) from error
    _check(folder, part, manifest, rows)
    return rows


def _rows(narrow: Path, wide: Path, manifest: Manifest) -> Rows:
    table = pq.read_table(narrow, schema=NARROW)
    tensors = load_file(wide) if manifest.top_k else {}
    if any(table[name].null_count for name in ("context", "position", "token_id", "logprob")):
        raise ValueError("rows without a context, a place, a token or a figure")
    return Rows(
        contexts=table["context"].to_pylist(),
        position=_tensor(table["position"]).long(),
        token_id=_tensor(table["token_id"]),
        logprob=_tensor(table["logprob"]),
        entropy=_tensor(table["entropy"]) if manifest.entropy else None,
        top_ids=tensors["top_ids"].long() if manifest.top_k else None,
        top_logprobs=tensors["top_logprobs"].float() if manifest.top_k else None,
    )


def _tensor(column: pa.ChunkedArray) -> Tensor:
    return torch.from_numpy(np.array(column.to_numpy()))


def _check(folder: Path, part: PartRecord, manifest: Manifest, rows: Rows) -> None:
    shapes = [tuple(wide.shape) for wide in (rows.top_ids, rows.top_logprobs) if wide is not None]
    expected = [(part.num_rows, manifest.top_k)] * (2 if manifest.top_k else 0)
    figures = [one for one in (rows.logprob, rows.entropy, rows.top_logprobs) if one is not None]
    if len(rows.contexts) != part.num_rows or shapes != expected or any(bool(one.isnan().any()) for one in figures):
        raise DataError(
            f"part {part.number} of the scores in {folder} is not what was announced",
            got=f"{len(rows.contexts)} rows, wide {shapes}, or a figure that is no number",
            expected=f"{part.num_rows} rows, wide {expected}",
            remedy=REMEDY,
        )
