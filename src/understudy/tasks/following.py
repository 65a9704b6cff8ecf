"""Judges whether a completion follows the instructions of its prompt, strictly and loosely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from understudy.errors import DataError
from understudy.tasks.instructions import CHECKS, Check, Given
from understudy.tasks.templates import missing_column
from understudy.tasks.verdicts import Columns, UnreadableGoldError, Verdict

IDS, ARGUMENTS = "instruction_id_list", "kwargs"
"""Columns of IFEval and IFBench: names of instructions, and one mapping of arguments for each."""

_TRIAL = "A trial. One more?"


class InstructionJudge:
    """A verifier of instructions: right where every instruction is followed to the letter.

    The verdict's shares count instructions followed strictly and loosely, prompts followed loosely, and instructions
    of a name that nobody here knows, which are never followed. Loosely is: after leaving out the first line, the last
    line, or both, and with or without asterisks.

    Source: Zhou et al., arXiv:2311.07911, section 2.2.
    """

    def __call__(self, completion: str, columns: Columns) -> Verdict:
        """The verdict; raises DataError where the row's instructions cannot be read."""
        asked = list(_instructions(columns))
        strict = [_follows(check, completion, given) for _, check, given in asked]
        loose = [any(_follows(check, text, given) for text in _forms(completion)) for _, check, given in asked]
        shares = {
            "instructions_strict": (sum(strict), len(asked)),
            "instructions_loose": (sum(loose), len(asked)),
            "prompts_loose": (int(all(loose)), 1),
            **{f"unknown instruction {name}": (0, 1) for name, check, _ in asked if check is None},
        }
        followed = [name for (name, _, _), is_followed in zip(asked, strict, strict=True) if is_followed]
        parsed = ("followed: " + ", ".join(followed)) if completion.strip() else None
        return Verdict(float(all(strict)), all(strict), parsed, shares)

    def check(self, columns: Columns) -> Callable[[], object]:
        """Raise now for arguments that a check cannot use."""
        for name, check, given in _instructions(columns):
            try:
                if check is not None:
                    check(_TRIAL, given)
            except DataError as error:
                raise UnreadableGoldError(f"{name}: {error.what}", got=error.got, expected=error.expected) from error
        return lambda: None


def _follows(check: Check | None, text: str, given: Given) -> bool:
    return check is not None and bool(text.strip()) and check(text, given)


def _forms(text: str) -> Iterator[str]:
    lines = text.split("\n")
    for part in (lines, lines[1:], lines[:-1], lines[1:-1]):
        joined = "\n".join(part).strip()
        yield joined
        yield joined.replace("*", "")


def _instructions(columns: Columns) -> Iterator[tuple[str, Check | None, Given]]:
    """Each instruction's name, its check (None where nobody knows it), and its arguments."""
    for name in (IDS, ARGUMENTS):
        if name not in columns:
            raise missing_column(name, columns)
    ids, arguments = columns[IDS], columns[ARGUMENTS]
    if not isinstance(ids, list | tuple) or not isinstance(arguments, list | tuple) or len(ids) != len(arguments):
        raise DataError(
            f"columns {IDS!r} and {ARGUMENTS!r} do not belong together",
            got=f"{repr(ids)[:60]} and {repr(arguments)[:60]}",
            expected="two lists of one length",
        )
    if not ids:
        raise UnreadableGoldError("a prompt without an instruction", got="[]", expected=f"names in {IDS!r}")
    for name, given in zip(ids, arguments, strict=True):
        if not isinstance(name, str) or not isinstance(given, Mapping | None):
            raise DataError("an instruction cannot be read", got=f"{name!r:.60}: {given!r:.60}")
        yield name, CHECKS.get(name), Given(given or {})
