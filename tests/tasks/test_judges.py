"""Verifiers that judge in worker processes: mathematics, and a user's own function."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.errors import DataError, EnvironmentFailedError, RecipeError
from understudy.recipe import Data
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks import Row, Verdict, loaded_from, verdicts, verifier_from
from understudy.tasks.judges import MathematicalJudge
from understudy.workers import pool

HANGS = r"\boxed{9^{9^{9^9}}}"


@pytest.fixture(autouse=True)
def fresh_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Functions of one test's folder must not stay in workers of the next."""
    yield
    for key in [key for key in pool._shared if '"function"' in key]:
        pool._shared.pop(key).close()


def math(completion: str, gold: object, **options: object) -> Verdict:
    verify = verifier_from(VerifierConfig.model_validate({"kind": "math", **options}), "gold")
    assert verify is not None
    return verify(completion, {"gold": gold})


@pytest.mark.parametrize(
    ("completion", "gold", "correct", "parsed"),
    [
        (r"so \boxed{\frac{1}{2}}", "0.5", True, "1/2"),
        (r"so \boxed{0.5}", r"\frac{1}{2}", True, None),
        (r"so \boxed{0.5}", r"$\frac{1}{2}$", True, None),
        (r"\boxed{3} then \boxed{4}", "4", True, "4"),
        (r"\boxed{3} then \boxed{4}", "3", False, "4"),
        (r"\boxed{3} then \boxed{4", "3", True, "3"),
        (r"$x = 72$.", "72", True, None),
        ("The answer is 1,234.", "1234", True, "1234"),
        (r"\boxed{2x+x}", "3x", True, None),
        (r"\boxed{(1,2)}", "(1, 2)", True, None),
        (r"\boxed{\{2,1\}}", r"\{1,2\}", True, None),
        (r"\boxed{\text{Monday}}", r"\text{Monday}", True, None),
        (r"\boxed{5}", ["6", "5"], True, "5"),
        (r"\boxed{5}", 5, True, "5"),
        ("no idea", "5", False, None),
        ("", "5", False, None),
        (r"\boxed{}", "5", False, None),
    ],
)
def test_equal_as_mathematics(completion: str, gold: object, correct: bool, parsed: str | None) -> None:
    found = math(completion, gold)
    assert (found.correct, found.reward) == (correct, float(correct))
    assert parsed is None or found.parsed == parsed
    assert (found.parsed is None) == (completion in ("no idea", "", r"\boxed{}"))


def test_a_pattern_finds_the_answer_in_completion_and_gold() -> None:
    options = {"extract": r"#### (.+)"}
    assert math("7*8 = 56\n#### 56", "so 7*8\n#### 56.0", **options).correct
    assert math("#### 55", "56", **options) == Verdict(0.0, False, "55")
    assert math(r"it is \boxed{56}", "56", **options).parsed is None


