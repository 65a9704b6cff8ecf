"""Which scorers may begin with a rollout while others are still being written."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.objectives.needs import Needs
from understudy.protocols import Scorer, View
from understudy.teachers.eager import Eager, eager_one


def early_scorers(scorers: Mapping[str, Scorer], views: Mapping[str, View], needs: Needs) -> dict[str, Eager]:
    """Those of which the whole request for a rollout is known when its last token is.

    That is where nothing is asked of the scorer at ids that another one chooses, and where every view may run then:
    a token that one scorer cannot read has no row with any.

    Args:
        scorers: those that the objective asks. views: what they read, by name; the student's contexts otherwise.
    """
    if any(view.after != "rollout" for name, view in views.items() if name in scorers):
        return {}
    waiting = {scorer for scorer, _ in needs.at_ids}
    found = {name: eager_one(scorer) for name, scorer in scorers.items() if name not in waiting}
    return {name: scorer for name, scorer in found.items() if scorer is not None}
