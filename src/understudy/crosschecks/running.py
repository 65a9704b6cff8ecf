"""Runs another harness in a Python that has it, against the server that we asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from understudy.crosschecks.agreement import Agreement, agreement
from understudy.crosschecks.questions import questions_of
from understudy.errors import UnderstudyError, UserMistakeError
from understudy.evaluation.exam import Exam
from understudy.evaluation.suites import SuiteResult

HARNESSES = ("inspect-ai", "lm-eval")
"""The harnesses by the name of their package."""

_KEY = "UNDERSTUDY_CROSS_CHECK_KEY"
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "INSPECT_LOG_LEVEL": "warning",
    "LMEVAL_LOG_LEVEL": "ERROR",
}


def cross_check(
    exam: Exam,
    result: SuiteResult,
    *,
    harness: str,
    url: str,
    model: str,
    key: str | None = None,
    python: str | None = None,
    concurrency: int = 16,
    limit_seconds: float = 7200.0,
) -> Agreement:
    """Ask the same questions once each in the other harness, and compare with our result.

    Args:
        exam: the suite. result: ours. harness: one of ``HARNESSES``. url, model, key: of the server.
        python: an interpreter that has the harness; None is this one. limit_seconds: then it is stopped.
    Raises:
        UserMistakeError: no such harness, or the Python does not have it. CapabilityError: a suite it cannot judge.
        UnderstudyError: it failed.
    """
    if harness not in HARNESSES:
        raise UserMistakeError("no such harness", got=repr(harness), expected=f"one of {', '.join(HARNESSES)}")
    suite = exam.suite
    most = suite.max_completion_length or exam.max_completion_length
    job = questions_of(exam, url=url, model=model, max_tokens=most, concurrency=concurrency)
    said = _run(harness, job, key=key, python=python or sys.executable, limit_seconds=limit_seconds)
    answers = {problem: (float(score), str(text)) for problem, (score, text) in said["answers"].items()}
    return agreement(result, answers, harness=harness, version=str(said["version"]), is_greedy=suite.temperature == 0)


def _run(harness: str, job: dict[str, Any], *, key: str | None, python: str, limit_seconds: float) -> dict[str, Any]:
    program = Path(__file__).with_name("other_harness.py")
    environment = {**os.environ, **_QUIET, **({} if key is None else {_KEY: key})}
    with tempfile.TemporaryDirectory(prefix="understudy-cross-check-") as folder:
        questions, answers = Path(folder) / "questions.json", Path(folder) / "answers.json"
        questions.write_text(json.dumps(job), encoding="utf-8")
        try:
            ended = subprocess.run(
                [python, "-I", str(program), harness, str(questions), str(answers)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=limit_seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnderstudyError(f"{harness} could not be run with {python}", got=str(error)[:300]) from error
        if ended.returncode or not answers.is_file():
            raise _failure(harness, python, ended.stderr)
        return dict(json.loads(answers.read_text(encoding="utf-8")))


def _failure(harness: str, python: str, said: str) -> UnderstudyError:
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
    if "No module named" in last:
        return UserMistakeError(
            f"{python} does not have {harness}",
            got=last[:200],
            remedy="Install understudy[evals], or name another Python with --cross-check-python.",
        )
    return UnderstudyError(f"{harness} failed", got=last[:300])
