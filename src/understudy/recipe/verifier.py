"""How an answer is judged."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import regex
from pydantic import BeforeValidator, Field, field_validator, model_validator

from understudy.recipe.section import Number, Section, Text


class Verifier(Section):
    """How a completion is judged against the row's gold answer.

    Args:
        kind: ``none`` (not judged), ``exact`` (the same text), ``regex`` (what a pattern finds is the gold answer),
            ``numeric`` (the same number), ``math`` (equal as mathematics, by math-verify), ``choice`` (the last
            stated letter), ``instructions`` (follows those of IFEval and IFBench, named in the columns
            ``instruction_id_list`` and ``kwargs``), ``python`` (a function of yours) or
            ``code`` (a program that must pass tests).
        extract: regular expression with one group; the last match's group 1 is the answer. The gold answer is read
            with it too, except for ``regex`` and ``choice``, and taken whole where it does not match.
        strip: ignore white space around both. ignore_case: compare without case. Both for ``exact`` and ``regex``.
        tolerance: largest absolute difference that still counts as equal, for ``numeric``.
        letters: that a choice may be, in the order of the options; a gold answer is one of them, or the option's
            number from 0.
        function: ``package.module:name`` of ``function(completion, columns)``, which gives true or false, a number
            (the reward), or a record with ``reward``, ``correct`` and ``parsed``. For ``python``.
        protocol: how tests are run, for ``code``: ``humaneval`` (columns prompt, test, entry_point), ``livecodebench``
            (public_test_cases, private_test_cases, metadata) or ``function`` (assertions in the gold answer's column).
        block: which of the fenced Python blocks of a completion is the program, for ``code``.
        test_seconds: a program's time for one test, or for all tests of ``humaneval`` and ``function``; null is the
            protocol's own: 6, 10 and 10.
        deadline_seconds: what takes longer over one completion counts as unread.
    """

    kind: Literal["none", "exact", "regex", "numeric", "math", "choice", "instructions", "python", "code"] = "none"
    extract: Text | None = None
    strip: bool = True
    ignore_case: bool = False
    tolerance: Number = Field(default=0.0, ge=0)
    letters: Text = "ABCDEFGHIJ"
    function: Text | None = None
    protocol: Literal["humaneval", "livecodebench", "function"] | None = None
    block: Literal["last", "first"] = "last"
    test_seconds: Number | None = Field(default=None, gt=0, le=3600)
    deadline_seconds: Number = Field(default=2.0, gt=0, le=3600)

    @field_validator("extract")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = min(re.compile(pattern).groups, regex.compile(pattern).groups)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise ValueError(f"a regular expression ({error})") from error
        if groups < 1:
            raise ValueError(r"a regular expression with a group around the answer, such as '#(\S+)'")
        return pattern

    @field_validator("letters")
    @classmethod
    def _all_differ(cls, letters: str) -> str:
        if not letters.isalnum() or len(set(letters.upper())) != len(letters):
            raise ValueError("letters that all differ, such as ABCD")
        return letters.upper()

    @field_validator("function")
    @classmethod
    def _has_a_module(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", name):
            raise ValueError("package.module:function")
        return name

    @model_validator(mode="after")
    def _is_whole(self) -> Verifier:
        if (self.kind == "python") != (self.function is not None):
            raise ValueError("a verifier of kind python has a function, package.module:function, and no other kind has")
        if (self.kind == "code") != (self.protocol is not None):
            raise ValueError("a verifier of kind code has a protocol, and no other kind has")
        if self.kind == "regex" and self.extract is None:
            raise ValueError("a verifier of kind regex has extract, a pattern with a group around the answer")
        return self


def _verifier_of(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


VerifierField = Annotated[Verifier, BeforeValidator(_verifier_of)]
"""A ``Verifier``, for which the name of its kind may stand."""
