"""Every method moves a tiny student by the measure it declares in twenty steps, and the wrong way it does not."""

from __future__ import annotations

import pytest

from tests.objectives.tabular_run import TabularRun, distance
from tests.objectives.tabular_texts import make_world
from understudy.objectives.methods import METHODS, objective_of
from understudy.objectives.methods.config import MethodConfig

WORLD = make_world()

SETTINGS: dict[str, dict[str, object]] = {
    "sdft": {"skip_first": 1},  # by default three tokens have no loss, and no text here is longer
}
"""What a method needs in place of its defaults, and why; all others are as a recipe would have them."""


def moves(config: MethodConfig, *, sign: int) -> bool:
    """Whether twenty steps take a tenth off the measure's distance to the best it can be."""
    student = TabularRun(objective_of(config), WORLD, sign=sign).trained()
    return distance(config.progress, WORLD, student) < 0.9 * distance(config.progress, WORLD, WORLD.start)


@pytest.mark.parametrize("config", METHODS, ids=lambda c: c.__name__)
def test_twenty_steps_move_the_declared_measure_and_flipped_ones_do_not(config: type[MethodConfig]):
    settings = SETTINGS.get(config.model_fields["method"].default, {})
    assert moves(config(**settings), sign=1)
    assert not moves(config(**settings), sign=-1)


def test_the_settings_name_methods_that_there_are():
    assert set(SETTINGS) <= {config.model_fields["method"].default for config in METHODS}