def test_an_answer_that_hangs_is_unread_and_wrong(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_warned", 0)
    started = time.monotonic()
    assert math(HANGS, "5", deadline_seconds=0.5) == Verdict(0.0, False, None)
    assert time.monotonic() - started < 10
    assert "gave up after 0.5 s" in caplog.text and "9^9" in caplog.text
    assert math(r"\boxed{5}", "5", deadline_seconds=0.5).correct


def test_judging_works_off_the_main_thread() -> None:
    found: list[Verdict] = []
    thread = threading.Thread(target=lambda: found.append(math(r"\boxed{1/2}", "0.5")))
    thread.start()
    thread.join()
    assert found[0].correct


def test_a_thousand_answers_with_hanging_ones_take_well_under_a_minute() -> None:
    verify = verifier_from(VerifierConfig(kind="math", deadline_seconds=1.0), None)
    begin = verify.begin  # type: ignore[union-attr]
    pairs = [(rf"\boxed{{{n}/{n + 1 + n % 2}}}", rf"\frac{{{n}}}{{{n + 1}}}") for n in range(1, 981)]
    pairs[::49] = [(rf"\boxed{{{n}+9^{{9^{{9^9}}}}}}", "5") for n in range(20)]
    pairs += [(r"\boxed{" + "(" * depth + "x", "5") for depth in (10, 100, 1000, 100_000)]
    started = time.monotonic()
    waits = [begin(completion, {"answer": gold}) for completion, gold in pairs]
    verdicts = [wait() for wait in waits]
    assert time.monotonic() - started < 40
    counts = Counter((verdict.correct, verdict.parsed is None) for verdict in verdicts)
    assert counts[True, False] == sum(n % 2 == 0 for n in range(1, 981) if (n - 1) % 49)
    assert counts[False, True] >= 20
    started = time.monotonic()
    assert [verify(completion, {"answer": gold}) for completion, gold in pairs] == verdicts  # type: ignore[misc]
    assert time.monotonic() - started < 1  # nobody is asked twice


def rows_of(*golds: object) -> list[Row]:
    return [Row({"question": "?", "answer": gold}, f"line {n}") for n, gold in enumerate(golds, start=1)]


def data(**fields: object) -> Data:
    return Data.model_validate({"dataset": "x.jsonl", "prompt": "{question}", **fields})


@pytest.mark.parametrize("gold", ["it depends", "\\"])
def test_a_gold_answer_that_does_not_parse_is_named_or_left_out(gold: str) -> None:
    fields = {"verifier": {"kind": "math", "deadline_seconds": 0.5}}
    with pytest.raises(DataError) as caught:
        loaded_from(rows_of("5", "1/2", gold), data(**fields))
    assert "x.jsonl, line 3: column 'answer' cannot be read as mathematics" in str(caught.value)
    assert "missing: drop" in str(caught.value)
    kept = loaded_from(rows_of("5", gold, None, "1/2"), data(**fields, missing="drop"))
    assert [task.columns["answer"] for task in kept.tasks] == ["5", "1/2"]
    assert kept.dropped == {"with a gold answer that cannot be read": 1, "without 'answer'": 1}


def test_rows_that_are_left_out_are_made_up_for_up_to_the_limit() -> None:
    rows = rows_of("it depends", "5", "it depends too", "2", "7", "never read")
    kept = loaded_from(rows, data(verifier={"kind": "math"}, missing="drop", limit=3))
    assert [task.columns["answer"] for task in kept.tasks] == ["5", "2", "7"]
    assert (kept.num_rows, dict(kept.dropped)) == (5, {"with a gold answer that cannot be read": 2})


OWN = """
import time
from dataclasses import dataclass

@dataclass
class Mark:
    reward: float
    correct: bool
    parsed: str | None = None

calls = 0

def graded(completion, columns):
    global calls
    calls += 1
    return {
        "": lambda: False, "true": lambda: True, "half": lambda: 0.5, "int": lambda: 2,
        "record": lambda: Mark(0.25, True, None), "mapping": lambda: {"reward": 1, "correct": True, "parsed": 7},
        "flag only": lambda: {"correct": True},
        "gold": lambda: completion == columns["answer"],
        "text": lambda: "yes", "none": lambda: None, "nan": lambda: float("nan"), "list": lambda: [1],
        "raise": lambda: 1 / 0, "hang": lambda: time.sleep(600),
        "calls": lambda: calls,
    }[completion]()

class Judges:
    @staticmethod
    def always(completion, columns):
        return True

def impatient(completion, columns):
    raise KeyError("no")

def slow(completion, columns):
    time.sleep(600)

def wrong(completion, columns):
    return "yes"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_rewards.py").write_text(OWN)
    (tmp_path / "broken_rewards.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)


def by(function: str, completion: str, **options: object) -> Verdict:
    config = VerifierConfig.model_validate({"kind": "python", "function": function, **options})
    verify = verifier_from(config, None)
    assert verify is not None
    return verify(completion, {"answer": "gold"})


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        ("", Verdict(0.0, False, "")),
        ("true", Verdict(1.0, True, "true")),
        ("half", Verdict(0.5, None, "half")),
        ("int", Verdict(2.0, None, "int")),
        ("record", Verdict(0.25, True, None)),
        ("mapping", Verdict(1.0, True, "7")),
        ("flag only", Verdict(1.0, True, "flag only")),
        ("gold", Verdict(1.0, True, "gold")),
    ],
)
def test_a_function_of_the_users_may_answer_in_many_ways(completion: str, verdict: Verdict) -> None:
    assert by("own_rewards:graded", completion) == verdict


@pytest.mark.usefixtures("own")
def test_a_method_may_be_named_too() -> None:
    assert by("own_rewards:Judges.always", "x").correct


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("completion", ["text", "none", "nan", "list"])
def test_what_is_no_verdict_stops_the_run_with_a_sentence(completion: str) -> None:
    with pytest.raises(RecipeError, match=r"own_rewards:graded gives no verdict; got .* expected true or false"):
        by("own_rewards:graded", completion)


@pytest.mark.usefixtures("own")
def test_a_function_that_raises_costs_one_rollout() -> None:
    with pytest.raises(EnvironmentFailedError, match="own_rewards:graded failed; got ZeroDivisionError"):
        by("own_rewards:graded", "raise")


@pytest.mark.usefixtures("own")
def test_a_function_that_hangs_is_ended() -> None:
    assert by("own_rewards:graded", "hang", deadline_seconds=0.5) == Verdict(0.0, False, None)
    assert by("own_rewards:graded", "true", deadline_seconds=0.5).correct


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("own_rewards:graded_", "cannot be loaded; got AttributeError"),
        ("no_such_module:check", "cannot be loaded; got ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken_rewards:check", "cannot be loaded; got ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("own_rewards:impatient", "own_rewards:impatient failed on an empty completion; got KeyError: 'no'"),
        ("own_rewards:slow", "own_rewards:slow did not end on an empty completion"),
        ("own_rewards:wrong", "own_rewards:wrong gives no verdict; got str 'yes'"),
    ],
)
def test_a_function_that_cannot_judge_is_found_before_the_run(function: str, said: str) -> None:
    verifier = {"kind": "python", "function": function, "deadline_seconds": 0.5}
    with pytest.raises(RecipeError) as caught:
        loaded_from(rows_of("1", "2"), data(verifier=verifier))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("own")
def test_only_the_first_row_is_tried_when_data_is_read() -> None:
    verifier = {"kind": "python", "function": "own_rewards:graded"}
    assert len(loaded_from(rows_of(*range(50)), data(verifier=verifier)).tasks) == 50
    judge = verifier_from(VerifierConfig.model_validate(verifier), None)
    assert judge is not None and judge("calls", {}).reward <= 2


def test_a_pool_that_is_lost_makes_no_answer_wrong() -> None:
    verify = verifier_from(VerifierConfig(kind="math"), "gold")
    assert isinstance(verify, MathematicalJudge)
    assert verify(r"\boxed{1}", {"gold": "1"}).correct
    waits = [verify.begin(rf"\boxed{{\frac{{{n}}}{{7}}}}", {"gold": rf"\frac{{{n}}}{{7}}"}) for n in range(1, 41)]
    supervisor = verify._workers._supervisor
    assert supervisor is not None
    os.kill(supervisor._process.pid, signal.SIGKILL)
    assert all(wait().correct for wait in waits)
