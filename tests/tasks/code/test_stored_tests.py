"""LiveCodeBench's tests as they are stored, and what else could stand there."""

from __future__ import annotations

import base64
import json
import pickle
import zlib

import pytest

from understudy.errors import DataError
from understudy.tasks.code.stored_tests import StoredTest, stored_tests

ROWS = [
    {"input": "1 2\n", "output": "3\n", "testtype": "stdin"},
    {"input": "é" * 300, "output": "", "testtype": "stdin"},
]


def stored(value: object, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


@pytest.mark.parametrize("protocol", range(6))
def test_both_forms_give_the_same_tests(protocol):
    text = json.dumps(ROWS)
    expected = [StoredTest("1 2\n", "3\n", "stdin"), StoredTest("é" * 300, "", "stdin")]
    assert stored_tests(text, column="c") == expected
    assert stored_tests(stored(text, protocol), column="c") == expected


class Harm:
    def __reduce__(self):
        return (print, ("HARMED",))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (stored(Harm()), "not read"),
        (stored(["a"]), "not read"),
        (stored({"a": "b"}), "not read"),
        (stored(7), "not read"),
        ("&&&", "cannot be decoded"),
        (base64.b64encode(b"no zlib").decode(), "cannot be decoded"),
        (base64.b64encode(zlib.compress(b"\xff\xfe")).decode(), "no pickle"),
        (base64.b64encode(zlib.compress(b"x" * 10_000)[:-8]).decode(), "cut, or too large"),
        (json.dumps([{"input": "1"}]), "no tests"),
        (json.dumps([{"input": "1", "output": "", "testtype": "shell"}]), "no tests"),
        ("[1]", "no tests"),
        (stored("no JSON"), "no tests"),
    ],
)
def test_anything_else_is_refused_and_nothing_runs(text, match, capfd):
    with pytest.raises(DataError, match=match):
        stored_tests(text, column="private_test_cases")
    assert capfd.readouterr().out == ""


def test_what_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("understudy.tasks.code.stored_tests._MOST_BYTES", 1000)
    with pytest.raises(DataError, match="too large"):
        stored_tests(base64.b64encode(zlib.compress(b"x" * 10**6)).decode(), column="c")
