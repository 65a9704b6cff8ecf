"""What to do next in the tiny world of facts, read off a tiny prompt: by one who looks, and by one who guesses."""

from __future__ import annotations

import re

_DOCUMENT = re.compile(r"Doc \d+: (.+?)(?= Doc \d+:| which |$)")


def careful(prompt: str) -> str:
    """The reply of one who answers only what a document says.

    >>> careful("Doc 1: anna ash lives in rome Doc 2: ben ash lives in oslo which land has anna ash :")
    'search rome'
    >>> careful("which city has anna ash :")
    'search anna ash'
    """
    facts, wanted, name = _read(prompt)
    home = next((fact.split()[-1] for fact in facts if fact.startswith(f"{name} lives in ")), None)
    if wanted == "city":
        return f"search {name}" if home is None else f"answer {home}"
    lands = [fact.split() for fact in facts if " is in " in fact]
    if lands and facts[0].split() == lands[0] and home in (None, lands[0][0]):
        return f"answer {lands[0][-1]}"
    return f"search {name}" if home is None else f"search {home}"


def hasty(prompt: str) -> str:
    """The reply of one who searches a last name only, and answers with the last word that comes back.

    >>> hasty("Doc 1: anna ash lives in rome Doc 2: ben ash lives in oslo which city has anna ash :")
    'answer oslo'
    """
    facts, _, name = _read(prompt)
    return f"answer {facts[-1].split()[-1]}" if facts else f"search {name.split()[-1]}"


def _read(prompt: str) -> tuple[list[str], str, str]:
    shown, _, question = f" {prompt}".removesuffix(" :").rpartition(" which ")
    wanted, _, name = question.partition(" has ")
    return _DOCUMENT.findall(shown), wanted, name
