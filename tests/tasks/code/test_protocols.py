"""LiveCodeBench's protocol and assertions about functions, on programs that do and do not do what is asked."""

from __future__ import annotations

import json

import pytest

from understudy.errors import DataError
from understudy.recipe import Verifier
from understudy.tasks.verdicts import UnreadableGoldError
from understudy.tasks.verifiers import verifier_from

pytestmark = pytest.mark.usefixtures("sandboxed")


def block(code: str) -> str:
    return f"So:\n```python\n{code}\n```"


def cases(kind: str, *pairs: tuple[str, str]) -> str:
    return json.dumps([{"input": given, "output": wanted, "testtype": kind} for given, wanted in pairs])


STDIN = {
    "public_test_cases": cases("stdin", ("2\n1 2\n3 4\n", "3.0\n7\n")),
    "private_test_cases": cases("stdin", ("1\n5 6", "11")),
}
CALLS = {
    "public_test_cases": cases("functional", ("[1, 2, 3]\n2", "[3, 2]")),
    "private_test_cases": cases("functional", ("[]\n0", "[]")),
    "metadata": json.dumps({"func_name": "last"}),
}
ASSERTIONS = {
    "tests": [
        "from math import inf",
        "assert pair(1, b='x') == (1, 'x')",
        "assert total({'a': inf}) == inf",
        "assert pair(2, b={3}) != None",
    ]
}


def verdicts(protocol: str, columns: dict, programs: dict[str, str], **more) -> dict[str, bool | None]:
    verify = verifier_from(Verifier(kind="code", protocol=protocol, **more), "tests")
    waiting = {name: verify.begin(block(code), columns) for name, code in programs.items()}
    return {name: wait().correct for name, wait in waiting.items()}


def test_programs_that_read_and_write():
    loop = "for _ in range(int(input())):\n    a, b = map(int, input().split())\n    print({})"
    right = {
        "a loop": loop.format("a + b"),
        "names that need no import": loop.format("reduce(operator.add, [a, b]) if Counter([a]) else List"),
        "run as the main program": "def main():\n    "
        + loop.format("a + b").replace("\n", "\n    ")
        + "\nif __name__ == '__main__': main()",
        "reads all, ends by sys.exit": "import sys\nwords = sys.stdin.read().split()[1:]\n"
        "for a, b in zip(words[::2], words[1::2]): print(int(a) + int(b), ' ')\nsys.exit(1)",
    }
    wrong = {
        "another sum": loop.format("a - b"),
        "one line too many": loop.format("a + b") + "\nprint()\nprint(0)",
        "ends with an error": loop.format("a + b") + "\nraise ValueError",
        "ends by force": loop.format("a + b") + "\nimport os, sys; sys.stdout.flush(); os._exit(1)",
        "reads the tests": "import glob\n"
        "for name in glob.glob('/workspace/*') + ['/proc/self/cmdline']: print(open(name).read())",
        "no Python": "print('",
    }
    expected = {**dict.fromkeys(right, True), **dict.fromkeys(wrong, False)}
    assert verdicts("livecodebench", STDIN, {**right, **wrong}) == expected


def test_a_test_has_its_time_and_what_is_slow_fails():
    slow = {"slow": "import time\nn = input()\ntime.sleep(30)", "busy": "while True: pass"}
    assert verdicts("livecodebench", STDIN, slow, test_seconds=1) == {"slow": False, "busy": False}


def test_programs_whose_functions_are_called():
    method = "class Solution:\n    def last(self, items, n): return {}"
    programs = {
        "a method": method.format("items[::-1][:n]"),
        "a function that gives a tuple": "def last(items, n): print('noise'); return tuple(items[::-1][:n])",
        "another answer": method.format("items[:n]"),
        "no such function": "def first(items, n): return items",
        "equal to everything": "class All(list):\n    def __eq__(self, other): return True\n"
        "def last(*a): return All([9])",
        "says so itself": 'import os\nos.write(1, b\'["ready"]\\n["value", {"list": []}]\\n\' * 9)\nos._exit(0)',
    }
    found = verdicts("livecodebench", CALLS, programs)
    assert found == {name: name in ("a method", "a function that gives a tuple") for name in programs}


def test_assertions_about_functions():
    right = "def pair(a, b): return (a, b)\ndef total(d): return sum(d.values())"
    programs = {"right": right, "wrong": right.replace("(a, b)\n", "[a, b]\n"), "half": right.split("\n")[0]}
    assert verdicts("function", ASSERTIONS, programs) == {"right": True, "wrong": False, "half": False}


STEP = {
    "before": "import numpy as np\ndef halved(x): return x / 2",
    "tests": "import numpy as np\nx = np.arange(6.0).reshape(2, 3)\n"
    "assert np.allclose(step(x, scale=np.float32(4)), [[0, 2, 4], [6, 8, 10]])\n"
    "assert step(x[:0]).shape == (0, 3) and step(x).dtype == np.float64",
}


def test_a_step_of_scientific_code_has_numpy_and_the_steps_before_it():
    programs = {
        "right": "def step(x, scale=1): return halved(x) * scale",
        "wrong": "def step(x, scale=1): return x * scale",
        "lists": "def step(x, scale=1): return (halved(x) * scale).tolist()",
        "objects": "def step(x, scale=1): return (halved(x) * scale).astype(object)",
        "of a class of its own": "class All(np.ndarray):\n    def __eq__(self, o): return True\n"
        "def step(x, scale=1): return x.view(All)",
    }
    assert verdicts("function", STEP, programs) == {name: name == "right" for name in programs}


def test_a_completion_without_code_is_unread():
    for protocol, columns in (("livecodebench", STDIN), ("function", ASSERTIONS)):
        verify = verifier_from(Verifier(kind="code", protocol=protocol), "tests")
        assert verify("print(3)", columns) == verify("```sh\nls\n```", columns)
        assert verify("print(3)", columns).parsed is None


def test_rows_that_cannot_be_used_are_told():
    calls = verifier_from(Verifier(kind="code", protocol="livecodebench"), None)
    with pytest.raises(DataError, match="names no function"):
        calls(block("x = 1"), {**CALLS, "metadata": "{}"})
    with pytest.raises(DataError, match="public_test_cases"):
        calls(block("x = 1"), {})
    asserting = verifier_from(Verifier(kind="code", protocol="function"), "tests")
    with pytest.raises(UnreadableGoldError, match="no assertion"):
        asserting(block("x = 1"), {"tests": []})
    with pytest.raises(UnreadableGoldError, match="no Python"):
        asserting.check({"tests": ["assert ("]})()
