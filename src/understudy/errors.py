"""The exception tree: every message says what happened, what was got, what is expected, and the remedy."""

from __future__ import annotations


class UnderstudyError(Exception):
    """Root of all errors raised on purpose.

    Args:
        what: the problem in a few words, without a final full stop.
        got: the offending value, shown as given.
        expected: what would have been accepted.
        remedy: what the reader can do now.
    """

    exit_code = 1

    def __init__(self, what: str, *, got: object = None, expected: object = None, remedy: str | None = None) -> None:
        self.what, self.got, self.expected, self.remedy = what, got, expected, remedy
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        sentence = "; ".join(parts)
        return f"{sentence}. {self.remedy}" if self.remedy else sentence


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, without its full stop; its class when it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class UserMistakeError(UnderstudyError, ValueError):
    """Something the user gave cannot be used; the program ends with exit code 2."""

    exit_code = 2


class RecipeError(UserMistakeError):
    """A recipe field is missing, misspelt or out of range."""


class DataError(UserMistakeError):
    """A data file is missing, empty, broken, or lacks a column."""


class ModelError(UserMistakeError):
    """A path or name is not a model that can be loaded."""


class TokenizerMismatchError(UserMistakeError):
    """Teacher and student read different token ids for the same text."""


class ContextLengthError(UserMistakeError):
    """A prompt does not fit the model's context."""


class CapabilityError(UserMistakeError):
    """A method needs something that a scorer cannot give."""


class RunDirectoryError(UserMistakeError):
    """The run directory exists, or cannot be resumed as asked."""


class DiskError(UnderstudyError, RuntimeError):
    """A disk is full, failing or closed to us; what was whole on it stays as it was."""


class CheckpointError(UnderstudyError, RuntimeError):
    """No checkpoint could be read."""


class ShapeError(UnderstudyError, ValueError):
    """Tensors do not have the shapes a function promises to take."""


class MissingColumnError(UnderstudyError, KeyError):
    """A column was asked for that nobody computed; columns are never filled with zeros."""

    __str__ = UnderstudyError.__str__


class NonFiniteError(UnderstudyError, ArithmeticError):
    """A loss or gradient is NaN or infinite."""


class MemoryExhaustedError(UnderstudyError, MemoryError):
    """Not even the smallest piece of some work fits into memory."""


class EnvironmentFailedError(UnderstudyError, RuntimeError):
    """An environment raised, hung, or answered with the wrong type; it costs one rollout."""


class DeliverableError(UnderstudyError, ValueError):
    """A file that a model handed in cannot be read: empty, corrupt, too large, or not where it may be."""


class RankLostError(UnderstudyError, RuntimeError):
    """A rank of the run has ended, and the others cannot go on without it."""


class PeerError(UnderstudyError, RuntimeError):
    """Another rank of the run failed in its own work; it says why, and all end together."""


class ServerError(UnderstudyError, RuntimeError):
    """A model server failed, or refused what it was asked."""


class ServerDownError(ServerError):
    """A server was waited for as long as the recipe says, and did not answer."""


class ServerAnswerError(ServerError):
    """A server answered with what cannot be used: cut short, malformed, of the wrong size, or no number."""


class ServerKeyError(UserMistakeError):
    """A server wants an API key, another one, or one that has not expired."""


class WrongServerError(UserMistakeError):
    """Behind an address is another model than the recipe names, or than was there before."""
