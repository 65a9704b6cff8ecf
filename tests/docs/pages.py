"""The pages a reader meets, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = ("python", "bash", "yaml", "json", "text")
"""What a block may call itself; ``text`` is for output, formulas and file trees, which nobody runs."""
_FENCE = re.compile(r"^( *)```(\w*)\s*$")
_NOT_RUN = re.compile(r"^ *<!-- not run: (.+) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        page: relative to the repository. line: of its first line of code, from 1. language: as the fence says.
        code: without the fence and its indentation. not_run: why it cannot run here, as its page says; else None.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None

    @property
    def place(self) -> str:
        """``page:line``."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page, relative to the repository; not ``docs/methods/reference``, which a command writes."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(page.relative_to(ROOT) for page in found if "reference" not in page.parts)


def blocks_of(page: Path) -> list[Block]:
    """The page's fenced blocks in order."""
    return list(_blocks(page, (ROOT / page).read_text(encoding="utf-8").splitlines()))


def indented_code_of(page: Path) -> list[str]:
    """``page:line`` of every block that is code only by its indentation, and so has no language."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    fenced, listed, found = False, False, []
    for number, line in enumerate(lines, 1):
        fenced ^= line.lstrip().startswith("```")
        if line and not line.startswith(" "):
            listed = bool(re.match(r"([*-]|\d+\.) ", line))  # what is indented below belongs to the item
        if line.startswith("    ") and not fenced and not listed and number > 1 and not lines[number - 2].strip():
            found.append(f"{page}:{number}")
    return found


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    start: int | None = None
    indent, language = "", ""
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start, indent, language = number, fence[1], fence[2]
            continue
        code = "\n".join(each.removeprefix(indent) for each in lines[start + 1 : number]) + "\n"
        above = next((each for each in reversed(lines[:start]) if each.strip()), "")
        marked = _NOT_RUN.match(above)
        yield Block(page, start + 2, language, code, marked[1] if marked else None)
        start = None
