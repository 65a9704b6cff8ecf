"""Do teacher and student mean the same text by the same ids? And what vocabulary do they share?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from understudy.errors import RecipeError, TokenizerMismatchError
from understudy.models.tokenizer_fingerprint import merges_of

if TYPE_CHECKING:
    from understudy.models.load import LoadedModel

_SHOWN = 3


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hex digest of every token with its id."""
    entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def check_same_tokenizer(student: LoadedModel, teacher: LoadedModel) -> None:
    """Accept two models that read the same text as the same ids.

    One of them may have more *added* tokens at the end (a later release of one family): ``share_vocabulary``
    cuts both to what they share. EOS sets may differ (base and instruct models do).

    Raises:
        TokenizerMismatchError: names the first differences: vocabulary sizes, ids of a token, merges, special tokens.
    """
    differences = _differences(student, teacher)
    if differences:
        raise TokenizerMismatchError(
            "student and teacher have different tokenizers",
            got="; ".join(differences),
            expected="the same id for the same token in both",
            remedy="Choose a teacher of the student's family, or set teacher.align: true to compare the two by bytes.",
        )


def token_id(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    """The id of the one token that ``text`` is, special or not.

    Raises:
        RecipeError: the tokenizer reads it as none, as several, or as its unknown token.
    """
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == getattr(tokenizer, "unk_token_id", None):
        raise RecipeError(
            f"objective names {text!r}, which is not one token of the student's tokenizer",
            got=f"ids {ids}",
            expected="a text that is one token",
            remedy="Write its id instead, or another text.",
        )
    return int(ids[0])


def share_vocabulary(student: LoadedModel, teacher: LoadedModel) -> tuple[LoadedModel, LoadedModel]:
    """Both models cut to the smaller true vocabulary; raises TokenizerMismatchError."""
    check_same_tokenizer(student, teacher)
    size = min(student.vocab_size, teacher.vocab_size)
    return _cut(student, size), _cut(teacher, size)


def _cut(loaded: LoadedModel, size: int) -> LoadedModel:
    return replace(loaded, vocab_size=size, stop_ids=frozenset(id for id in loaded.stop_ids if id < size))


def _differences(student: LoadedModel, teacher: LoadedModel) -> list[str]:
    ours, theirs = student.tokenizer, teacher.tokenizer
    if ours is None or theirs is None:
        if student.vocab_size == teacher.vocab_size:
            return []
        return [f"vocabulary sizes {student.vocab_size} (student) and {teacher.vocab_size} (teacher)"]
    if ours is theirs:
        return []
    return [
        *_size_differences(ours, theirs),
        *_id_differences(ours.get_vocab(), theirs.get_vocab()),
        *_special_differences(ours, theirs),
        *_merge_differences(ours, theirs),
    ]


def _size_differences(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase) -> list[str]:
    sizes = (len(ours), len(theirs))
    longer = ours if sizes[0] > sizes[1] else theirs
    extra = range(min(sizes), max(sizes))
    if all(id in longer.added_tokens_decoder for id in extra):
        return []
    return [f"vocabulary sizes {sizes[0]} (student) and {sizes[1]} (teacher)"]


def _id_differences(ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    shared_size = min(len(ours), len(theirs))
    tokens = [
        *(token for token, id in ours.items() if id < shared_size and theirs.get(token) != id),
        *(token for token, id in theirs.items() if id < shared_size and token not in ours),
    ]
    tokens.sort(key=lambda token: ours.get(token, theirs.get(token, 0)))
    return [
        f"token {token!r} is id {ours.get(token, 'none')} (student) and {theirs.get(token, 'none')} (teacher)"
        for token in tokens[:_SHOWN]
    ]


def _special_differences(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase) -> list[str]:
    shared = min(len(ours), len(theirs))
    special = [
        {token.content for id, token in tokenizer.added_tokens_decoder.items() if id < shared and token.special}
        for tokenizer in (ours, theirs)
    ]
    only = sorted(special[0] ^ special[1])[:_SHOWN]
    return [f"token {t!r} is special for the {'student' if t in special[0] else 'teacher'} only" for t in only]


def _merge_differences(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase) -> list[str]:
    mine, others = merges_of(ours), merges_of(theirs)
    for number, (a, b) in enumerate(zip(mine, others, strict=False)):
        if a != b:
            return [f"merge {number} is {a} (student) and {b} (teacher)"]
    return [] if len(mine) == len(others) else [f"{len(mine)} merges (student) and {len(others)} merges (teacher)"]
