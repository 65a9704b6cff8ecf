"""What an agent may call: a name, a description, a JSON schema of its arguments, and the function behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from understudy.errors import UnderstudyError


class ToolError(UnderstudyError):
    """A call cannot be done; the message is told to the agent, which may call again."""


@dataclass(frozen=True)
class Picture:
    """An image that a tool shows beside its words, for agents that can see.

    Args:
        media_type: such as ``image/png``. content: the file's bytes.
    """

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Result:
    """What a tool answers.

    Args:
        text: for every agent. pictures: for those that can see.
    """

    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Tool:
    """Something an agent may call.

    Args:
        name: as it is called. description: told to the agent. parameters: JSON schema of the arguments, an object.
        call: does it, with arguments that satisfy the schema; raises ToolError where it cannot.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    call: Callable[[Mapping[str, object]], str | Result]

    def to_json(self) -> dict[str, object]:
        """The tool in OpenAI's form, as chat templates and servers take it."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


def parameters(required: Mapping[str, str], optional: Mapping[str, str] | None = None) -> dict[str, object]:
    """The schema of arguments that are texts.

    Args:
        required, optional: description of each argument, by its name.
    """
    described = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in described.items()},
        "required": list(required),
        "additionalProperties": False,
    }
