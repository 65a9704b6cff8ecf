"""The arguments of an instruction, each read with its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from understudy.errors import DataError


@dataclass(frozen=True)
class Given:
    """What an instruction was given: ``{"N": 3, "keyword": "sun"}``; what is null is not there."""

    arguments: Mapping[str, object]

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number, also where it was stored as 3.0; raises DataError where there is none."""
        value = self.arguments.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise self._missing(name, "a whole number")
        return int(value)

    def number(self, name: str) -> float:
        """A number; raises DataError where there is none."""
        value = self.arguments.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._missing(name, "a number")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; raises DataError where there is none."""
        value = self.arguments.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self._missing(name, "a text")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; raises DataError where there is none."""
        value = self.arguments.get(name)
        if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) for one in value):
            raise self._missing(name, "a list of texts")
        return list(value)

    def holds(self, count: int, *, of: str, relation: str) -> bool:
        """Whether ``count`` is at least, or less than, the number called ``of``, as the text called ``relation`` says.

        Raises:
            DataError: another relation.
        """
        bound, words = self.number(of), self.text(relation, "at least").strip().lower()
        if words not in ("at least", "less than"):
            raise self._missing(relation, "'at least' or 'less than'")
        return count >= bound if words == "at least" else count < bound

    def _missing(self, name: str, expected: str) -> DataError:
        got = repr(self.arguments.get(name))[:80]
        return DataError(f"an instruction's argument {name!r} cannot be used", got=got, expected=expected)


Check = Callable[[str, Given], bool]
"""(text, arguments) -> whether the text follows the instruction. Pure; raises DataError for unusable arguments."""
