"""What somebody who asks wants otherwise than the suite says."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from understudy.recipe import Suite
from understudy.recipe.problems import recipe_error


@dataclass(frozen=True)
class Wishes:
    """What stands in place of a suite's own fields; None leaves them.

    Args:
        num_samples, limit, temperature, top_p, max_completion_length, chat: as in a recipe's suite.
    """

    num_samples: int | None = None
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_completion_length: int | None = None
    chat: bool | None = None

    def applied(self, suite: Suite) -> Suite:
        """The suite with these changes; raises RecipeError for one that is out of range."""
        changes = {name: value for name, value in vars(self).items() if value is not None}
        raw = {**suite.model_dump(), **changes}
        try:
            return Suite.model_validate(raw) if changes else suite
        except ValidationError as error:
            raise recipe_error(error, Suite, raw, source=f"suite {suite.name}") from error
