"""Which bytes of a text each token stands for, whatever the family of the tokenizer.

Tokens are spelled one by one with the tokenizer's own decoder, as they were sampled: nothing is tokenised again. Exact
for byte-level BPE, for SentencePiece-like vocabularies (metaspace, byte fallback) and for WordPiece's own spelling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from understudy.errors import TokenizerMismatchError

_ANCHOR = "a"
"""Stands before a token that opens no text; no decoder changes a single letter, or what follows it."""

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPELLED_ALONE = frozenset({"ByteLevel", "ByteFallback", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"})


class Speller:
    """Spells the tokens of one tokenizer as UTF-8 bytes.

    Args:
        tokenizer: one that is backed by ``tokenizers``.
    Raises:
        TokenizerMismatchError: it is not, or its decoder does not spell token by token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        backend = _spelling_backend(tokenizer)
        steps = _decoder_steps(backend)
        self._kinds = {step["type"] for step in steps}
        self._decoder = backend.decoder
        added = tokenizer.added_tokens_decoder
        self.special_ids = frozenset(tokenizer.all_special_ids) | {id for id, token in added.items() if token.special}
        self._added = {id: token.content.encode() for id, token in added.items()}
        self._spelled: dict[tuple[int, bool], bytes | None] = {}

    def spell(self, ids: Iterable[int], *, opening: bool = True) -> list[bytes | None]:
        """The bytes of each token; None for special tokens and ids that name no token.

        Args:
            opening: the first token opens a text, where some decoders drop a space.
        """
        pieces: list[bytes | None] = []
        for id in ids:
            pieces.append(self.piece(id, opening=opening))
            opening = opening and pieces[-1] is None
        return pieces

    def piece(self, id: int, *, opening: bool = False) -> bytes | None:
        """The bytes of one token, at the opening of a text or after others."""
        key = (id, opening)
        if key not in self._spelled:
            self._spelled[key] = self._piece(id, opening=opening)
        return self._spelled[key]

    def is_byte(self, id: int) -> bool:
        """Whether the token is a byte that stands for itself, as byte fallback writes it."""
        token = self._token(id)
        return "ByteFallback" in self._kinds and token is not None and _BYTE.fullmatch(token) is not None

    def _token(self, id: int) -> str | None:
        token: Any = self.tokenizer.convert_ids_to_tokens(id) if id >= 0 else None
        return token if isinstance(token, str) else None

    def _piece(self, id: int, *, opening: bool) -> bytes | None:
        token = self._token(id)
        if id in self.special_ids or token is None:
            return None
        if id in self._added:
            return self._added[id]
        if "ByteLevel" in self._kinds:
            known = [_BYTE_OF.get(character) for character in token]
            return token.encode() if None in known else bytes(byte for byte in known if byte is not None)
        found = _BYTE.fullmatch(token) if "ByteFallback" in self._kinds else None
        if found is not None:
            byte = bytes([int(found.group(1), 16)])
            return b"" if opening and byte == b" " and self._decoded([token]) == "" else byte
        text = self._decoded([token]) if opening else self._decoded([_ANCHOR, token])[len(_ANCHOR) :]
        return text.encode()

    def _decoded(self, tokens: list[str]) -> str:
        return " ".join(tokens) if self._decoder is None else str(self._decoder.decode(tokens))


@dataclass(frozen=True)
class Tiling:
    """Tokens laid over a text: each begins where the one before it ends.

    Args:
        ids: of the tokens. pieces: their bytes, None where they have none. ends: byte of the text at which each ends.
        exact: whether the token says exactly the bytes that it covers. text: UTF-8; a last part may be uncovered.
        opening: the first token is spelled as at the opening of a text.
    """

    ids: Sequence[int]
    pieces: Sequence[bytes | None]
    ends: Sequence[int]
    exact: Sequence[bool]
    text: bytes
    opening: bool = True

    @property
    def starts(self) -> list[int]:
        """Byte of the text at which each token begins."""
        return [0, *self.ends[:-1]] if self.ends else []


