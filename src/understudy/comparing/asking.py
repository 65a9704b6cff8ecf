"""Whether both sides were asked the same way: another prompt or temperature is another suite in disguise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from understudy.comparing.marks import Marks
from understudy.errors import DataError

_NO_MATTER = {"name", "dataset", "limit", "seed"}
"""The problems themselves are compared one by one, and another seed is another sample of the same."""


def check_versions(first: Marks, second: Marks) -> None:
    """Refuse figures of two versions of one suite.

    Raises:
        DataError: both say their version, and they differ.
    """
    versions = [side.about.get("suite_version") for side in (first, second)]
    if None not in versions and versions[0] != versions[1]:
        raise DataError(
            f"{first.source} and {second.source} are of two versions of suite {first.suite!r}",
            got=f"{versions[0]} and {versions[1]}",
            remedy="Evaluate both models with one version of Understudy.",
        )


def differences(first: Marks, second: Marks) -> tuple[str, ...]:
    """What was set differently for the two sides, each as ``name: a / b``; nothing where a side does not say.

    >>> from pathlib import Path
    >>> hot, cold = ({"settings": {"temperature": t, "top_p": 1.0}} for t in (1.0, 0.6))
    >>> differences(*(Marks("s", Path("f"), "higher", {}, about=about) for about in (hot, cold)))
    ('temperature: 1.0 / 0.6',)
    """
    return tuple(_differing(_settings(first), _settings(second)))


def _settings(side: Marks) -> Mapping[str, object]:
    settings = side.about.get("settings")
    return settings if isinstance(settings, Mapping) else {}


def _differing(first: Mapping[str, object], second: Mapping[str, object]) -> Iterator[str]:
    for name, value in first.items():
        if name in _NO_MATTER or name not in second or second[name] == value:
            continue
        yield f"{name}: {_short(value)} / {_short(second[name])}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
