"""Groups of named suites that are asked for by one name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

GROUPS: Mapping[str, tuple[str, ...]] = {
    "regression": ("gpqa_diamond", "mmlu_pro", "aime25", "livecodebench", "scicode"),
}
"""``regression`` asks what a model may have lost while it learned something else: science, knowledge, mathematics
(32 attempts a problem, since 30 problems answered once say little), and code."""


@dataclass(frozen=True)
class Expansion:
    """Names of suites, groups taken apart.

    Args:
        names: each once, in order. absent: members of a group that nobody can ask here, to be told.
    """

    names: tuple[str, ...]
    absent: tuple[str, ...]


def expanded(names: Sequence[str], *, known: Collection[str]) -> Expansion:
    """The suites that these names stand for; a name that is no group stays as it is, known or not.

    >>> expanded(["gsm8k", "regression"], known=["aime25", "mmlu_pro"])
    Expansion(names=('gsm8k', 'mmlu_pro', 'aime25'), absent=('gpqa_diamond', 'livecodebench', 'scicode'))

    Args:
        known: suites there are.
    """
    found, absent = list[str](), list[str]()
    for name in names:
        for member in GROUPS.get(name, (name,)):
            (absent if name in GROUPS and member not in known else found).append(member)
    return Expansion(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(absent)))
