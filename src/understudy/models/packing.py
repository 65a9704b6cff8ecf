"""Which contexts go through the backbone together: padded to like length, or one after another in one row.

Decided from the lengths alone, so that every rank and every machine cuts a batch the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

# Padded tokens from which on a pass costs what its tokens cost, and not what it takes to begin one.
_WORTH_A_PASS = 1024
# Measured (docs/performance.md, `python -m benchmarks.packing`). On a CPU a longer packed pass gains nothing, and loses
# up to a quarter in a process whose allocator gives large tensors back to the system each time.
_CPU_PACKED_TOKENS = 1536
# In tokens of a small model: what one more run of equal lengths costs inside a packed pass, and one more pass.
_RUN_TOKENS = 12
_PASS_TOKENS = 40


def packed_budget(token_budget: int, device: torch.device) -> int:
    """Tokens a packed pass, at most: what memory allows, and on a CPU no more than its caches like."""
    return min(token_budget, _CPU_PACKED_TOKENS) if device.type == "cpu" else token_budget


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of contexts grouped so that a group's padded size stays within the budget.

    Longest first, so that the contexts of a group are of like length; a context above the budget stands alone. A
    group large enough to be worth a pass of its own takes no context that would be padded by more than a seventh.

    >>> micro_batches([3, 9, 4, 2], 9)
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    width = 0
    enough = max(_WORTH_A_PASS, token_budget // 16)
    for index in _longest_first(lengths):
        alike = groups and (lengths[index] * 8 >= width * 7 or width * len(groups[-1]) < enough)
        if alike and width * (len(groups[-1]) + 1) <= token_budget:
            groups[-1].append(index)
        else:
            groups.append([index])
            width = lengths[index]
    return groups


def packed_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of contexts grouped so that a group's own tokens stay within the budget, longest first.

    >>> packed_batches([3, 9, 4, 2], 9)
    [[1], [2, 0, 3]]
    """
    groups: list[list[int]] = []
    room = 0
    for index in _longest_first(lengths):
        if groups and lengths[index] <= room:
            groups[-1].append(index)
        else:
            groups.append([index])
            room = token_budget
        room -= lengths[index]
    return groups


def pays_to_pack(lengths: Sequence[int], *, padded_tokens: int, packed_tokens: int) -> bool:
    """Whether packing these contexts is cheaper than padding them to like length, given the budget of either.

    Packing saves padding and passes; it costs an attention call for every different length in a pass.

    >>> pays_to_pack([100] * 8, padded_tokens=8192, packed_tokens=8192)
    False
    >>> pays_to_pack([400, 300, 250, 90], padded_tokens=8192, packed_tokens=8192)
    True
    """
    padded, packed = micro_batches(lengths, padded_tokens), packed_batches(lengths, packed_tokens)
    wasted = sum(len(group) * lengths[group[0]] for group in padded) - sum(lengths)
    runs = sum(len({lengths[index] for index in group}) for group in packed)
    return wasted + _PASS_TOKENS * (len(padded) - len(packed)) > _RUN_TOKENS * (runs - len(padded))


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
