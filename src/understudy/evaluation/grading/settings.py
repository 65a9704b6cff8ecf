"""Who grades: the file ``graders.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from understudy.errors import UserMistakeError
from understudy.recipe.section import FolderName, Number, Section, Text, Whole
from understudy.recipe.yaml_text import parse_yaml
from understudy.servers.keys import key_in


class Price(Section):
    """What a grader's tokens cost, in one currency of your choice.

    Args:
        input_per_million, output_per_million: tokens.
    """

    input_per_million: Number = Field(default=0.0, ge=0)
    output_per_million: Number = Field(default=0.0, ge=0)


class GraderSettings(Section):
    """One grader: a model behind an endpoint of OpenAI's chat form.

    Args:
        name: of its folder of votes. url: up to and without ``/chat/completions``. model: as the endpoint names it.
        api_key_env: NAME of the environment variable with the key; the key itself stands nowhere.
        temperature, max_tokens: of its answers; null sends none, for endpoints that refuse them.
        timeout_seconds: for one answer. deadline_seconds: an endpoint that is busy or away is asked again for so long;
            after that the grader is given up for this run.
        max_concurrency: requests at one time. criteria_per_request: a longer rubric is asked in several requests.
        characters: of all deliverables of a task together; longer ones are cut in the middle.
        images: pictures are sent along. ask_twice: each request is sent again with its criteria reversed, and a
            criterion on which the two answers differ is ungraded. json_mode: asks the endpoint for a JSON object.
        price: of its tokens.
    """

    name: FolderName
    url: Text
    model: Text
    api_key_env: Text | None = None
    temperature: Number | None = Field(default=0.0, ge=0)
    max_tokens: Whole | None = Field(default=8192, ge=1)
    timeout_seconds: Number = Field(default=180.0, gt=0)
    deadline_seconds: Number = Field(default=300.0, gt=0)
    max_concurrency: Whole = Field(default=4, ge=1)
    criteria_per_request: Whole = Field(default=25, ge=1)
    characters: Whole = Field(default=120_000, ge=1000)
    images: bool = False
    ask_twice: bool = False
    json_mode: bool = False
    price: Price = Price()

    @model_validator(mode="after")
    def _address_is_plain(self) -> GraderSettings:
        parts = urlsplit(self.url)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("the url of a grader must hold no login and no query; name the key in api_key_env")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the url of a grader must begin with http:// or https://")
        return self

    def key(self) -> str | None:
        """The key from the environment, as ``servers.keys.key_in`` has it; raises ServerKeyError."""
        return key_in(self.api_key_env, remedy=f"Set it for the grader {self.name!r}.")

    def identity(self) -> Mapping[str, object]:
        """What of the settings its votes depend on; votes of other settings are not taken over."""
        fields = {
            "url",
            "model",
            "temperature",
            "max_tokens",
            "criteria_per_request",
            "characters",
            "images",
            "ask_twice",
        }
        return self.model_dump(mode="json", include=fields)


class Panel(Section):
    """The graders of one grading, at least one; three and an odd number make majorities.

    Args:
        graders: each under a name of its own.
    """

    graders: tuple[GraderSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Panel:
        names = [grader.name for grader in self.graders]
        if len({name.casefold() for name in names}) < len(names):
            raise ValueError("two graders have the same name")
        return self

    def notices(self) -> list[str]:
        """What a reader of the grades should know of the panel, a sentence each."""
        said = []
        if len(self.graders) < 3 or len(self.graders) % 2 == 0:
            said.append(f"{len(self.graders)} graders; three, or another odd number, make clear majorities.")
        same = len(self.graders) - len({(grader.url.rstrip("/"), grader.model) for grader in self.graders})
        if same:
            said.append(f"{same} of the graders are the same model at the same address as another: not independent.")
        return said


def load_panel(path: Path) -> Panel:
    """The graders in a YAML file, ``graders: [{name, url, model, ...}, ...]``.

    Raises:
        UserMistakeError: no such file, no YAML, or a field that is missing, misspelt or out of range.
    """
    try:
        raw: Any = parse_yaml(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserMistakeError(f"{path} cannot be read", got=getattr(error, "strerror", None) or error) from error
    try:
        return Panel.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserMistakeError(
            f"{path}: {where}", got=first["msg"], expected="graders: [{name, url, model}, ...]"
        ) from error
