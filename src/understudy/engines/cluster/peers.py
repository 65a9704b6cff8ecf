"""Passes that all ranks make together.

Ranks that divide each layer's products read together what each of them brought; each keeps to its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import pad

from understudy.engines.cluster.group import Group
from understudy.engines.local.shares import Share, Span
from understudy.models.forward import MicroBatch


def evened(group: Group, shares: Sequence[Share], *, device: torch.device, packs: bool) -> list[Share]:
    """Equally many shares on every rank; each holds the contexts of all peers, and this rank's rows and terms.

    A rank that has fewer than others brings empty ones. A call of all ranks.

    Args:
        packs: the model reads contexts that are packed into one row.
    """
    idle = Share(MicroBatch.without_rows().to(device), [])
    shares = [*shares, *([idle] * (group.largest(len(shares)) - len(shares)))]
    if group.peers is None:
        return shares
    everyone = [load(content) for content in group.gather_from_peers(save(_content(shares)))]
    place = group.peers.get_local_rank()
    return [
        _joined(share, [_numbered(told, number) for told in everyone], place, packs=packs)
        for number, share in enumerate(shares)
    ]


def budget_of(group: Group, token_budget: int) -> int:
    """The tokens that a rank may bring to a pass, so that what all peers bring fits."""
    return token_budget if group.peers is None else max(1, token_budget // group.peers.size())


@dataclass(frozen=True, eq=False)
class _Told:
    ids: Tensor
    lengths: list[int]
    spans: list[list[int]]


def _numbered(told: Mapping[str, Tensor], number: int) -> _Told:
    return _Told(told[f"{number}.ids"], told[f"{number}.lengths"].tolist(), told[f"{number}.spans"].tolist())


def _joined(share: Share, everyone: Sequence[_Told], place: int, *, packs: bool) -> Share:
    """The share as the peer in that place has it."""
    ids = [told.ids for told in everyone]
    width = max(one.shape[1] for one in ids)
    flats = _places(ids, width=None if packs else width)
    rows = [one.reshape(1, -1) for one in ids] if packs else [pad(one, (0, width - one.shape[1])) for one in ids]
    batch = replace(
        share.batch,
        ids=torch.cat(rows, dim=1 if packs else 0).to(share.batch.ids.device),
        flat=flats[place].to(share.batch.flat.device)[share.batch.flat],
        lengths=tuple(length for told in everyone for length in told.lengths) if packs else None,
    )
    spans = [
        Span(context, int(flat[start]), length)
        for told, flat in zip(everyone, flats, strict=True)
        for context, start, length in told.spans
    ]
    return Share(batch, share.terms, spans)


def _content(shares: Sequence[Share]) -> dict[str, Tensor]:
    content = {}
    for number, share in enumerate(shares):
        ids = share.batch.ids.cpu()
        lengths = share.batch.lengths or (ids.shape[1],) * ids.shape[0]  # a padded row is read as one sequence
        spans = [[span.context, span.start, span.length] for span in share.spans]
        content[f"{number}.ids"] = ids.clone()  # an empty share may stand there many times
        content[f"{number}.lengths"] = torch.tensor(lengths)
        content[f"{number}.spans"] = torch.tensor(spans, dtype=torch.int64).view(-1, 3)
    return content


def _places(ids: Sequence[Tensor], *, width: int | None) -> list[Tensor]:
    """For each peer's flattened tokens where they stand among those of all, in rows of ``width`` or end to end."""
    flats, before = [], 0
    for one in ids:
        rows, columns = one.shape
        step = columns if width is None else width
        flats.append((torch.arange(rows)[:, None] * step + torch.arange(columns)).flatten() + before)
        before += rows * step
    return flats
