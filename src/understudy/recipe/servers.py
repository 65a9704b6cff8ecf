"""Models that answer behind servers, as a recipe names them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from understudy.recipe.section import Number, Section, Text, Whole


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Addresses = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
"""Addresses of copies of one model, for which one may stand."""


class ServedModel(Section):
    """A model behind a server: vLLM, SGLang, ``understudy serve``, or another with ``/v1/completions``.

    Args:
        server: its address, such as ``http://localhost:8000``; several are copies of one model. model: its served
            name; null takes the one that is there.
        kind: its wire form; ``auto`` finds out. tokenizer: a folder with the server's tokenizer, to be compared with
            the student's where the server does not tell its own, or aligned with it.
        api_key_env: NAME of the environment variable with the key; the key itself stands nowhere.
        timeout_seconds: for one answer. deadline_seconds: a server that is down is waited for so long.
        max_concurrency: texts sent at one time, for each address.
        max_logprobs: log-probs a row that the server gives, where it does not tell.
        prefix_cache: vLLM reads a prompt that several texts share once, for chosen ids; SGLang does so by itself.
    """

    server: Addresses
    model: Text | None = None
    kind: Literal["auto", "vllm", "sglang", "completions"] = "auto"
    tokenizer: Text | None = None
    api_key_env: Text | None = None
    timeout_seconds: Number = Field(default=120.0, gt=0)
    deadline_seconds: Number = Field(default=300.0, gt=0)
    max_concurrency: Whole = Field(default=16, ge=1)
    max_logprobs: Whole | None = Field(default=None, ge=1)
    prefix_cache: bool = False

    @model_validator(mode="after")
    def _addresses_are_plain(self) -> ServedModel:
        check_addresses(self.server)  # not beside the field, whose value would be shown with the mistake
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses without a last slash."""
        return tuple(url.rstrip("/") for url in self.server)


class SamplingServer(Section):
    """Servers that draw the student's rollouts: vLLM, SGLang or ``understudy serve``.

    Args:
        urls: their addresses; several are copies, and each is given every set of weights.
        model: the served name; null takes the one that is there. kind: the wire form; ``auto`` finds out.
        api_key_env: NAME of the environment variable with the key; the key itself stands nowhere.
        timeout_seconds: for one answer. deadline_seconds: a server that is down is waited for so long.
        max_concurrency: prompts sent at one time, for each address.
    """

    urls: Addresses
    model: Text | None = None
    kind: Literal["auto", "vllm", "sglang"] = "auto"
    api_key_env: Text | None = None
    timeout_seconds: Number = Field(default=120.0, gt=0)
    deadline_seconds: Number = Field(default=300.0, gt=0)
    max_concurrency: Whole = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _addresses_are_plain(self) -> SamplingServer:
        check_addresses(self.urls)  # not beside the field, whose value would be shown with the mistake
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses without a last slash."""
        return tuple(url.rstrip("/") for url in self.urls)


def _with_urls(value: object) -> object:
    return {"urls": value} if isinstance(value, str | list | tuple) else value


SamplingServerField = Annotated[SamplingServer, BeforeValidator(_with_urls)]
"""Servers for rollouts, for which their addresses alone may stand."""


def check_addresses(urls: tuple[str, ...]) -> None:
    """Raise ValueError for an address with a login, with another scheme, or given twice."""
    for url in urls:
        parts = urlsplit(url)
        # Nothing of an address is shown that may hold a secret.
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("an address of server must hold no login and no query; name the key in api_key_env")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the address {url!r} of server must begin with http:// or https://")
    if len({url.rstrip("/") for url in urls}) < len(urls):
        raise ValueError("two addresses of server are the same")
