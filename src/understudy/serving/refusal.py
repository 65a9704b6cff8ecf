"""What the server answers when it will not do what was asked: a status and one sentence in the field's form."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi import Response
from pydantic import ValidationError

from understudy.errors import UnderstudyError, UserMistakeError

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    408: "RequestTimeoutError",
    413: "RequestTooLargeError",
    415: "UnsupportedMediaTypeError",
    421: "MisdirectedRequestError",
    499: "ClientClosedRequestError",
    503: "ServiceUnavailableError",
}
_LONGEST_MESSAGE = 500


class Refusal(Exception):  # noqa: N818  (an answer, not a failure of this program)
    """An answer other than 200.

    Args:
        status: of HTTP. message: one sentence for the client's log; never holds a key.
        param: the field at fault. retry_after_seconds: sent as ``Retry-After``.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message[:_LONGEST_MESSAGE], param
        self.headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}

    def response(self) -> Response:
        """``{"error": {"message", "type", "param", "code"}}``."""
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, "InternalServerError"),
            "param": self.param,
            "code": self.status,
        }
        return json_response({"error": error}, status=self.status, headers=self.headers)


def json_response(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON; a number that is not finite is a fault of ours, not something to send."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # Lone surrogates can stand in a client's text; JSON has an escape for them and UTF-8 has none.
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status_code=status, headers=dict(headers or {}), media_type="application/json")


def bad_request(message: str, *, param: str | None = None) -> Refusal:
    """The client's mistake, which no repetition mends."""
    return Refusal(400, message, param=param)


def unavailable(message: str, *, retry_after_seconds: int = 1) -> Refusal:
    """Not now; the same request may pass later."""
    return Refusal(503, message, retry_after_seconds=retry_after_seconds)


def refusal_of(error: Exception) -> Refusal | None:
    """The answer to an error of the program: 400 for a user's mistake; None for one that nobody foresaw."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        param = ".".join(str(part) for part in first["loc"]) or None
        return bad_request(f"{param or 'the body'}: {first['msg']}", param=param)
    if isinstance(error, UserMistakeError):
        return bad_request(str(error))
    return Refusal(500, str(error)) if isinstance(error, UnderstudyError) else None
