"""Whether the arguments of a call are those that the tool's schema asks for, and what to tell where they are not."""

from __future__ import annotations

from collections.abc import Mapping

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from understudy.environments.tools.tool import Tool
from understudy.errors import DataError

_SHOWN = 3
_LONGEST = 200


def complaint_of(tool: Tool, arguments: Mapping[str, object]) -> str | None:
    """What is wrong with the arguments, in words for the agent; None where nothing is."""
    errors = sorted(Draft202012Validator(tool.parameters).iter_errors(dict(arguments)), key=lambda one: list(one.path))
    if not errors:
        return None
    told = []
    for error in errors[:_SHOWN]:
        where = ".".join(str(part) for part in error.absolute_path)
        message = error.message if len(error.message) <= _LONGEST else error.message[:_LONGEST] + " ..."
        told.append(f"{where}: {message}" if where else message)
    more = f" (and {len(errors) - _SHOWN} more)" if len(errors) > _SHOWN else ""
    return "; ".join(told) + more


def check_schema(tool: Tool) -> None:
    """Raise DataError unless the tool's parameters are a JSON schema of an object."""
    try:
        Draft202012Validator.check_schema(tool.parameters)
    except SchemaError as error:
        raise DataError(f"the parameters of tool {tool.name} are no JSON schema", got=error.message) from error
    if tool.parameters.get("type") != "object":
        raise DataError(
            f"the parameters of tool {tool.name} are no object",
            got=repr(tool.parameters.get("type")),
            expected='"type": "object"',
        )
