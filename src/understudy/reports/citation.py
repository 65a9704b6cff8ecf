"""BibTeX of this program and of the papers that a method's source names, with no word that the source does not have."""

from __future__ import annotations

import re
from importlib import metadata

_ARXIV = re.compile(r"(?P<named>[^;]*?),? arXiv:(?P<id>\d{4}\.\d{4,5})")
_PRINTED = re.compile(r'^(?P<author>[\w ]+), (?P<house>[^"]+), "(?P<title>[^"]+)" \((?P<year>\d{4})\)')
_AUTHORS = re.compile(r"^(\w[\w-]*)(?: et al\.| and (\w[\w-]*))$")


def understudy_entry() -> str:
    """The entry of this program, as ``CITATION.cff`` has it."""
    return _entry(
        "software",
        "understudy",
        author="{The Understudy contributors}",
        title="{Understudy}: On-policy distillation for language models",
        version=metadata.version("understudy"),
    )


def entries_of(source: str) -> list[str]:
    r"""One entry for each paper of a method's source.

    >>> print(entries_of("TrOPD, arXiv:2606.01249, eq. 5; the rest is ours.")[0])
    @misc{arxiv-2606.01249,
      title         = {{TrOPD}},
      eprint        = {2606.01249},
      archivePrefix = {arXiv},
      year          = {2026},
      url           = {https://arxiv.org/abs/2606.01249},
    }
    """
    printed = _PRINTED.match(source)
    if printed is not None:
        key = f"{printed['author'].split()[-1].lower()}{printed['year']}"
        names = {"author": printed["author"], "title": f"{{{printed['title']}}}"}
        return [_entry("misc", key, **names, howpublished=printed["house"], year=printed["year"])]
    found = {paper["id"]: paper["named"] for paper in reversed(list(_ARXIV.finditer(source)))}
    return [_paper(number, named) for number, named in reversed(found.items())]


def _paper(number: str, named: str) -> str:
    """Authors where the source names them, else what it calls the paper."""
    short = re.split(r"[:(]| of | in ", named)[-1].strip(' ",')
    authors = _AUTHORS.match(short)
    who = {"author": f"{authors[1]} and {authors[2] or 'others'}"} if authors else {"title": f"{{{short}}}"}
    return _entry(
        "misc",
        f"arxiv-{number}",
        **(who if short else {}),
        eprint=number,
        archivePrefix="arXiv",
        year=f"20{number[:2]}",
        url=f"https://arxiv.org/abs/{number}",
    )


def _entry(kind: str, key: str, **fields: str) -> str:
    width = max(map(len, fields))
    lines = [f"  {name.ljust(width)} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
