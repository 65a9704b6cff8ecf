"""Another harness on the same questions: what is handed over, what is compared, and the real ones where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.evaluation.test_attempts import sample
from tests.servers.scripted import Asked, Reply, ScriptedServer

from understudy.build import exam_of, suite_named
from understudy.crosschecks import HARNESSES, agreement, cross_check
from understudy.crosschecks.questions import questions_of
from understudy.errors import CapabilityError, DataError, UnderstudyError, UserMistakeError
from understudy.evaluating import Address, Wishes, cross_checked, evaluate
from understudy.evaluation import SuiteResult
from understudy.training.progress import Silent

PYTHON = os.environ.get("UNDERSTUDY_EVALS_PYTHON", sys.executable)


def has(harness: str) -> bool:
    """Whether the Python of the harnesses has this one."""
    module = harness.replace("-", "_")
    if sys.executable == PYTHON:
        return find_spec(module) is not None
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def result_of(*right: bool) -> SuiteResult:
    return SuiteResult("s", "higher", tuple(sample(f"p{n}", correct=one) for n, one in enumerate(right)))


def compared(ours: SuiteResult, *theirs: float, text: str = "x") -> object:
    answers = {f"p{n}": (score, text) for n, score in enumerate(theirs)}
    return agreement(ours, answers, harness="h", version="1", is_greedy=True)


def test_agreement_by_hand() -> None:
    same = agreement(
        result_of(True, False), {"p0": (1.0, "x"), "p1": (0.0, "y")}, harness="h", version="1", is_greedy=True
    )
    assert (same.num_apart, same.num_texts_apart, same.agrees) == (0, 1, True)
    assert (same.ours.mean, same.theirs.mean, same.difference.mean) == (0.5, 0.5, 0.0)
    answers = {f"p{n}": (0.0, "x") for n in range(20)}
    apart = agreement(result_of(*[True] * 19, False), answers, harness="h", version="1", is_greedy=False)
    assert (apart.num_apart, apart.num_texts_apart, apart.agrees) == (19, None, False)
    assert apart.to_json()["agrees"] is False and apart.to_json()["theirs"] == apart.theirs.to_json()
    with pytest.raises(DataError, match="same problems"):
        agreement(result_of(True), {"q": (1.0, "x")}, harness="h", version="1", is_greedy=True)


def test_questions_carry_gold_answers_in_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "1,000 + 234?", "answer": "so\n#### 1,234"}) + "\n")
    job = questions_of(exam_of(suite_named("gsm8k", data=file)), url="http://x", model="m", max_tokens=7, concurrency=2)
    (question,) = job["questions"]
    assert (question["gold"], job["kind"], job["max_tokens"]) == ("1234", "numeric", 7)
    assert question["prompt"][0]["content"].startswith("1,000 + 234?")
    file.write_text('{"key": 1, "prompt": "a", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}\n')
    with pytest.raises(CapabilityError, match="no scorer in other harnesses"):
        questions_of(exam_of(suite_named("ifeval", data=file)), url="u", model="m", max_tokens=7, concurrency=2)


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "1?", "answer": "#### 1"}\n')
    exam = exam_of(suite_named("gsm8k", data=file))
    with pytest.raises(UserMistakeError, match=r"no such harness.*inspect-ai"):
        cross_check(exam, result_of(True), harness="helm", url="u", model="m")
    with pytest.raises(UnderstudyError, match="could not be run with"):
        cross_check(exam, result_of(True), harness="lm-eval", url="u", model="m", python=str(tmp_path / "python"))
    with pytest.raises(UserMistakeError, match="needs a server"):
        cross_checked("student", ["gsm8k"], [result_of(True)], harness="lm-eval")


@pytest.mark.parametrize("harness", HARNESSES)
@pytest.mark.parametrize("name", ["gsm8k", "bbh_navigate", "bbh_date_understanding"])
def test_the_real_harness_agrees_on_a_model_of_known_answers(harness: str, name: str, tmp_path: Path) -> None:
    """A scripted model that is right on half of the questions; both must see exactly that."""
    if not has(harness):
        pytest.skip(f"{harness} is not installed; UNDERSTUDY_EVALS_PYTHON may name a Python that has it")
    gold, right, wrong = {
        "gsm8k": ("#### {n}", "so\n#### {n}", "so\n#### 99"),
        "bbh_navigate": ("Yes", "Answer: Yes", "Answer: No"),
        "bbh_date_understanding": ("(B)", "The answer is (B).", "Answer: C"),
    }[name]
    question, answer = ("question", "answer") if name == "gsm8k" else ("input", "target")
    file = tmp_path / "rows.jsonl"
    rows = [{question: f"{n}?", answer: gold.format(n=n)} for n in range(10)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply({"data": [{"id": "scripted"}]})
        if asked.method == "GET":
            return Reply({}, status=404)
        n = int(asked.body["messages"][0]["content"].split("?")[0])
        text = (right if n % 2 else wrong).format(n=n)
        return Reply({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

    server = ScriptedServer(reply)
    try:
        options = {"data": file, "wishes": Wishes(), "address": Address()}
        results = evaluate(server.url, [name], display=Silent(), keep=tmp_path, **options)  # type: ignore[arg-type]
        (found,) = cross_checked(server.url, [name], results, harness=harness, python=PYTHON, **options)  # type: ignore[arg-type]
    finally:
        server.close()
    assert (found.ours.mean, found.theirs.mean, found.num_apart, found.num_texts_apart) == (0.5, 0.5, 0, 0)
    assert found.agrees and found.version[0].isdecimal()
