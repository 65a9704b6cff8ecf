"""Checks of words: what a file, or somebody's mail, does and does not say."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from understudy.evaluation.programs.reading import (
    list_argument,
    mail_of,
    rows_of,
    table_of,
    text_argument,
    whole_file,
    words_in,
)


def contain(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:  # noqa: ARG001
    """Every keyword stands there, whatever its case; commas in numbers do not count."""
    missing = _split(workspace, arguments)[1]
    return f"it does not say {', '.join(missing)}" if missing else None


def not_contain(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:  # noqa: ARG001
    """None of the keywords stands there. OfficeBench asks less: that not all of them do."""
    if "file" in arguments and not (workspace / text_argument(arguments, "file")).exists():
        return None
    found = _split(workspace, arguments)[0]
    return f"it says {', '.join(found)}" if found else None


def file_exist(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:  # noqa: ARG001
    """The file is there, holds something, and is what its name says."""
    return whole_file(workspace, text_argument(arguments, "file"))


def file_not_exist(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:  # noqa: ARG001
    """Nothing of that name is there."""
    path = workspace / text_argument(arguments, "file")
    return "it is there" if path.is_symlink() or path.exists() else None


def diff_contain_text(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:
    """A table has changed, and the rows that came or went hold every keyword."""
    before = rows_of(table_of(files[text_argument(arguments, "input_file")], inside=None))
    after = rows_of(table_of(workspace / text_argument(arguments, "output_file"), inside=workspace))
    found = difflib.unified_diff(["\t".join(row) for row in before], ["\t".join(row) for row in after], n=0)
    lines = list(found)[2:]  # two heads come first; a row may look like one
    changed = "\n".join(line for line in lines if not line.startswith("@@"))
    missing = [str(one) for one in list_argument(arguments, "keywords") if str(one) not in changed]
    if not changed:
        return "nothing has changed"
    return f"what has changed does not hold {', '.join(missing)}" if missing else None


def _split(workspace: Path, arguments: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """The keywords that stand in the text, and those that do not."""
    if arguments.get("doc_type") == "email":
        text = mail_of(workspace, text_argument(arguments, "username"))
    else:
        text = words_in(workspace / text_argument(arguments, "file"), inside=workspace)
    text, plain = text.lower(), text.lower().replace(",", "")
    found: list[str] = []
    missing: list[str] = []
    for keyword in map(str, list_argument(arguments, "keywords")):
        stands = keyword.lower() in (plain if _is_number(keyword) else text)
        (found if stands else missing).append(keyword)
    return found, missing


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
