"""Verifiers whose work may hang: they judge in worker processes, by a deadline, many completions at a time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from understudy.errors import EnvironmentFailedError, RecipeError
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks.verdicts import Columns, UnreadableGoldError, Verdict, extracted, golds_of, warn_of_overtime
from understudy.workers import JobFailedError, LostJobError, OvertimeError, RefusedError, Workers, shared

_MEMORY_BYTES = 2 << 30
_MOST_KEPT = 10_000
_PLAIN_NUMBER = re.compile(r"\s*-?\d{1,15}(?:\.\d{1,15})?\s*")

Wait = Callable[[], Verdict]
"""Waits for a verdict that was begun."""


class _Judge:
    """Judges in worker processes; the same question is asked once."""

    def __init__(self, workers: Workers, *, seconds: float) -> None:
        self._workers, self._seconds = workers, seconds
        self._known: dict[bytes, Verdict] = {}

    def __call__(self, completion: str, columns: Columns) -> Verdict:
        """The verdict; raises as ``begin``'s function does."""
        return self.begin(completion, columns)()

    def begin(self, completion: str, columns: Columns) -> Wait:
        """Start to judge; the function that comes back waits for the verdict. What overruns the deadline is unread."""
        payload = self._payload(completion, columns)
        key = hashlib.sha256(json.dumps(payload, default=str).encode()).digest()
        if key in self._known:
            known = self._known[key]
            return lambda: known
        job = self._workers.submit(payload)

        def wait() -> Verdict:
            try:
                # A pool that was lost, as where memory is short, says nothing of this answer: it is asked once more.
                is_lost = isinstance(job.exception(), LostJobError)
                found = self._read(self._result(self._workers.submit(payload) if is_lost else job))
            except OvertimeError:
                warn_of_overtime(completion, self._seconds)
                found = Verdict(reward=0.0, correct=False, parsed=None)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = found
            return found

        return wait

    def _payload(self, completion: str, columns: Columns) -> Mapping[str, object]:
        raise NotImplementedError

    def _read(self, result: Mapping[str, Any]) -> Verdict:
        raise NotImplementedError

    def _result(self, job: Future[Any]) -> Mapping[str, Any]:
        result: Mapping[str, Any] = job.result()
        return result


class MathematicalJudge(_Judge):
    """Equality as mathematics, by ``math-verify``: of the pattern's match, else the last box, else the text's end.

    Args:
        config: the recipe's section. column: of the gold answer.
    """

    def __init__(self, config: VerifierConfig, column: str) -> None:
        options = {"extract": config.extract}
        seconds = config.deadline_seconds
        super().__init__(
            shared("mathematics", options=options, seconds=seconds, memory_bytes=_MEMORY_BYTES), seconds=seconds
        )
        self._column, self._extract = column, config.extract

    def check(self, columns: Columns) -> Callable[[], object]:
        """Start to read a row's gold answer; the function that comes back waits, and raises if it cannot be read."""
        golds = [str(gold) for gold in golds_of(columns, self._column)]
        found = [extracted(gold, self._extract, seconds=self._seconds) for gold in golds]
        if all(
            _PLAIN_NUMBER.fullmatch(gold if text is None else text) for gold, text in zip(golds, found, strict=True)
        ):
            return lambda: None
        job = self._workers.submit({"golds": golds, "completion": None})

        def wait() -> None:
            try:
                self._read(self._result(job))
            except OvertimeError as error:
                raise self._unreadable("; ".join(golds)) from error

        return wait

    def _payload(self, completion: str, columns: Columns) -> Mapping[str, object]:
        return {"golds": [str(gold) for gold in golds_of(columns, self._column)], "completion": completion}

    def _read(self, result: Mapping[str, Any]) -> Verdict:
        if result["unread"] is not None:
            raise self._unreadable(result["unread"])
        return Verdict(float(result["correct"]), bool(result["correct"]), result["parsed"])

    def _result(self, job: Future[Any]) -> Mapping[str, Any]:
        try:
            return super()._result(job)
        except JobFailedError:  # out of memory, or a depth that no answer has
            return {"unread": None, "parsed": None, "correct": False}
        except RefusedError as error:
            raise RecipeError(
                "verifier math cannot begin", got=error.got, remedy="Is math-verify installed?"
            ) from error

    def _unreadable(self, gold: str) -> UnreadableGoldError:
        return UnreadableGoldError(
            f"column {self._column!r} cannot be read as mathematics", got=repr(gold)[:80], expected="a number or LaTeX"
        )


class FunctionJudge(_Judge):
    """A user's own function, ``function(completion, columns)``.

    Waiting raises RecipeError where the function cannot be loaded or gives no verdict, and EnvironmentFailedError,
    which costs one rollout, where it raises or its process dies.

    Args:
        config: the recipe's section, with ``function``.
    """

    def __init__(self, config: VerifierConfig) -> None:
        assert config.function is not None
        self._name, seconds = config.function, config.deadline_seconds
        super().__init__(shared("function", options={"function": self._name}, seconds=seconds), seconds=seconds)
        self._is_checked = False

    def check(self, columns: Columns) -> Callable[[], object]:
        """Try the function on an empty completion of the first row; it may be slow, so other rows pass."""
        if self._is_checked:
            return lambda: None
        self._is_checked = True
        job = self._workers.submit(self._payload("", columns))

        def wait() -> None:
            try:
                self._read(self._result(job))
            except OvertimeError as error:
                raise RecipeError(
                    f"verifier function {self._name} did not end on an empty completion",
                    got=error.got,
                    remedy="Raise verifier.deadline_seconds if it is only slow.",
                ) from error
            except EnvironmentFailedError as error:
                raise RecipeError(f"{error.what} on an empty completion", got=error.got) from error

        return wait

    def _payload(self, completion: str, columns: Columns) -> Mapping[str, object]:
        return {"completion": completion, "columns": dict(columns)}

    def _read(self, result: Mapping[str, Any]) -> Verdict:
        if "wrong" in result:
            raise RecipeError(
                f"verifier function {self._name} gives no verdict",
                got=result["wrong"],
                expected="true or false, a number, or a record with reward, correct and parsed",
            )
        return Verdict(result["reward"], result["correct"], result["parsed"])

    def _result(self, job: Future[Any]) -> Mapping[str, Any]:
        try:
            return super()._result(job)
        except JobFailedError as error:
            raise EnvironmentFailedError(f"verifier function {self._name} failed", got=error.got) from error
        except RefusedError as error:
            raise RecipeError(
                f"verifier function {self._name} cannot be loaded",
                got=error.got,
                remedy="It is package.module:function, in a module on the Python path or in the working directory.",
            ) from error
