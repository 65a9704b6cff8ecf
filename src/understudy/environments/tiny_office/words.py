"""The tiny office in few words: what is seen of files, prompts, and every word there is."""

from __future__ import annotations

from understudy.environments.agents import Manner, Reply, Sight
from understudy.environments.tiny_office.documents import Line, Row
from understudy.environments.tiny_office.errands import MAX_FIGURE, NAMES, PEOPLE, SOURCES, THINGS
from understudy.environments.tiny_office.files import MONTHS
from understudy.environments.tiny_office.tools import DESK
from understudy.environments.tiny_office.workspaces import Workspace
from understudy.protocols import Prompt

REFUSED = "no"
"""Opens what is seen after an action that could not be done."""
UNREAD = "nothing"
"""The action of a reply without words; no tool has that name."""
EMPTY, MARKED, COMPUTED = "?", "yellow", "formula"
_SAID = (
    "desk task no nothing note open copy move put over count total sort up down mark most least fill like date sign"
    " finish ? yellow formula , :"
)


def view(workspace: Workspace, opened: str) -> str:
    """What is seen: the names of the files, or the open file as it stands.

    A spreadsheet is its name, the way its figures go if they all go one way, each thing with its figure, and its
    lines; a note has ``note`` behind its name.
    """
    if opened == DESK:
        return " ".join(("desk", *workspace.names()))
    document = workspace.read(opened)
    kind = "note" if document.kind == "note" else document.order
    return " ".join((opened, *kind.split(), *map(_row, document.rows), *(_line(line) for line in document.lines)))


def office_words(sight: Sight) -> Prompt:
    """What is seen, then the wish, then ``:``; the wish stands last, where a small model finds it."""
    return f"{sight.observation} task {sight.goal} :"


def office_reply(text: str) -> Reply:
    """The whole reply is the action; an empty one reaches the office too, which shows the open file again.

    >>> office_reply(" finish  report")
    Reply(action='finish report', well_formed=True)
    >>> office_reply("")
    Reply(action='nothing', well_formed=False)
    """
    action = " ".join(text.split())
    return Reply(action or UNREAD, well_formed=bool(action))


def office_manner() -> Manner:
    """How an agent of the tiny office is spoken to; no action is punished, so that the reward is the rubric's score."""
    return Manner(words=office_words, read=office_reply, history=0, penalty=0.0)


def tiny_office_vocabulary() -> tuple[str, ...]:
    """Every word that prompts and actions of the tiny office hold."""
    digits = map(str, range(MAX_FIGURE + 1))
    return tuple(dict.fromkeys([*THINGS, *SOURCES, *NAMES, *PEOPLE, *MONTHS, *digits, *_SAID.split()]))


def _row(row: Row) -> str:
    said = f"{row.thing} {EMPTY if row.value is None else row.value}"
    return f"{said} {MARKED}" if row.marked else said


def _line(line: Line) -> str:
    return f"{line.label} {COMPUTED if line.is_formula else line.content}"
