"""Inputs that somebody made to hurt: bytes that were flipped, cut and doubled, and plain data with hostile values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

DEEP = 3000
"""Levels of nesting that no reader's recursion survives unguarded."""

HOSTILE_TEXTS = (
    "",
    "\x00",
    "\ud800",
    "\u202e" + "abc",
    "../../../../etc/passwd",
    "/dev/zero",
    "a" * 300,
    "<script>alert(1)</script>",
    "{{ ''.__class__.__mro__ }}",
    "{x!r:>99999999}",
    "%s%n%d",
    "NaN",
    "1e999",
    "9" * 5000,
    "²",
    "\x1b[31m",
    "\n\n---\n",
    "!!python/object/apply:os.system ['true']",
)
HOSTILE_NUMBERS = (0, -1, 1, 2**31, -(2**31), 2**63, 2**64, 10**400, -(10**400), 0.0, -0.0, 1e308, 5e-324)
NOT_FINITE = (math.nan, math.inf, -math.inf)
MAGIC = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\n",
    b":",
    b"<",
    b"&",
    b"NaN",
    b"1e999",
    b"-",
    b"*a",
    b"&a",
    b"!!",
    b"%",
    b"\\u",
    b"9" * 40,
)


def hostile_value(random: Random) -> Any:
    """A value where another was expected."""
    return random.choice(_MAKERS)(random)


def _deep(random: Random) -> Any:
    value: Any = []
    for _ in range(random.choice((5, 60, 300))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


_MAKERS: tuple[Callable[[Random], Any], ...] = (
    lambda _: None,
    lambda random: random.choice((True, False)),
    lambda random: random.choice(HOSTILE_NUMBERS),
    lambda random: random.choice(NOT_FINITE),
    lambda random: random.choice(HOSTILE_TEXTS),
    lambda random: [hostile_value(random) for _ in range(random.randrange(4))],
    lambda random: {random.choice(("", "a", "kind", "name", "__class__")): random.choice(HOSTILE_NUMBERS)},
    lambda random: random.choice(([], {}, [[]], [{}], "", 0)),
    _deep,
)


def twisted(random: Random, value: Any, *, times: int | None = None) -> Any:
    """A copy of plain data with a few places changed: replaced, removed, doubled, renamed, or exchanged."""
    copy = _copied(value)
    for _ in range(times if times is not None else random.choice((1, 1, 1, 2, 3, 6))):
        copy = _twist(random, copy)
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list | tuple) else value


def _twist(random: Random, value: Any) -> Any:
    """Change one place, found by walking down at random."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.15:
        return _changed(random, value)
    if isinstance(value, dict):
        key = random.choice(list(value))
        deed = random.random()
        if deed < 0.08:
            del value[key]
        elif deed < 0.14:
            value[str(random.choice((f"{key}s", key.upper(), "", "__proto__", f" {key}")))] = value.pop(key)
        elif deed < 0.2:
            value[random.choice(("extra", "kind", "name", "method"))] = hostile_value(random)
        else:
            value[key] = _twist(random, value[key])
        return value
    place = random.randrange(len(value))
    deed = random.random()
    if deed < 0.1:
        del value[place]
    elif deed < 0.2:
        value.insert(place, _copied(value[place]))
    elif deed < 0.25:
        random.shuffle(value)
    else:
        value[place] = _twist(random, value[place])
    return value


def _changed(random: Random, value: Any) -> Any:
    if isinstance(value, bool) or value is None or random.random() < 0.5:
        return hostile_value(random)
    if isinstance(value, int | float):
        return random.choice(
            (-value, value + 1, value - 1, value * 10**9, str(value), [value], value / 3 if abs(value) < 1e9 else 0)
        )
    if isinstance(value, str):
        at = random.randrange(len(value) + 1)
        middle = random.choice(HOSTILE_TEXTS)
        return random.choice((value[:at], value[:at] + middle + value[at:], value * 3, value.upper(), [value], at))
    return hostile_value(random)


def broken(random: Random, content: bytes, *, others: Sequence[bytes] = ()) -> bytes:
    """The bytes with a few faults: flipped, cut short, cut out, doubled, or with pieces of others put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(data) + 1)
        span = random.choice((1, 2, 8, 64))
        deed = random.randrange(7)
        if deed == 0 and data:
            data[at % len(data)] ^= 1 << random.randrange(8)
        elif deed == 1:
            del data[at:]
        elif deed == 2:
            del data[at : at + span]
        elif deed == 3:
            data[at:at] = data[at : at + span]
        elif deed == 4:
            data[at:at] = random.choice(MAGIC) * random.choice((1, 1, 3))
        elif deed == 5:
            data[at : at + span] = random.randbytes(span)
        elif others:
            other = random.choice(others)
            begin = random.randrange(len(other) + 1)
            data[at : at + span] = other[begin : begin + span]
    return bytes(data)


def json_bytes(value: Any) -> bytes:
    """JSON as a careless program writes it: NaN and half surrogates as they are."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def nested(open_: bytes = b"[", close: bytes = b"]", *, depth: int = DEEP) -> bytes:
    """Nesting too deep for a recursive reader."""
    return open_ * depth + close * depth
