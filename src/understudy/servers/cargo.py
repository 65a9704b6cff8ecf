"""The weights of one push: named tensors in the order in which they are sent, and the buckets they are sent in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

BUCKET_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Cargo:
    """A whole model's weights.

    Args:
        tensors: by their names in a checkpoint, in the order of sending; they do not change. label: what servers call
            them afterwards.
    """

    tensors: Mapping[str, Tensor]
    label: str

    def buckets(self, most_bytes: int = BUCKET_BYTES) -> Iterator[list[str]]:
        """Names that go together: one receiver need not hold more than that beside its model."""
        bucket: list[str] = []
        size = 0
        for name, tensor in self.tensors.items():
            if bucket and size + tensor.nbytes > most_bytes:
                yield bucket
                bucket, size = [], 0
            bucket.append(name)
            size += tensor.nbytes
        if bucket:
            yield bucket

    def listing(self, names: Sequence[str], *, dtypes: str = "dtype_names") -> dict[str, list[object]]:
        """What a receiver must know beforehand of these tensors."""
        chosen = [self.tensors[name] for name in names]
        return {
            "names": list(names),
            dtypes: [str(one.dtype).removeprefix("torch.") for one in chosen],
            "shapes": [list(one.shape) for one in chosen],
        }
