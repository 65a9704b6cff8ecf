"""Arrays and figures out of answers, each checked for its place, type, shape and value."""

from __future__ import annotations

import base64
import binascii
import io
import math
import tokenize
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.errors import ServerAnswerError

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

NO_VALUE = -9000.0
"""vLLM writes -9999 for minus infinity and NaN; what is not above this has no mass."""

_ROUNDING = 1e-3
"""A log-probability may be above 0 by so much, of bfloat16 rounding."""

_FOUND_IN = "Check that the server is of a version that the documentation names."


def entry(answer: Any, *path: str | int) -> Any:
    """What stands at ``path`` of a parsed answer; raises ServerAnswerError where nothing does."""
    for number, part in enumerate(path):
        try:
            answer = answer[part]
        except (KeyError, IndexError, TypeError) as error:
            name = ".".join(map(str, path[: number + 1]))
            raise ServerAnswerError(f"the answer has no {name}", got=_kind_of(answer), remedy=_FOUND_IN) from error
    return answer


def npy(text: object, *, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of base64 of a ``.npy`` file.

    Args:
        name: in messages. dtype, shape: what it must have; its header is checked before anything is allocated.
    Raises:
        ServerAnswerError: not base64, not ``.npy``, cut short, or another dtype or shape.
    """
    content = from_base64(text, name=name)
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        found_shape, fortran, found = read(stream)
    except (ValueError, EOFError, SyntaxError, TypeError, KeyError, MemoryError, tokenize.TokenError) as error:
        raise _malformed(name, f"{len(content):,} bytes that are no .npy file") from error
    if found != np.dtype(dtype) or tuple(found_shape) != shape or fortran:
        order = " in Fortran order" if fortran else ""
        raise _malformed(name, f"{found} {list(found_shape)}{order}", expected=f"{dtype} {list(shape)}")
    return _array(content[stream.tell() :], name=name, dtype=dtype, shape=shape)


def flat(text: object, *, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of base64 of its plain bytes; raises ServerAnswerError where they are not as many as ``shape`` says."""
    return _array(from_base64(text, name=name), name=name, dtype=dtype, shape=shape)


def from_base64(text: object, *, name: str) -> bytes:
    """The bytes; raises ServerAnswerError where ``text`` is no base64."""
    if not isinstance(text, str):
        raise _malformed(name, _kind_of(text), expected="base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(name, "text that is no base64, or was cut short") from error


def logprobs(values: NDArray[Any], *, name: str) -> Floats:
    """The values as float32 log-probabilities; what is not above ``NO_VALUE`` becomes minus infinity.

    Raises:
        ServerAnswerError: one is NaN, or well above 0.
    """
    found = _float32(values)
    if np.isnan(found).any():
        raise ServerAnswerError(
            f"{name} holds NaN",
            got=f"{int(np.isnan(found).sum())} of {found.size}",
            remedy="The server's model or precision is broken.",
        )
    if found.size and float(found.max()) > _ROUNDING:
        raise ServerAnswerError(
            f"{name} are no log-probabilities",
            got=f"{float(found.max()):g}",
            expected="at most 0",
            remedy="Start the server with --logprobs-mode raw_logprobs.",
        )
    return np.where(found <= NO_VALUE, np.float32(-np.inf), np.minimum(found, np.float32(0)))


def finite(values: NDArray[Any], *, name: str) -> Floats:
    """The values as float32; raises ServerAnswerError where one is NaN or infinite."""
    found = _float32(values)
    if not np.isfinite(found).all():
        raise ServerAnswerError(f"{name} holds NaN or infinity", remedy="The server's model or precision is broken.")
    return found


def _float32(values: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the caller refuses
        return values.astype(np.float32)


def numbers(values: Sequence[object], *, name: str) -> list[float]:
    """Each a number; raises ServerAnswerError where one is missing (null) or something else."""
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ServerAnswerError(f"{name} has no value at place {place}", got=_kind_of(value), remedy=_FOUND_IN)
    try:
        return [float(value) for value in values]  # type: ignore[arg-type]
    except OverflowError as error:
        raise _malformed(name, "a number beyond any that a float holds") from error


def listed(value: object, *, name: str, count: int | None = None) -> list[Any]:
    """The list, of ``count`` entries; raises ServerAnswerError where it is none, or of another length."""
    if not isinstance(value, list):
        raise _malformed(name, _kind_of(value), expected="a list")
    if count is not None and len(value) != count:
        raise _malformed(name, f"{len(value)} entries", expected=f"{count}")
    return value


def _array(content: bytes, *, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if len(content) != needed:
        raise _malformed(name, f"{len(content):,} bytes", expected=f"{needed:,} for {dtype} {list(shape)}")
    return np.frombuffer(content, dtype=dtype).reshape(shape)


def _malformed(name: str, got: str, *, expected: str | None = None) -> ServerAnswerError:
    return ServerAnswerError(f"{name} is malformed", got=got, expected=expected, remedy=_FOUND_IN)


def _kind_of(value: object) -> str:
    return "null" if value is None else type(value).__name__
