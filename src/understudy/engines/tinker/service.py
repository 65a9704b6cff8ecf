"""The Tinker service as one seam: who may ask it, how long an answer is waited for, and what its errors mean here."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from understudy.errors import RecipeError, ServerAnswerError, ServerDownError, ServerError, ServerKeyError, first_line
from understudy.servers.background import background

if TYPE_CHECKING:
    import tinker

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

CLOSING_SECONDS = 5.0
QUIET_SECONDS = 60.0
"""An answer that takes longer is told to be waited for."""
INSTALL = "Install it: pip install 'understudy[tinker]'."


@dataclass(frozen=True)
class TinkerSettings:
    """How the service is reached.

    Args:
        key: the API key; never shown. base_url: of the service; None for the SDK's own address.
        start_seconds: the service may take so long to answer at all. timeout_seconds: an answer is waited for so long.
        telemetry: let the SDK report errors and calls to the service.
    """

    key: str = field(repr=False)
    base_url: str | None = None
    start_seconds: float = 20.0
    timeout_seconds: float = 3600.0
    telemetry: bool = False


def key_from(variable: str) -> str:
    """The API key in an environment variable.

    Raises:
        ServerKeyError: there is none, or it is none of Tinker's; the message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ServerKeyError(
            f"the environment variable {variable} holds no API key of the Tinker service",
            remedy=f"Set {variable}, or use engine.kind local.",
        )
    if not key.startswith(("tml-", "eyJ")):
        raise ServerKeyError(
            f"the environment variable {variable} holds something else than an API key of the Tinker service",
            expected="a key that begins with tml-",
        )
    return key


class TinkerService:
    """One session with the service; it begins at first use.

    Args:
        settings: how it is reached.
    Raises:
        RecipeError: the SDK is not installed.
    """

    def __init__(self, settings: TinkerSettings) -> None:
        if importlib.util.find_spec("tinker") is None:
            raise RecipeError("engine.kind tinker needs the Tinker SDK, which is not installed", remedy=INSTALL)
        self.settings = settings
        self._base_models: dict[str, tinker.SamplingClient] = {}

    @cached_property
    def client(self) -> tinker.ServiceClient:
        """The SDK's client, after the service was found to answer.

        Raises:
            ServerDownError: it does not. ServerKeyError: it refuses the key.
        """
        # Before the SDK is asked, which tries for five minutes and has no setting for it.
        self._knock()
        if not self.settings.telemetry:
            os.environ.setdefault("TINKER_TELEMETRY", "0")
        import tinker

        client = tinker.ServiceClient(base_url=self.settings.base_url, api_key=self.settings.key)
        with translated(self.address):
            _ = client.holder
        return client

    @property
    def address(self) -> str:
        """Where the service is, for messages."""
        return self.settings.base_url or os.environ.get("TINKER_BASE_URL") or "the Tinker service"

    def result(self, future: Any, what: str) -> Any:
        """The answer to a request, waited for.

        Args:
            future: of the SDK. what: was asked for, in messages.
        Raises:
            ServerDownError: none in time. ServerKeyError: the key is refused. ServerError: the service could not do it.
        """
        with translated(self.address, what):
            quiet = min(QUIET_SECONDS, self.settings.timeout_seconds)
            try:
                try:
                    return future.result(timeout=quiet)
                except TimeoutError:  # a queue there, or silence, which the SDK takes five minutes to call one
                    most = self.settings.timeout_seconds
                    _log.warning(
                        "%s has not answered for %g s (%s); waiting, %g s at most.", self.address, quiet, what, most
                    )
                return future.result(timeout=most - quiet)
            except TimeoutError as error:
                raise self.late(what) from error

    def late(self, what: str) -> ServerDownError:
        """What to say when an answer did not come in time."""
        return ServerDownError(
            f"{self.address} did not answer: {what}",
            got=f"nothing in {self.settings.timeout_seconds:g} s",
            remedy="Raise engine.timeout_seconds, or go on with --resume when it answers again.",
        )

    def sampling_client(self, base_model: str) -> tinker.SamplingClient:
        """The SDK's client that draws from and scores with a model that nobody trained; one for each name."""
        if base_model not in self._base_models:
            future = self.client.create_sampling_client(base_model=base_model)
            self._base_models[base_model] = self.result(future, f"the model {base_model}")
        return self._base_models[base_model]

    def close(self, status: str = "success") -> None:
        """End the session, if there is one; what was saved stays. A service that is gone is not waited for."""
        if "client" in self.__dict__:
            with contextlib.suppress(TimeoutError), translated(self.address, "the end of the session"):
                self.client.close(status).result(timeout=CLOSING_SECONDS)  # type: ignore[arg-type]

    def _knock(self) -> None:
        """Ask whether anybody is there, until ``start_seconds`` have passed."""
        from tinker.lib.base_url import resolve_base_url

        url = f"{resolve_base_url(self.settings.base_url)}/api/v1/healthz"
        deadline = time.monotonic() + self.settings.start_seconds
        pause = 0.2
        while True:
            try:
                status = background().run(self._status(url))
                if status < 500:
                    return
                problem = f"HTTP {status}"
            except TimeoutError:
                problem = f"no answer that ends in {self.settings.start_seconds:g} s"
            except httpx.InvalidURL as error:
                raise RecipeError("engine.base_url is no address", got=self.address) from error
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() + pause > deadline:
                raise ServerDownError(
                    f"{self.address} does not answer",
                    got=problem,
                    remedy="Check engine.base_url and the network.",
                )
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _status(self, url: str) -> int:
        """Of the answer to one question; what its body says is not read."""
        headers, seconds = {"X-API-Key": self.settings.key}, self.settings.start_seconds
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=seconds) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            return answer.status_code


class translated:  # noqa: N801
    """Within the block the SDK's errors become this program's, in one sentence and without the key.

    Args:
        address: of the service. what: was asked for.
    """

    def __init__(self, address: str, what: str = "the session") -> None:
        self._address, self._what = address, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        found = self._known(error)
        if found is not None:
            raise found from error

    def _known(self, error: BaseException | None) -> ServerError | ServerKeyError | None:
        if error is None:
            return None
        import tinker

        if isinstance(error, tinker.AuthenticationError | tinker.PermissionDeniedError):
            return ServerKeyError(f"{self._address} refuses the API key", remedy="Set TINKER_API_KEY to one it knows.")
        if isinstance(error, tinker.BillingError):
            return ServerError(f"{self._address} has stopped this account", got=first_line(error))
        if isinstance(error, tinker.RequestFailedError):
            return ServerError(f"{self._address} could not do this: {self._what}", got=first_line(error))
        if isinstance(error, tinker.APIConnectionError):
            return ServerDownError(
                f"{self._address} was lost: {self._what}", got=first_line(error), remedy="Go on with --resume."
            )
        if isinstance(error, tinker.APIStatusError):
            return ServerError(f"{self._address} refused this: {self._what}", got=first_line(error))
        if isinstance(error, tinker.TinkerError):
            return ServerError(f"{self._address} cannot be used: {self._what}", got=first_line(error))
        if isinstance(error, ValueError | RuntimeError) and _is_sdks(error):
            what = f"{self._address} answered with what cannot be used: {self._what}"
            return ServerAnswerError(what, got=first_line(error))
        return None


def _is_sdks(error: BaseException) -> bool:
    """Whether it was raised inside the SDK, which has no class of its own for answers that it cannot read."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("tinker")
