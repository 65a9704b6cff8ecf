"""Does a server mean the same text by the same ids as the student?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from understudy.build.aligned import is_aligned
from understudy.errors import ModelError, TokenizerMismatchError
from understudy.models.load import LoadedModel, load_tokenizer
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.models.tokenizers import check_same_tokenizer
from understudy.recipe import ServedModel, ServedTeacher
from understudy.servers.background import background
from understudy.servers.identity import Identity
from understudy.servers.probing import tokenized
from understudy.teachers.served import ServedScorer

_TEXT = "Naïve 東京 🙂: def f(x): return x**2  # 12,345.67 = don't\n\t<b>Ünïcode</b>\r\n  end."
"""Words, digits, spaces, signs and scripts on which tokenizers differ."""

_REMEDY = "Serve a teacher of the student's family, or correct the address."
_NO_LIMIT = 1 << 30
"""Tokens of the longest text, where a server does not tell."""


@dataclass(frozen=True, eq=False)
class ServedWords:
    """How a model behind a server reads and ends text, in its own tokens; implements ``aligned.Words``."""

    known_tokenizer: PreTrainedTokenizerBase
    vocab_size: int
    stop_ids: frozenset[int]
    max_length: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, scorer: ServedScorer) -> ServedWords:
        """The words of a server that has this tokenizer."""
        told, own = scorer.server.identity.stop_ids, tokenizer.eos_token_id
        stop_ids = frozenset(told if told is not None else [] if own is None else [own])
        return cls(tokenizer, scorer.vocab_size, stop_ids, scorer.server.max_length or _NO_LIMIT)


def foreign_tokenizer(section: ServedModel, student: LoadedModel) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a server whose text is aligned with the student's; None where it reads the student's tokens.

    Raises:
        ModelError: the recipe's folder holds none.
    """
    if not isinstance(section, ServedTeacher) or not section.align or section.tokenizer is None:
        return None
    theirs = _tokenizer_in(section.tokenizer)
    named = replace(student, tokenizer=theirs, name=section.tokenizer)
    return theirs if is_aligned(section, student, named) else None


def _tokenizer_in(folder: str) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(folder, trust_remote_code=False)
    if tokenizer is None:
        raise ModelError(f"{folder} holds no tokenizer", expected="a folder with tokenizer.json")
    return tokenizer


def check_own_words(scorer: ServedScorer, words: ServedWords, section: ServedModel, *, name: str) -> list[str]:
    """Accept a server whose tokenizer is that of the recipe's folder; gives notices for the user.

    Raises:
        TokenizerMismatchError: it is another one.
    """
    tokenizer, whose = words.known_tokenizer, str(section.tokenizer)
    _check_fingerprint(tokenizer, scorer.server.identity, scorer, name=name, whose=whose)
    told = scorer.server.identity.tokenizer_fingerprint is not None
    if told or _reads_alike(tokenizer, scorer, name, whose=whose):
        return []
    return [f"The {name} at {scorer.pool.settings.urls[0]} does not tell its tokenizer: it is taken to be {whose}."]


def check_same_words(scorer: ServedScorer, student: LoadedModel, section: ServedModel, *, name: str) -> list[str]:
    """Accept a server whose tokenizer is the student's; gives notices for the user.

    The fingerprint that Understudy's own server tells decides. Any other is asked for the ids of a text, and its
    tokenizer is taken from the folder that the recipe names, where there is one.

    Raises:
        TokenizerMismatchError: it is another tokenizer. ModelError: the recipe's folder holds none.
    """
    tokenizer, identity = student.tokenizer, scorer.server.identity
    if tokenizer is None:
        return []
    if section.tokenizer is not None:
        theirs = _tokenizer_in(section.tokenizer)
        check_same_tokenizer(student, replace(student, tokenizer=theirs, name=section.tokenizer))
        _check_fingerprint(theirs, identity, scorer, name=name, whose=section.tokenizer)
    elif identity.tokenizer_fingerprint is not None:
        _check_fingerprint(tokenizer, identity, scorer, name=name, whose="the student")
    return _notices(tokenizer, scorer, student, section, name=name)


def _notices(
    tokenizer: PreTrainedTokenizerBase, scorer: ServedScorer, student: LoadedModel, section: ServedModel, *, name: str
) -> list[str]:
    identity = scorer.server.identity
    if identity.stop_ids is not None and identity.stop_ids != student.stop_ids:
        return [
            f"The {name} ends its answers with ids {sorted(identity.stop_ids)}, the student with "
            f"{sorted(student.stop_ids)}: marks at the end of a completion may mislead."
        ]
    if identity.tokenizer_fingerprint is None and not _reads_alike(tokenizer, scorer, name) and not section.tokenizer:
        return [
            f"The tokenizer of the {name} at {scorer.pool.settings.urls[0]} could not be compared with the student's; "
            "name its folder in the field 'tokenizer'."
        ]
    return []


def _check_fingerprint(
    tokenizer: PreTrainedTokenizerBase, identity: Identity, scorer: ServedScorer, *, name: str, whose: str
) -> None:
    """EOS sets may differ (base and instruct models), and one side may have more added tokens at its end."""
    told = identity.tokenizer_fingerprint
    if told is None:
        return
    sizes = (None, identity.vocab_size)
    ours = [tokenizer_fingerprint(tokenizer, identity.stop_ids or (), size=size) for size in sizes]
    if told not in ours:
        raise TokenizerMismatchError(
            f"the {name} at {scorer.pool.settings.urls[0]} has another tokenizer than {whose}",
            got=f"fingerprint {told}",
            expected=ours[0],
            remedy=_REMEDY,
        )


def _reads_alike(
    tokenizer: PreTrainedTokenizerBase, scorer: ServedScorer, name: str, *, whose: str = "the student"
) -> bool:
    """Whether the server gives this tokenizer's ids for a text; False where it has no way to tell."""
    text = _TEXT + str(tokenizer.eos_token or "")
    theirs = background().run(tokenized(scorer.pool, scorer.server.identity.model, text))
    if theirs is None:
        return False
    ours: Sequence[int] = tokenizer.encode(text, add_special_tokens=False)
    if list(ours) != theirs:
        pairs = enumerate(zip(ours, theirs, strict=False))
        place = next((number for number, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
        raise TokenizerMismatchError(
            f"the {name} at {scorer.pool.settings.urls[0]} has another tokenizer than {whose}",
            got=f"ids {theirs[place : place + 3]} at place {place} of a text",
            expected=f"{list(ours[place : place + 3])}",
            remedy=_REMEDY,
        )
    return True
