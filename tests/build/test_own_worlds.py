"""An environment of the user's own, named in a recipe, lives in a process of its own."""

from __future__ import annotations

import pytest

from understudy.build.worlds import world_of
from understudy.environments.apart import Apart
from understudy.environments.toy import remember_digit_tasks
from understudy.errors import UserMistakeError
from understudy.recipe import EnvironmentConfig


def test_the_recipes_factory_makes_them_apart() -> None:
    factory = "understudy.environments.toy:RememberDigit"
    made = world_of(EnvironmentConfig(kind="own", factory=factory, turns=2, seconds=20))
    assert isinstance(made, Apart) and made.seconds == 20
    world = made()
    assert world.reset(remember_digit_tasks()[4], 0).prompt == "digit 4:"
    assert world.step("4").reward == 0.5
    made.close()


def test_a_factory_that_is_none_is_told_before_the_run() -> None:
    with pytest.raises(UserMistakeError, match="no_such_module:make cannot be used"):
        world_of(EnvironmentConfig(kind="own", factory="no_such_module:make", turns=2))
