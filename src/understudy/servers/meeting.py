"""The model behind an address that answers completions, asked who it is before any work is given to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from understudy.errors import ServerKeyError, UserMistakeError
from understudy.recipe.servers import check_addresses
from understudy.servers.background import background
from understudy.servers.identity import Identity, identify
from understudy.servers.patience import PatientClient
from understudy.servers.pool import ServerPool
from understudy.servers.settings import ServerSettings


@dataclass(frozen=True)
class Met:
    """Who answered.

    Args:
        url: without the ``/v1`` that it may have been given with. identity: what it says of itself.
        client: asks it, with all the patience of the settings.
    """

    url: str
    identity: Identity
    client: PatientClient

    @property
    def name(self) -> str:
        """Its model and its address, for people."""
        return f"{self.identity.model} at {self.url}"


def meet(
    url: str,
    *,
    model: str | None,
    key: str | None,
    timeout_seconds: float,
    deadline_seconds: float,
    max_concurrency: int,
) -> Met:
    """Ask the server who it is; for that it is waited for no longer than for a server that starts.

    Args:
        model: its served name, None for the only one. The others are those of ``ServerSettings``.
    Raises:
        ServerDownError: nobody answers. WrongServerError: it has no such model. ServerKeyError: it wants another key,
            or this one cannot be sent. UserMistakeError: ``url`` is no address, or holds a login.
    """
    try:
        check_addresses((url,))
    except ValueError as error:
        raise UserMistakeError(str(error)) from error
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ServerKeyError("the API key cannot be sent", expected="plain characters")
    url = url.rstrip("/").removesuffix("/v1")
    settings = ServerSettings(
        urls=(url,),
        model=model,
        kind="completions",
        key=key,
        timeout_seconds=timeout_seconds,
        deadline_seconds=deadline_seconds,
        max_concurrency=max_concurrency,
    )
    patience = min(settings.start_seconds, settings.deadline_seconds)
    first = replace(settings, deadline_seconds=patience, timeout_seconds=patience)
    return Met(url, background().run(identify(ServerPool(first))), PatientClient(settings))
