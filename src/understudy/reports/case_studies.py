"""Episodes turn by turn, chosen by a stated rule: what was seen, what was done, and what the method made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.reports.figures import count, number
from understudy.reports.saved_rollouts import SavedRollout, SavedTurn, WholeStep
from understudy.reports.turn_figures import figures_of

RULE = (
    "Chosen by rule from the first and the last saved step: the longest episode that was won in spite of an invalid "
    "action or a repeated state; where there is none, the longest that was won; else the longest."
)
LONGEST_TEXT = 1200
"""Characters of an observation or a reply that are shown."""
_ERRORS = (
    ("malformed", "no action in the form asked for"),
    ("inadmissible", "not on offer"),
    ("repeated", "done before in this state"),
)


@dataclass(frozen=True)
class CaseTurn:
    """One turn on the page.

    Args:
        number: from 1. seen: what the environment showed. said: the reply. action: as it was read, where that is not
            the reply itself. errors: words for what went wrong. figures: name -> value, as text.
    """

    number: int
    seen: str
    said: str
    action: str
    errors: tuple[str, ...]
    figures: dict[str, str]


@dataclass(frozen=True)
class Case:
    """One episode on the page: a title, words for its head, a sentence on its errors, and its turns."""

    title: str
    problem: str
    won: bool | None
    facts: tuple[str, ...]
    story: str
    turns: tuple[CaseTurn, ...]


def cases_of(steps: Sequence[WholeStep]) -> tuple[Case, ...]:
    """One episode of each step."""
    return tuple(_case(step, chosen) for step in steps if (chosen := choose(step.rollouts)) is not None)


def choose(rollouts: Sequence[SavedRollout]) -> SavedRollout | None:
    """The episode that ``RULE`` names; of equals the first. None where no episode has a turn."""
    played = [one for one in rollouts if one.turns]
    won = [one for one in played if one.correct]
    recovered = [one for one in won if any(errors_of(one))]
    return max(recovered or won or played, key=lambda one: len(one.turns), default=None)


def errors_of(rollout: SavedRollout) -> list[tuple[str, ...]]:
    """Words for what went wrong in each turn; none of them where it went well, or nobody tells."""
    seen: set[tuple[str | None, str | None]] = set()
    found = []
    for turn in rollout.turns:
        wrong = [words for name, words in _ERRORS if turn.deed.get(name) is True]
        # An environment that tells nothing may still show the same twice.
        state = (turn.shown, turn.completion)
        if not turn.deed and turn.shown and state in seen:
            wrong.append(dict(_ERRORS)["repeated"])
        seen.add(state)
        found.append(tuple(wrong))
    return found


def _case(step: WholeStep, rollout: SavedRollout) -> Case:
    errors = errors_of(rollout)
    when = "Before training" if step.step == 0 else f"After {count(step.step, 'step')} of training"
    facts = [
        *([rollout.domain] if rollout.domain else []),
        count(len(rollout.turns), "turn"),
        *([f"reward {number(rollout.reward)}"] if rollout.reward is not None else []),
    ]
    turns = [_turn(place, turn, errors[place - 1]) for place, turn in enumerate(rollout.turns, start=1)]
    return Case(when, rollout.problem, rollout.correct, tuple(facts), _story(rollout, errors), tuple(turns))


def _story(rollout: SavedRollout, errors: Sequence[tuple[str, ...]]) -> str:
    wrong = [place for place, words in enumerate(errors, start=1) if words]
    end = {True: f"it was won at turn {len(errors)}", False: "it was not won", None: "nothing decided it"}[
        rollout.correct
    ]
    if not wrong:
        return f"No invalid action and no repeated state; {end}."
    named = ", ".join(map(str, wrong[:12])) + (", ..." if len(wrong) > 12 else "")
    return f"Something went wrong in turn{'s' if len(wrong) > 1 else ''} {named}; {end}."


def _turn(place: int, turn: SavedTurn, errors: tuple[str, ...]) -> CaseTurn:
    seen = turn.deed.get("observation")
    said, action = turn.completion or "", turn.deed.get("action")
    figures = figures_of(turn)
    known = {"d": figures.disagreement, "h": figures.uncertainty, "w": figures.weight, "reward": turn.reward or None}
    return CaseTurn(
        number=place,
        seen=_short(seen if isinstance(seen, str) else turn.shown or turn.prompt or ""),
        said=_short(said),
        action=action if isinstance(action, str) and action != " ".join(said.split()) else "",
        errors=errors,
        figures={name: number(value) for name, value in known.items() if value is not None},
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ... ({len(text):,} characters)"
