"""A task's deliverables as a grader reads them: text of bounded length, and pictures where it takes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.evaluation.deliverables import Deliverable, Sheet

_FORMULAS = 200
_PLACES = 40
_PICTURES = 8


@dataclass(frozen=True)
class HandedIn:
    """One file of a task: what was read of it, or why it could not be.

    Args:
        name: as the task lists it. read: None where it could not be read. problem: why, in one sentence.
    """

    name: str
    read: Deliverable | None
    problem: str = ""


@dataclass(frozen=True)
class Shown:
    """What a grader is shown of a task's files.

    Args:
        text: of all files. pictures: as data addresses. num_cut: characters left out.
    """

    text: str
    pictures: tuple[str, ...]
    num_cut: int


def shown_to_graders(files: Sequence[HandedIn], *, characters: int, images: bool) -> Shown:
    """The files one after another; those longer than their share of ``characters`` are cut in the middle.

    Short files leave what they do not need to the long ones. The lines that begin a file, and what was counted in it,
    hold a digest of all files: no file can hold its own, and so none can pass for two, or for one with a chart.
    """
    mark = _mark_of(files)
    texts = [well_formed(_file_text(file, mark)) for file in files]
    shares = _shares([len(text) for text in texts], characters)
    cut = [cut_in_the_middle(text, share) for text, share in zip(texts, shares, strict=True)]
    pictures = [image for file in files if file.read for image in file.read.images if image.content] if images else []
    return Shown(
        text="\n\n".join(
            f"=== File {number} ({mark}): {' '.join(file.name.split())} ===\n{text}"
            for number, (file, text) in enumerate(zip(files, cut, strict=True), 1)
        )
        or "(No file was handed in.)",
        pictures=tuple(
            f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}"
            for image in pictures[:_PICTURES]
        ),
        num_cut=sum(max(0, len(text) - share) for text, share in zip(texts, shares, strict=True)),
    )


def well_formed(text: str) -> str:
    r"""Without halves of surrogate pairs, which JSON texts and PDF files may hold and no request can.

    >>> well_formed("a\ud800b")
    'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def cut_in_the_middle(text: str, characters: int) -> str:
    """Beginning and end, and between them a mark that says how much is left out.

    >>> cut_in_the_middle("abcdefghij", 4)
    'ab\\n[... 6 characters left out ...]\\nij'
    """
    if len(text) <= characters:
        return text
    head = (characters + 1) // 2
    tail = characters - head
    return f"{text[:head]}\n[... {len(text) - characters:,} characters left out ...]\n{text[len(text) - tail :]}"


def _shares(lengths: Sequence[int], characters: int) -> list[int]:
    """Of each text; every text gets all it needs, or the same as every other that does not."""
    shares, left = [0] * len(lengths), characters
    waiting = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for position, index in enumerate(waiting):
        shares[index] = min(lengths[index], left // (len(waiting) - position))
        left -= shares[index]
    return shares


def _mark_of(files: Sequence[HandedIn]) -> str:
    said = [(file.name, file.problem, file.read.text if file.read else None) for file in files]
    return hashlib.sha256(repr(said).encode(errors="replace")).hexdigest()[:12]


def _file_text(file: HandedIn, mark: str) -> str:
    if file.read is None:
        return f"(This file cannot be read: {file.problem})"
    read = file.read
    facts = [f"Pages, slides or sheets: {read.num_pages}."] if read.num_pages is not None else []
    facts += [f"Charts: {read.num_charts}."] if read.num_charts else []
    facts += [f"Pictures: {len(read.images)}."] if read.images and read.kind != "image" else []
    facts += [line for sheet in read.tables for line in _sheet_facts(sheet)]
    marked = [text for block in read.blocks for text in block.highlighted]
    facts += [f"Highlighted words: {'; '.join(marked[:_PLACES])}."] if marked else []
    facts += read.notes
    return "\n".join([read.text, f"--- Counted in it ({mark}) ---", *facts]) if facts else read.text


def _sheet_facts(sheet: Sheet) -> list[str]:
    facts = [f"Sheet {sheet.name} is hidden."] if sheet.is_hidden else []
    if sheet.formulas:
        listed = [f"{place} {formula}" for place, formula in list(sheet.formulas.items())[:_FORMULAS]]
        more = len(sheet.formulas) - len(listed)
        facts.append(f"Formulas of {sheet.name}: {'; '.join(listed)}{f'; and {more} more' if more else ''}.")
    if sheet.highlighted:
        places = list(sheet.highlighted[:_PLACES])
        facts.append(
            f"Filled cells of {sheet.name}: {', '.join(places)}{' ...' if len(sheet.highlighted) > _PLACES else ''}."
        )
    return facts
