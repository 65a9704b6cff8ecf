"""Who is to speak: a model, the weights of a run, or whatever answers at an address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.build import examinee_of, model_named, sampler_of
from understudy.engines.local import LocalScorer
from understudy.errors import RunDirectoryError, UserMistakeError
from understudy.evaluating import Address, building_shown, endpoint_of
from understudy.evaluation.endpoint import Endpoint
from understudy.evaluation.examination import Examinee
from understudy.recipe import LocalEngine, Recipe, load_recipe
from understudy.reports.model_card import FORMS
from understudy.training import checkpoint
from understudy.training.progress import Display


@dataclass(frozen=True)
class Named:
    """Who was named on the command line.

    Args:
        label: in what is shown. source: a folder, a hub name, ``testbed/...`` or an address.
        recipe: of the run whose weights these are; None where they are of no run.
    """

    label: str
    source: str
    recipe: Recipe | None = None

    @property
    def is_address(self) -> bool:
        """Whether it is a server's."""
        return self.source.startswith(("http://", "https://"))


@dataclass(frozen=True, eq=False)
class Speaker:
    """Somebody who can be asked. Args: label: as in ``Named``. voice: a model of this process, or a server."""

    label: str
    voice: Examinee | Endpoint

    @property
    def has_template(self) -> bool:
        """Whether it can be asked in chat form, as far as is known here."""
        return isinstance(self.voice, Endpoint) or bool(self.voice.tokenizer.chat_template)


def named(name: str, *, step: int | None = None) -> Named:
    """The weights that a name stands for: of a run the newest checkpoint's, or that of ``step``.

    Raises:
        RunDirectoryError: the run has no such checkpoint. UserMistakeError: ``step`` of what is no run.
    """
    path = Path(name)
    if (path / "recipe.yaml").is_file():
        found = checkpoint.chosen(path / "checkpoints", step)
        folder = checkpoint.folder_of(path / "checkpoints", found)
        return Named(f"{path}, step {found}", _weights(folder), load_recipe(path / "recipe.yaml"))
    if step is not None:
        raise UserMistakeError("--step names a checkpoint of a run", got=name, expected="the folder of a run")
    if (path / checkpoint.MANIFEST).is_file():
        recipe = path.resolve().parent.parent / "recipe.yaml"
        return Named(name, _weights(path), load_recipe(recipe) if recipe.is_file() else None)
    return Named(name, name)


def speaker_of(one: Named, address: Address, display: Display) -> Speaker:
    """Load it, or meet the server.

    Args:
        address: how a server is asked.
    Raises:
        UserMistakeError: no such model. ServerDownError: nobody answers.
    """
    if one.is_address:
        met = address.meet(one.source)
        return Speaker(met.name, endpoint_of(met))
    student = None if one.recipe is None else one.recipe.student
    engine = LocalEngine()
    loaded = model_named(
        one.source,
        engine,
        trust_remote_code=student is not None and student.trust_remote_code,
        tokenizer=None if student is None else student.tokenizer,
        building=building_shown(display),
    )
    kwargs = None if student is None else student.chat_template_kwargs
    sampler = sampler_of(loaded.model, loaded, engine)
    return Speaker(one.label, examinee_of(loaded, sampler, kwargs, scorer=LocalScorer(loaded)))


def _weights(folder: Path) -> str:
    for form in FORMS:
        if (folder / form).is_dir():
            return str(folder / form)
    raise RunDirectoryError(
        f"{folder} holds no weights",
        expected=" or ".join(f"{form}/" for form in FORMS),
        remedy="Where a service keeps them, ask it at its address.",
    )
