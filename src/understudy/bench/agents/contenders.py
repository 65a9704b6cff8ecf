"""The rows of a comparison of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.bench.contenders import Contender
from understudy.errors import UserMistakeError
from understudy.recipe.outline import nearest
from understudy.testbed.tiny_household import SKILL

SELF = "self"
"""The teacher that is the student itself, told where the game's thing lies."""


@dataclass(frozen=True)
class AgentContender(Contender):
    """One row.

    Args:
        teacher: a key of the house's teachers, or ``SELF``.
    """

    teacher: str = "recovery"


_FLAT = {"method": "atod", "kappa_init": 0.55, "kappa_min": 0.55, "rho_init": 0.55, "rho_max": 0.55}
"""Both coefficients at the middle of their ways, so that a run's sum of each is the same; our choice."""

CONTENDERS = (
    AgentContender("grpo", {"method": "grpo"}),
    AgentContender("sdar", {"method": "sdar"}, teacher=SELF),
    AgentContender("opd", {"method": "opd"}),
    AgentContender("sod", {"method": "sod"}),
    AgentContender("tcod-f2b", {"method": "tcod", "curriculum": "f2b", "steps_per_turn": 1}),
    AgentContender("tcod-b2f", {"method": "tcod", "curriculum": "b2f", "steps_per_turn": 2}),
    AgentContender("atod", {"method": "atod"}),
    AgentContender("atod-no-tdur", {"method": "atod", "weight": "none"}),
    AgentContender("atod-token", {"method": "atod", "weight": "token"}),
    AgentContender("atod-no-anneal", _FLAT),
)
"""The methods on turns, and ATOD's three ablations. TCOD's paces are the paper's in proportion to a run this short."""

DRIFT = (
    AgentContender("opd", {"method": "opd"}),
    AgentContender("opd-clean", {"method": "opd"}, teacher="clean"),
)
"""The same student and method under two teachers: one has seen mistakes and how to find back, one has not."""


def chosen(names: Sequence[str]) -> tuple[AgentContender, ...]:
    """The contenders of these names, each once; all of ``CONTENDERS`` where none is named.

    Raises:
        UserMistakeError: nobody has such a name; the nearest is told.
    """
    known = {one.name: one for one in (*CONTENDERS, *DRIFT)}
    for name in names:
        if name not in known:
            right = nearest(name, list(known))
            remedy = f"Did you mean {right!r}?" if right else None
            raise UserMistakeError(
                "no contender has that name", got=repr(name), expected=f"one of {', '.join(known)}", remedy=remedy
            )
    return tuple(known[name] for name in dict.fromkeys(names)) or CONTENDERS


def teacher_of(contender: AgentContender, teachers: Mapping[str, str]) -> dict[str, object]:
    """The section ``teacher`` of a contender's recipe."""
    if contender.teacher != SELF:
        return {"model": teachers[contender.teacher]}
    view = {"kind": "solution", "column": SKILL, "template": "{text} : {prompt}"}
    return {"model": "self", "view": [view]}
