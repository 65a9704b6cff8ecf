"""Contexts of a rank's share by their numbers in the batch of all ranks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from understudy.engines.cluster.group import Group
from understudy.engines.local.shares import Share
from understudy.tokens import Batch


def numbered_over(group: Group, batch: Batch, shares: Sequence[Share]) -> list[Share]:
    """The shares with each context under the number that it has in one process; what is drawn by it is the same then.

    Rollouts stand in the order of their keys, a rollout's contexts one after the other.
    """
    keys = [int(batch.table.rollouts["key"][context.rollout]) for context in batch.contexts]
    counts = Counter(keys)
    told = [json.loads(content) for content in group.gather(json.dumps(list(counts.items())).encode())]
    first, place = {}, 0
    for key, count in sorted((key, count) for one in told for key, count in one):
        first[key], place = place, place + count
    seen: Counter[int] = Counter()
    numbers = []
    for key in keys:
        numbers.append(first[key] + seen[key])
        seen[key] += 1
    return [
        replace(share, spans=[replace(span, context=numbers[span.context]) for span in share.spans]) for share in shares
    ]
