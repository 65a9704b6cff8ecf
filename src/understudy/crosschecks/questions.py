"""A suite's questions as plain data, for harnesses that know nothing of this package."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from understudy.errors import CapabilityError
from understudy.evaluation.exam import Exam
from understudy.protocols import Task
from understudy.recipe import Suite
from understudy.tasks.numerals import last_number
from understudy.tasks.verdicts import golds_of

KINDS = ("numeric", "exact", "choice")
"""Verifiers whose answers the harnesses' own scorers can judge."""


def questions_of(exam: Exam, *, url: str, model: str, max_tokens: int, concurrency: int) -> dict[str, Any]:
    """The questions with gold answers in plain text, and how to ask.

    Raises:
        CapabilityError: a suite that the harnesses' scorers cannot judge.
    """
    suite = exam.suite
    if suite.verifier.kind not in KINDS or suite.kind != "accuracy" or exam.environment is not None:
        raise CapabilityError(
            f"suite {suite.name!r} has no scorer in other harnesses", expected=f"a verifier {', '.join(KINDS)}"
        )
    return {
        "url": url,
        "model": model,
        "temperature": suite.temperature,
        "top_p": suite.top_p,
        "max_tokens": max_tokens,
        "concurrency": concurrency,
        "kind": suite.verifier.kind,
        "extract": suite.verifier.extract,
        "letters": suite.verifier.letters,
        "questions": [_question(task, suite) for task in exam.tasks],
    }


def _question(task: Task, suite: Suite) -> dict[str, Any]:
    prompt = task.prompt if isinstance(task.prompt, str) else [dict(message) for message in task.prompt]
    golds = golds_of(task.columns, suite.gold_column or "answer")
    return {"id": task.problem, "prompt": prompt, "gold": _plain(golds[0], suite)}


def _plain(gold: object, suite: Suite) -> str:
    text, pattern = str(gold), suite.verifier.extract
    found = list(re.finditer(pattern, text)) if pattern is not None and suite.verifier.kind != "choice" else []
    text = found[-1].group(1) if found else text
    if suite.verifier.kind == "numeric":
        number = last_number(text)
        return text if number is None else _decimal(number)
    return text.strip("() ") if suite.verifier.kind == "choice" else text.strip()


def _decimal(number: Fraction) -> str:
    return str(number.numerator) if number.denominator == 1 else str(float(number))
