"""A finding: what was checked, how bad it is, what was seen, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from understudy.errors import UnderstudyError

Verdict = Literal["ok", "warn", "stop"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's page.

    Args:
        check: what was looked at, e.g. ``tokenizer``. verdict: ``stop`` means that training is not worth starting.
        what: what was seen, one sentence. remedy: what to do; empty where nothing is to be done.
    """

    check: str
    verdict: Verdict
    what: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """``{check, verdict, what, remedy}``."""
        return asdict(self)


def ok(check: str, what: str) -> Finding:
    """Nothing to be done."""
    return Finding(check, "ok", what)


def warn(check: str, what: str, remedy: str) -> Finding:
    """A run may begin, and may disappoint."""
    return Finding(check, "warn", what, remedy)


def stop(check: str, what: str, remedy: str) -> Finding:
    """A run would fail, or teach the wrong thing."""
    return Finding(check, "stop", what, remedy)


def stop_for(check: str, error: UnderstudyError) -> Finding:
    """An error that training would end with, as a finding."""
    parts = [error.what]
    parts += [f"got {error.got}"] if error.got is not None else []
    parts += [f"expected {error.expected}"] if error.expected is not None else []
    return Finding(check, "stop", "; ".join(parts), error.remedy or "")
