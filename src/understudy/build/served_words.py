"""Does a server mean the same text by the same ids as the student?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from understudy.errors import ModelError, TokenizerMismatchError
from understudy.models.load import LoadedModel, load_tokenizer
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.models.tokenizers import check_same_tokenizer
from understudy.recipe import ServedModel
from understudy.servers.background import background
from understudy.servers.identity import Identity
from understudy.servers.probing import tokenized
from understudy.teachers.served import ServedScorer

_TEXT = "Naïve 東京 🙂: def f(x): return x**2  # 12,345.67 = don't\n\t<b>Ünïcode</b>\r\n  end."
"""Words, digits, spaces, signs and scripts on which tokenizers differ."""

_REMEDY = "Serve a teacher of the student's family, or correct the address."


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
        theirs = load_tokenizer(section.tokenizer, trust_remote_code=False)
        if theirs is None:
            raise ModelError(f"{section.tokenizer} holds no tokenizer", expected="a folder with tokenizer.json")
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


def _reads_alike(tokenizer: PreTrainedTokenizerBase, scorer: ServedScorer, name: str) -> bool:
    """Whether the server gives the student's ids for a text; False where it has no way to tell."""
    text = _TEXT + str(tokenizer.eos_token or "")
    theirs = background().run(tokenized(scorer.pool, scorer.server.identity.model, text))
    if theirs is None:
        return False
    ours: Sequence[int] = tokenizer.encode(text, add_special_tokens=False)
    if list(ours) != theirs:
        pairs = enumerate(zip(ours, theirs, strict=False))
        place = next((number for number, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
        raise TokenizerMismatchError(
            f"the {name} at {scorer.pool.settings.urls[0]} has another tokenizer than the student",
            got=f"ids {theirs[place : place + 3]} at place {place} of a text",
            expected=f"{list(ours[place : place + 3])}",
            remedy=_REMEDY,
        )
    return True
