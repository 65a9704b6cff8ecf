"""The trained adapter, brought from the service into a checkpoint's folder in PEFT's form."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from understudy.engines.tinker.service import TinkerService
from understudy.errors import ServerAnswerError, ServerDownError, ServerError, ServerKeyError, UnderstudyError
from understudy.models.load import LoadedModel

if TYPE_CHECKING:
    import tinker

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MOST_BYTES = {SETTINGS: 1 << 20, WEIGHTS: 64 << 30}
"""Of each file; a longer one is none of ours."""

_EXPORT_SECONDS = 3600
"""How long the service keeps an export that could not be deleted: its shortest time."""

_READ_SECONDS = 60.0
_log = logging.getLogger(__name__)


def fetch_or_tell(
    service: TinkerService, training: tinker.TrainingClient, folder: Path, *, loaded: LoadedModel, name: str
) -> None:
    """As ``fetch_adapter``, with the tokenizer; a failure is told and costs no checkpoint: the service has all."""
    try:
        target = fetch_adapter(service, training, folder, base_model=loaded.name, name=name)
    except (ServerError, ServerKeyError) as error:
        _log.warning("The adapter of %s was not fetched, which the service keeps: %s", folder.name, error)
        return
    if loaded.tokenizer is not None:
        loaded.tokenizer.save_pretrained(target)


def fetch_adapter(
    service: TinkerService, training: tinker.TrainingClient, folder: Path, *, base_model: str, name: str
) -> Path:
    """Have the service export the live adapter under that name, and write it into ``folder/adapter``.

    Two files are taken, by names of our own choice: whatever else an export holds is left there.

    Raises:
        ServerError: the service does not export it, or exports no adapter; nothing is left in ``folder`` then.
    """
    import tinker

    saved = service.result(
        training.save_weights_external(name, ttl_seconds=_EXPORT_SECONDS), "an export of the adapter"
    )
    rest = tinker.RestClient(base_url=service.settings.base_url, api_key=service.settings.key)
    target = folder / "adapter"
    try:
        told = service.result(rest.get_external_weights_urls(saved.path), "the addresses of the adapter")
        target.mkdir(parents=True)
        for file, address in _addresses(told.urls, service.address).items():
            deadline = time.monotonic() + service.settings.timeout_seconds
            _download(address, target / file, most_bytes=MOST_BYTES[file], deadline=deadline)
        _name_base(target / SETTINGS, base_model)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        with contextlib.suppress(UnderstudyError):  # it expires by itself
            service.result(rest.delete_checkpoint_from_tinker_path(saved.path), "the end of the export")
    return target


def _addresses(urls: Mapping[str, str], service_address: str) -> dict[str, str]:
    """Where the two files are; an address without encryption only where the service itself has none."""
    missing = [file for file in (SETTINGS, WEIGHTS) if file not in urls]
    if missing:
        raise ServerAnswerError(
            "the service's export is no adapter in PEFT's form",
            got=", ".join(map(repr, sorted(urls)[:5])) or "no files",
            expected=f"{SETTINGS} and {WEIGHTS}",
        )
    found = {file: urls[file] for file in (SETTINGS, WEIGHTS)}
    allowed = {"https", urlsplit(service_address).scheme} & {"https", "http"}
    if not all(urlsplit(url).scheme in allowed for url in found.values()):
        raise ServerAnswerError("the service names an address for the adapter that is not https")
    return found


def _download(url: str, file: Path, *, most_bytes: int, deadline: float) -> None:
    """One file, without the API key: a signed address is a key of its own, and stands in no message."""
    size = 0
    try:
        with httpx.stream("GET", url, timeout=_READ_SECONDS) as answer, file.open("wb") as out:
            if answer.status_code != 200:
                raise ServerError(f"the adapter's file {file.name} cannot be had", got=f"HTTP {answer.status_code}")
            for part in answer.iter_bytes():
                size += len(part)
                if size > most_bytes:
                    raise ServerAnswerError(
                        f"the adapter's file {file.name} is longer than any", got=f"> {most_bytes:,}"
                    )
                if time.monotonic() > deadline:
                    raise ServerDownError(f"the adapter's file {file.name} does not end")
                out.write(part)
    except httpx.HTTPError as error:
        raise ServerDownError(f"the adapter's file {file.name} cannot be had", got=type(error).__name__) from error


def _name_base(file: Path, base_model: str) -> None:
    """PEFT finds the base by the name in the settings, which is the one that the run has for it."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        is_lora = settings["peft_type"] == "LORA"
    except (ValueError, KeyError, TypeError) as error:
        raise ServerAnswerError(f"the service's {SETTINGS} cannot be read", got=str(error)) from error
    if not is_lora:
        raise ServerAnswerError("the service exports no LoRA adapter", got=settings["peft_type"])
    settings["base_model_name_or_path"] = base_model
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
