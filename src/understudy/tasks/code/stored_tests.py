"""LiveCodeBench's tests, as the data set stores them: JSON, or JSON pickled, compressed and in base 64.

A pickle is a program. This one is read, not run: of its operations only those that make one text are known.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from dataclasses import dataclass
from typing import Any, Literal

from understudy.errors import DataError

_MOST_BYTES = 256 << 20
_BOOKKEEPING = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"}
_TEXTS = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}


@dataclass(frozen=True)
class StoredTest:
    """One test: what goes in, what is to come out; ``functional`` ones hold a line of JSON an argument."""

    input: str
    output: str
    kind: Literal["stdin", "functional"]


def stored_tests(text: str, *, column: str) -> list[StoredTest]:
    """The tests of a column.

    Raises:
        DataError: it is neither of the two forms, or more than 256 MiB when decompressed.
    """
    try:
        try:
            rows = json.loads(text)
        except json.JSONDecodeError:
            rows = json.loads(_unpickled(_decompressed(text, column), column))
        return [_test(row) for row in rows]
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"column {column!r} holds no tests", got=str(error), expected="input, output, testtype"
        ) from error


def _test(row: dict[str, Any]) -> StoredTest:
    kind: Any = row["testtype"]
    if kind not in ("stdin", "functional"):
        raise ValueError(f"testtype {kind!r}")
    return StoredTest(str(row["input"]), str(row["output"]), kind)


def _decompressed(text: str, column: str) -> bytes:
    try:
        engine = zlib.decompressobj()
        data = engine.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise DataError(f"column {column!r} cannot be decoded", got=str(error), expected="base 64 of zlib") from error
    if engine.unconsumed_tail or not engine.eof:
        raise DataError(f"column {column!r} is cut, or too large", got=f"over {len(data)} bytes")
    return data


def _unpickled(data: bytes, column: str) -> str:
    """The one text that a pickle holds."""
    found: list[Any] = []
    expected = "a pickle of one text"
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name in _TEXTS:
                found.append(argument)
            elif operation.name not in _BOOKKEEPING:
                raise DataError(
                    f"column {column!r} holds a pickle that is not read", got=operation.name, expected=expected
                )
    except ValueError as error:
        raise DataError(f"column {column!r} holds no pickle", got=str(error)[:100], expected=expected) from error
    if len(found) != 1:
        raise DataError(f"column {column!r} holds another pickle", got=f"{len(found)} texts", expected=expected)
    return str(found[0])