def tiled(speller: Speller, ids: Sequence[int], *, opening: bool = True) -> Tiling:
    """Sampled tokens over the text that they spell; bytes that are no UTF-8 become U+FFFD, and their tokens inexact.

    Args:
        ids: without special tokens. opening: the first opens a text.
    """
    pieces = speller.spell(ids, opening=opening)
    raw = b"".join(piece or b"" for piece in pieces)
    text, places, broken = _repaired(raw)
    ends, exact, end = [], [], 0
    for piece in pieces:
        start, end = end, end + len(piece or b"")
        ends.append(places[end])
        exact.append(piece is not None and not any(broken[start:end]))
    return Tiling(ids, pieces, ends, exact, text, opening=opening)


def read_tiled(speller: Speller, text: str) -> Tiling:
    """The tokens that the tokenizer reads in a text, laid over it; names of special tokens in it are plain text.

    Where the tokenizer normalises (cases, accents, spaces), tokens that do not say what they cover are inexact.
    """
    encoded = speller.tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    ids = [int(id) for id in encoded["input_ids"]]
    content = text.encode()
    for opening in (True, False):
        pieces = speller.spell(ids, opening=opening)
        if None not in pieces and b"".join(piece or b"" for piece in pieces) == content:
            return Tiling(ids, pieces, _ends_of(pieces), [True] * len(ids), content, opening=opening)
    return _by_offsets(speller, ids, encoded["offset_mapping"], text)


def _by_offsets(speller: Speller, ids: list[int], offsets: Sequence[tuple[int, int]], text: str) -> Tiling:
    """Each token up to where it ends in the text; what stands before it and after the last one is its own as well."""
    byte_at = [0]
    for character in text:
        byte_at.append(byte_at[-1] + len(character.encode()))
    content, pieces = text.encode(), speller.spell(ids)
    ends: list[int] = []
    exact: list[bool] = []
    end = 0
    for piece, (_, last) in zip(pieces, offsets, strict=True):
        start, end = end, max(end, byte_at[last])
        ends.append(end)
        exact.append(piece is not None and piece == content[start:end])
    return Tiling(ids, pieces, ends, exact, content)


def _ends_of(pieces: Sequence[bytes | None]) -> list[int]:
    ends, end = [], 0
    for piece in pieces:
        end += len(piece or b"")
        ends.append(end)
    return ends


def _repaired(raw: bytes) -> tuple[bytes, list[int], list[bool]]:
    """UTF-8 with U+FFFD for what is none; [n + 1] where each byte's beginning went; [n] whether it was replaced."""
    text = b""
    places: list[int] = []
    broken: list[bool] = []
    while True:
        try:
            raw.decode()
            good, bad = len(raw), 0
        except UnicodeDecodeError as error:
            good, bad = error.start, error.end - error.start
        places += range(len(text), len(text) + good)
        text += raw[:good]
        places += [len(text)] * bad
        broken += [False] * good + [True] * bad
        if not bad:
            return text, [*places, len(text)], broken
        text, raw = text + "\N{REPLACEMENT CHARACTER}".encode(), raw[good + bad :]


def _decoder_steps(backend: Tokenizer) -> list[Mapping[str, Any]]:
    decoder = json.loads(backend.to_str())["decoder"]
    if decoder is None:
        return []
    return list(decoder["decoders"]) if decoder["type"] == "Sequence" else [decoder]


def _spelling_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """What spells the tokens; raises TokenizerMismatchError where nothing does so one by one."""
    backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    steps = [] if backend is None else _decoder_steps(backend)
    unknown = {step["type"] for step in steps} - _SPELLED_ALONE
    if backend is not None and not unknown and not any(step.get("stop") for step in steps):
        return backend
    raise TokenizerMismatchError(
        f"the tokenizer {tokenizer.name_or_path or type(tokenizer).__name__} cannot be aligned with another",
        got="no fast tokenizer" if backend is None else f"a decoder of kind {', '.join(sorted(unknown)) or 'Strip'}",
        expected=f"a fast tokenizer whose decoder is of {', '.join(sorted(_SPELLED_ALONE))}",
        remedy="Choose a teacher whose tokenizer spells token by token.",
    )


def _byte_alphabet() -> dict[str, int]:
    """The character by which byte-level vocabularies write each byte: itself where it is seen, else one from U+0100."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = [byte for byte in range(0x100) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + number): byte for number, byte in enumerate(unseen)}


_BYTE_OF = _byte_alphabet()
