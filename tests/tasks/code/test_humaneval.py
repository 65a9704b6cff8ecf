"""HumanEval by its protocol: what is right passes, and what is wrong by one small change fails."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from tests.tasks.code.mutants import mutants, pass_plainly

from understudy.recipe import Verifier
from understudy.sandbox import SandboxUnavailableError, isolation
from understudy.tasks.verdicts import UnreadableGoldError
from understudy.tasks.verifiers import verifier_from

DATA = Path(__file__).parents[4] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
STEP = 1 if os.environ.get("UNDERSTUDY_TEST_WHOLE") else 12
"""Every twelfth problem is tried; UNDERSTUDY_TEST_WHOLE=1 tries all 164, which takes minutes."""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    if not DATA.is_file():
        pytest.skip("HumanEval is not in ../shared/data")
    with gzip.open(DATA, "rt") as lines:
        found = [json.loads(line) for line in lines]
    assert len(found) == 164
    return found


@pytest.fixture(scope="module")
def judge():
    try:
        isolation()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    return verifier_from(Verifier(kind="code", protocol="humaneval"), None)


def test_every_canonical_solution_passes(rows, judge):
    waiting = [(row["task_id"], judge.begin(row["canonical_solution"], row)) for row in rows[::STEP]]
    assert not [name for name, wait in waiting if wait().correct is not True]


def test_mutants_fail_unless_their_own_tests_run_plainly_do_not_notice_them(rows, judge, tmp_path):
    """Two mutants a problem, drawn by a seed. One that passes its tests run plainly is the same as far as they tell."""
    random_stream = random.Random(0)
    problems = []
    for row in rows[1::STEP]:
        found = mutants(row["prompt"] + row["canonical_solution"], row["entry_point"])
        problems.append({**row, "programs": random_stream.sample(found, min(2, len(found)))})
    passing = pass_plainly(problems, tmp_path)
    waiting = [
        (row["task_id"], program, is_same, judge.begin(f"```python\n{program}\n```", row))
        for row, marks in zip(problems, passing, strict=True)
        for program, is_same in zip(row["programs"], marks, strict=True)
    ]
    wrong = [(name, program) for name, program, is_same, wait in waiting if wait().correct is not is_same]
    assert not wrong
    assert len(waiting) >= 1.9 * len(problems)
    assert sum(is_same for *_, is_same, _ in waiting) <= 0.15 * len(waiting)
    print(f"{len(waiting)} mutants, {sum(is_same for *_, is_same, _ in waiting)} as good as the original")


def test_a_program_is_found_in_every_form_that_models_write(rows, judge):
    row = rows[0]
    body = row["canonical_solution"]
    whole = row["prompt"] + body
    alone = whole[whole.index("def has_close_elements") :]
    forms = {
        "the body": body,
        "the body, and then something else": body + "\nprint(has_close_elements([], 1))\n",
        "the whole program": whole,
        "a block, without the imports of the prompt": f"Here it is:\n```python\n{alone}\n```\nDone.",
        "the last block": f"```python\nno\n```\n```python\n{alone}\n```",
        "a block with the body": f"```\n{body}\n```",
        "a block never closed": f"```py\n{alone}",
    }
    waiting = {name: judge.begin(text, row) for name, text in forms.items()}
    assert {name: wait().correct for name, wait in waiting.items()} == dict.fromkeys(forms, True)


def test_what_is_no_program_is_unread_and_what_is_wrong_is_read(rows, judge):
    unread = [judge.begin(text, rows[0]) for text in ("I do not know.", "```python\nprint('\n```", "    return (")]
    assert [wait().parsed for wait in unread] == [None] * 3
    wrong = judge("    return None\n", rows[0])
    assert (wrong.parsed is not None, wrong.correct, wrong.reward) == (True, False, 0.0)


FORGERIES = {
    "ends the process as if all were well": """
import os
os._exit(0)
""",
    "ends it when asked": """
import os
def has_close_elements(*a): os._exit(0)
""",
    "raises what ends it": """
def has_close_elements(*a): raise SystemExit(0)
""",
    "is equal to everything": """
class All:
    def __eq__(self, other): return True
    def __bool__(self): return True
def has_close_elements(*a): return All()
""",
    "is a number that is equal to everything": """
class All(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def has_close_elements(*a): return All()
""",
    "changes what equality is": """
import builtins, operator
builtins.bool = lambda *a: True
operator.eq = lambda *a: True
def has_close_elements(*a): return 0
""",
    "brings its own check": """
def check(candidate): pass
def has_close_elements(*a): return None
""",
    "changes the check it finds": """
import sys, gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and 'check' in thing: thing['check'] = lambda c: None
def has_close_elements(*a): return None
""",
    "prints that it passed": """
print('PASSED'); print('["value", true]')
def has_close_elements(*a): return None
""",
    "answers more than it was asked": """
import os
def has_close_elements(*a):
    for n in range(3, 20):
        try: os.write(n, b'["value", true]\\n' * 20)
        except OSError: pass
""",
    "searches the caller for the answer": """
import sys
def has_close_elements(*a):
    frame = sys._getframe()
    while frame:
        if 'check' in frame.f_globals: frame.f_globals['check'] = lambda c: None
        frame = frame.f_back
""",
    "reads the tests": """
import glob
text = ''
names = glob.glob('/**/problem.json', recursive=True) + glob.glob('/workspace/*')
for name in names:
    try: text += open(name).read()
    except OSError: pass
def has_close_elements(*a): return 'check(' in text or None
""",
    "kills whoever judges": """
import os, signal
def has_close_elements(*a):
    for n in (os.getppid(), 1, 2, 3):
        try: os.kill(n, 9)
        except OSError: pass
    os.kill(-1, 9)
""",
    "floods the judge": """
import os
for n in range(3, 20):
    try: os.write(n, b'[' * 10**7)
    except OSError: pass
""",
    "answers with depth": """
def has_close_elements(*a):
    x = []
    for _ in range(100000): x = [x]
    return x
""",
    "never answers": """
def has_close_elements(*a):
    while True: pass
""",
    "says another error than it has": """
class AssertionError(Exception): pass
def has_close_elements(*a): raise AssertionError()
""",
}


def test_no_verdict_can_be_forged(rows, judge):
    quick = verifier_from(Verifier(kind="code", protocol="humaneval", test_seconds=3), None)
    head = "from typing import *\n"
    waiting = {name: quick.begin(f"```python\n{head}{code}\n```", rows[0]) for name, code in FORGERIES.items()}
    assert {name: wait().correct for name, wait in waiting.items()} == dict.fromkeys(FORGERIES, False)


def test_tests_that_cannot_be_used_are_told_with_the_row(rows, judge):
    with pytest.raises(UnreadableGoldError, match="no Python"):
        judge.check({**rows[0], "test": "def check(candidate:"})()
    with pytest.raises(UnreadableGoldError, match="cannot be used"):
        judge(rows[0]["canonical_solution"], {**rows[0], "test": "import no_such_module"})
    assert judge.check(rows[0])() == judge("", rows[0])
    assert judge("", rows[0]).parsed is None
