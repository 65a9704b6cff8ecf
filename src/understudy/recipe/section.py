"""What every part of a recipe is: a frozen record that knows its keys and refuses all others."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Whole = Annotated[int, Field(strict=True)]
"""A whole number; neither ``true`` nor ``"3"`` passes for one."""

Number = Annotated[float, Field(strict=True)]
"""A finite number; neither ``true`` nor ``"3"`` passes for one."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""A string that is not empty."""

FolderName = Annotated[
    str, StringConstraints(min_length=1, max_length=150, pattern=r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]*$")
]
"""A name that is one folder or file: no slash, no control character, no leading dot."""


class Section(BaseModel):
    """A part of a recipe: immutable, with unknown keys and infinite numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
