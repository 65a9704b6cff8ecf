"""Letters the options of a multiple-choice question, in an order that nothing but seed and question decides."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence

from understudy.errors import DataError
from understudy.randomness import permutation
from understudy.recipe import Options, Source
from understudy.recipe.options import LETTER, SHOWN
from understudy.tasks.templates import MissingValueError, missing_column, text_of
from understudy.tasks.verdicts import UnreadableGoldError

Columns = Mapping[str, object]


def option_reader(source: Source) -> Callable[[Columns], Columns]:
    """A function from a row's columns to the same columns with the lettered options and the right letter added."""
    options = source.options
    if options is None:
        return lambda columns: columns
    answer = source.answer or "answer"
    return lambda columns: {**columns, **_lettered(columns, options, answer)}


def _lettered(columns: Columns, options: Options, answer: str) -> dict[str, object]:
    texts, right = _read(columns, options, answer)
    order = _order(texts, options)
    shown = [f"{letter}) {texts[place]}" for letter, place in zip(string.ascii_uppercase, order, strict=False)]
    return {SHOWN: "\n".join(shown), LETTER: string.ascii_uppercase[order.index(right)]}


def _order(texts: Sequence[str], options: Options) -> list[int]:
    if not options.shuffle:
        return list(range(len(texts)))
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return permutation(len(texts), seed=options.seed, purpose=f"options {digest}")


def _read(columns: Columns, options: Options, answer: str) -> tuple[list[str], int]:
    """The options' texts and the place of the right one."""
    if options.column is None:
        return [text_of(columns, name).strip() for name in options.columns], 0
    if options.column not in columns:
        raise missing_column(options.column, columns)
    texts = columns[options.column]
    if not isinstance(texts, Sequence) or isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"column {options.column!r} holds no options", got=repr(texts)[:80], expected="a list of texts")
    if not 2 <= len(texts) <= len(string.ascii_uppercase):
        raise DataError(f"column {options.column!r} holds {len(texts)} options", expected="2 to 26")
    return [text.strip() for text in texts], _place(columns, answer, len(texts))


def _place(columns: Columns, answer: str, count: int) -> int:
    if answer not in columns:
        raise missing_column(answer, columns)
    gold = columns[answer]
    if gold is None or gold == "":
        raise MissingValueError(f"column {answer!r} is no gold answer", column=answer, got=repr(gold))
    text = str(gold).strip().strip("()").upper()
    place = int(text) if text.isdecimal() else string.ascii_uppercase.find(text) if len(text) == 1 else -1
    if isinstance(gold, bool) or not 0 <= place < count:
        raise UnreadableGoldError(
            f"column {answer!r} names no option", got=repr(gold)[:80], expected=f"a number below {count}, or a letter"
        )
    return place
