"""The problems of a recipe's data."""

from __future__ import annotations

import pytest

from understudy.build.data import load_problems
from understudy.errors import RecipeError
from understudy.recipe import Source


@pytest.mark.parametrize("unread", [{"prompt": "{question}"}, {"filter": {"level": 3}}])
def test_what_the_testbed_s_data_would_not_read_is_refused(unread: dict[str, object]) -> None:
    source = Source.model_validate({"dataset": "testbed/multiplication", "limit": 2})
    assert len(load_problems(source).tasks) == 2
    with pytest.raises(RecipeError, match=f"{next(iter(unread))} would change nothing"):
        load_problems(source.model_copy(update=unread))
