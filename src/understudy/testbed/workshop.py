"""Makes the testbed's models on first use and keeps them: each in a folder named after all that defines it."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PreTrainedConfig

from understudy.engines.local import LocalPolicy
from understudy.errors import ModelError
from understudy.home import home
from understudy.models.load import load_model
from understudy.testbed.cache import cached_folder
from understudy.testbed.datasets import ground_of
from understudy.testbed.models import Architecture, Schooling, config_of
from understudy.testbed.practice import PRACTICE_VERSION, Practice, practise
from understudy.testbed.roster import MODELS, PREFIX, Making
from understudy.testbed.schooling import Progress, school
from understudy.testbed.subjects import SUBJECTS

Roster = Mapping[str, Making]


def resolve_model(name: str, progress: Progress | None = None, *, schoolings: Roster = MODELS) -> Path:
    """The folder of a testbed model in Hugging Face form, tokenizer included; trained and cached on first use.

    An expert's base is made first where it is missing.

    Args:
        name: a key of ``schoolings``. progress: told of each step of the training.
    Raises:
        ModelError: no testbed model has that name.
    """
    making = _making_of(name, schoolings)

    def make(folder: Path) -> None:
        made = _made(name, making, progress, schoolings).save_model(folder)
        for file in made.iterdir():
            file.rename(folder / file.name)
        made.rmdir()

    return cached_folder(model_folder(name, making, schoolings=schoolings), make=make, is_whole=_is_model)


def resolve_models(
    names: Sequence[str], progress: Progress | None = None, *, schoolings: Roster = MODELS
) -> dict[str, Path]:
    """The folders of several testbed models; those that are missing are trained side by side, a process each.

    ``progress`` hears of the longest training, which is this process's own. A model whose process fails is trained
    here after all. Bases come before their experts.

    Raises:
        ModelError: no testbed model has one of the names.
    """
    known = {name: _making_of(name, schoolings) for name in names}
    bases = list(dict.fromkeys(making.base for making in known.values() if isinstance(making, Practice)))
    if bases:
        resolve_models(bases, progress, schoolings=schoolings)
    missing = [n for n, making in known.items() if not _is_model(model_folder(n, making, schoolings=schoolings))]
    missing.sort(key=lambda name: _cost(known[name]), reverse=True)
    children = [_in_another_process(name, schoolings) for name in missing[1:]]
    try:
        for name in missing[:1]:
            resolve_model(name, progress, schoolings=schoolings)
        for child in children:
            child.wait()
    finally:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)  # it then removes what it has not finished
                child.wait()
    return {name: resolve_model(name, progress, schoolings=schoolings) for name in names}


def model_config(name: str) -> PreTrainedConfig:
    """The configuration of a testbed model; nothing is trained.

    Raises:
        ModelError: no testbed model has that name.
    """
    making = _making_of(name, MODELS)
    while isinstance(making, Practice):
        making = _making_of(making.base, MODELS)
    subject = SUBJECTS[making.subject]
    return config_of(making.architecture, vocab_size=subject.vocab_size, context_tokens=subject.context_tokens)


def model_folder(name: str, making: Making, *, schoolings: Roster = MODELS) -> Path:
    """Where the model so made is kept; the folder's name carries a digest of all that defines it.

    Raises:
        DataError: what is taught is not on this machine.
    """
    definition: list[object]
    if isinstance(making, Practice):
        base = model_folder(making.base, _making_of(making.base, schoolings), schoolings=schoolings)
        definition = [asdict(making), base.name, PRACTICE_VERSION]
    else:
        own = {field: value for field, value in asdict(making).items() if field != "subject"}
        definition = [own, *SUBJECTS[making.subject].definition()]
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:12]
    return home() / "testbed" / f"{name.removeprefix(PREFIX)}-{digest}"


def _made(name: str, making: Making, progress: Progress | None, schoolings: Roster) -> LocalPolicy:
    if isinstance(making, Schooling):
        return school(making, name=name, progress=progress)
    base = load_model(resolve_model(making.base, progress, schoolings=schoolings))
    return practise(making, base, ground_of(making.dataset), name=name, progress=progress)


def _making_of(name: str, schoolings: Roster) -> Making:
    if name not in schoolings:
        raise ModelError("no such testbed model", got=repr(name), expected=f"one of {', '.join(schoolings)}")
    return schoolings[name]


def _cost(making: Making) -> int:
    """What the training costs, roughly, in steps of one layer."""
    return 4 * making.steps if isinstance(making, Practice) else making.num_layer_steps


def _in_another_process(name: str, schoolings: Roster) -> subprocess.Popen[bytes]:
    code = "import sys; from understudy.testbed.workshop import _resolve_written; _resolve_written(*sys.argv[1:])"
    command = [sys.executable, "-c", code, name, json.dumps(_written(name, schoolings))]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)


def _written(name: str, schoolings: Roster) -> dict[str, object]:
    """The making of a model, and of the model that it begins as, in JSON's types."""
    making = _making_of(name, schoolings)
    bases = _written(making.base, schoolings) if isinstance(making, Practice) else {}
    return {**bases, name: asdict(making)}


def _resolve_written(name: str, written: str) -> None:
    resolve_model(name, schoolings={key: _read(fields) for key, fields in json.loads(written).items()})


def _read(fields: dict) -> Making:
    if "base" in fields:
        return Practice(**fields)
    return Schooling(**{**fields, "architecture": Architecture(**fields["architecture"])})


def _is_model(folder: Path) -> bool:
    return all((folder / file).is_file() for file in ("config.json", "model.safetensors", "tokenizer.json"))
