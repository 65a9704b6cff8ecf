"""Judges a completion by the row's gold answer: the same text, the same number, the same mathematics, the right letter,
or tests that a program must pass.

What could not be read from a completion is told apart from what was read and is wrong: ``parsed`` is None.
"""

from __future__ import annotations

from fractions import Fraction

from understudy.errors import RecipeError
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks.choices import choice
from understudy.tasks.code import CodeJudge
from understudy.tasks.following import InstructionJudge
from understudy.tasks.judges import FunctionJudge, MathematicalJudge
from understudy.tasks.numerals import last_number
from understudy.tasks.verdicts import Columns, UnreadableGoldError, Verdict, Verifier, extracted, golds_of, verdict


def verifier_from(config: VerifierConfig, answer: str | None) -> Verifier | None:
    """The verifier that a recipe describes; None for kind ``none``: nothing is judged.

    Args:
        config: the recipe's section. answer: column of the gold answer (text, a number, or a list of accepted
            answers); None means ``answer``.
    Raises:
        RecipeError: an option that the kind does not have.
        SandboxUnavailableError: kind ``code``, and nothing here can isolate a program.
    """
    column = answer or "answer"
    if config.kind == "numeric":
        return _numeric(config, column)
    if config.kind == "choice":
        return choice(config, column)
    if config.kind == "instructions":
        return InstructionJudge()
    if config.kind == "math":
        return MathematicalJudge(config, column)
    if config.kind == "python":
        return FunctionJudge(config)
    if config.kind == "code":
        return CodeJudge(config, column)
    if config.kind == "none":
        if config.extract is not None:
            raise RecipeError("verifier.extract has no use with kind none", expected="kind exact or numeric")
        return None
    return _exact(config, column)


def _exact(config: VerifierConfig, column: str) -> Verifier:
    def same(text: str) -> str:
        text = text.strip() if config.strip else text
        return text.casefold() if config.ignore_case else text

    def read(text: str) -> str | None:
        found = extracted(text, config.extract, seconds=config.deadline_seconds)
        return None if found is None else same(found)

    def read_gold(gold: str) -> str:
        found = read(gold) if config.kind == "exact" else same(gold)
        return same(gold) if found is None else found

    def verify(completion: str, columns: Columns) -> Verdict:
        golds = [read_gold(str(gold)) for gold in golds_of(columns, column)]
        parsed = read(completion) or None
        return verdict(parsed, correct=parsed is not None and parsed in golds)

    return verify


def _numeric(config: VerifierConfig, column: str) -> Verifier:
    tolerance = Fraction(str(config.tolerance))

    def read(text: str) -> Fraction | None:
        found = extracted(text, config.extract, seconds=config.deadline_seconds)
        return None if found is None else last_number(found)

    def read_gold(gold: object) -> Fraction:
        number = read(str(gold))
        number = last_number(str(gold)) if number is None else number
        if number is None:
            raise UnreadableGoldError(
                f"column {column!r} holds no number", got=repr(gold)[:80], expected="a gold answer"
            )
        return number

    def verify(completion: str, columns: Columns) -> Verdict:
        golds = [read_gold(gold) for gold in golds_of(columns, column)]
        number = read(completion)
        correct = number is not None and any(abs(number - gold) <= tolerance for gold in golds)
        return verdict(None if number is None else str(number), correct=correct)

    return verify
