"""What is wanted in the tiny office, in its few words and back, and as a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["sheet", "note", "move"]
WorkKind = Literal["fill", "sort", "mark", "count", "total"]
WORK_ORDER: tuple[WorkKind, ...] = ("fill", "sort", "mark", "total", "count")
"""In which works are asked for: no figure is missing when others are compared."""


@dataclass(frozen=True)
class Work:
    """One thing to do to a spreadsheet.

    Args:
        kind: ``fill`` (the empty figure of ``what`` becomes that of ``like``), ``sort`` (``what``: up or down),
            ``mark`` (``what``: most or least), ``count`` (``what``: the bound) or ``total``.
    """

    kind: WorkKind
    what: str = ""
    like: str = ""

    @property
    def words(self) -> str:
        """As a wish says it."""
        parts = {"fill": f"fill {self.what} like {self.like}", "count": f"count over {self.what}", "total": "total"}
        return parts.get(self.kind, f"{self.kind} {self.what}")


@dataclass(frozen=True)
class Wish:
    """What is to be done with a file, and under which name it is to be handed in.

    Args:
        form: change a copy of a spreadsheet, write a note of one figure (``thing``), or move the file.
        source, name: of the file that is there, and of the one to hand in. works: in order.
        date: month and day to put at the end; empty for none. sign: who signs; likewise.
    """

    form: Form
    source: str
    name: str
    works: tuple[Work, ...] = ()
    thing: str = ""
    date: str = ""
    sign: str = ""

    @property
    def words(self) -> str:
        """In the office's words.

        >>> Wish("sheet", "sales", "report", (Work("mark", "most"),), date="may 3").words
        'sales mark most , date may 3 , report'
        """
        asked = {"note": [f"note {self.thing}"], "move": ["move"]}.get(self.form, [work.words for work in self.works])
        ends = [f"{kind} {said}" for kind, said in (("date", self.date), ("sign", self.sign)) if said]
        return f"{self.source} " + " , ".join([*asked, *ends, self.name])

    @property
    def sentence(self) -> str:
        """For people."""
        if self.form == "move":
            return f"Move {self.source} to {self.name}, and hand it in."
        asked = [_sentence(work) for work in self.works]
        asked += [f"write a note that says the figure of {self.thing}"] if self.form == "note" else []
        asked += [f"date it {self.date}"] if self.date else []
        asked += [f"have it signed by {self.sign}"] if self.sign else []
        return f"From {self.source}: {'; '.join(asked)}. Hand it in as {self.name}, and leave {self.source} as it is."


def _sentence(work: Work) -> str:
    return {
        "fill": f"fill in {work.what} with the figure of {work.like}",
        "sort": f"sort it by the figures, going {work.what}",
        "mark": f"highlight the {'largest' if work.what == 'most' else 'smallest'} figure",
        "count": f"count the figures over {work.what} by a formula",
        "total": "total the figures by a formula",
    }[work.kind]


def wish_of(words: str) -> Wish:
    """Read a wish back from its words; they are those of ``Wish.words``."""
    source, _, rest = words.partition(" ")
    *asked, name = rest.split(" , ")
    ends = dict.fromkeys(("date", "sign"), "")
    works: list[Work] = []
    form: Form = "sheet"
    thing = ""
    for each in asked:
        match each.split():
            case ["date" | "sign" as kind, *said]:
                ends[kind] = " ".join(said)
            case ["note", thing]:
                form = "note"
            case ["move"]:
                form = "move"
            case other:
                works.append(_work(other))
    return Wish(form, source, name, tuple(works), thing, ends["date"], ends["sign"])


def _work(words: list[str]) -> Work:
    match words:
        case ["fill", what, "like", like]:
            return Work("fill", what, like)
        case ["count", "over", bound]:
            return Work("count", bound)
        case ["sort" | "mark" as kind, what]:
            return Work("sort" if kind == "sort" else "mark", what)
        case ["total"]:
            return Work("total")
    raise ValueError(f"no such work: {' '.join(words)!r}")
