"""The text of each token: what it adds to the text before it, since tokens do not always decode alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

Decode = Callable[[Sequence[int]], str]
"""Ids to text, special tokens included."""

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8: a tail without a whole character is not waited for any longer than this."""


def pieces(ids: Sequence[int], decode: Decode) -> list[str]:
    """One text a token; empty where a token only begins a character that the next one completes.

    >>> words = {1: "a", 2: " b"}
    >>> pieces([1, 2], lambda ids: "".join(words[i] for i in ids))
    ['a', ' b']
    """
    texts: list[str] = []
    before, start = 0, 0  # ids before..start are told already and give the new ones their surroundings
    for place in range(len(ids)):
        told, text = decode(ids[before:start]), decode(ids[before : place + 1])
        if text.endswith(_UNFINISHED) and place - start + 1 < _LONGEST_CHARACTER and place + 1 < len(ids):
            texts.append("")
            continue
        texts.append(text[len(told) :] if text.startswith(told) else decode(ids[start : place + 1]))
        before, start = start, place + 1
    return texts


def decoder_of(run: Path) -> Decode | None:
    """Decodes as the tokenizer beside the run's newest weights does, else the one it began with; None without one."""
    saved = sorted(path for kind in ("model", "adapter") for path in run.glob(f"checkpoints/*/{kind}/tokenizer.json"))
    for path in (*reversed(saved), run / "tokenizer.json"):
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception:  # the library raises plain Exception for files that it cannot read
            continue
        return lambda ids: tokenizer.decode(list(ids), skip_special_tokens=False)
    return None
