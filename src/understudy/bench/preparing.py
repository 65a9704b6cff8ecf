"""What is made before the runs begin: models of the testbed, the mean of experts, and the experts' own solutions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from understudy.bench.contenders import Contender
from understudy.bench.folder import BenchFolder
from understudy.bench.jobs import ENGINE
from understudy.bench.plan import told_file
from understudy.bench.settings import Domain, Setting
from understudy.build import examinee_of, model_named, sampler_of
from understudy.environments.episodes import Episode, play
from understudy.environments.single_turn import SingleTurn
from understudy.evaluating import building_shown
from understudy.models.chat import decode
from understudy.protocols import SamplingParams
from understudy.randomness import derived_seed
from understudy.tasks import verifier_from
from understudy.testbed import dataset_named, is_testbed, resolve_models, tasks
from understudy.testbed.cache import cached_folder
from understudy.testbed.roster import MODELS
from understudy.testbed.workshop import model_folder
from understudy.training.durable import write_text
from understudy.training.progress import Display


def models_of(setting: Setting, contenders: Sequence[Contender]) -> list[str]:
    """Every model that takes part, by name."""
    references = [contender.reference for contender in contenders if contender.reference != "initial"]
    return list(dict.fromkeys([*setting.measured.values(), *setting.averaged, *references]))


def identity_of(model: str) -> str:
    """What a name stands for: a testbed model's name with the digest of its making, else the folder as it is named."""
    return model_folder(model, MODELS[model]).name if is_testbed(model) else model


def make_models(names: Sequence[str], display: Display) -> None:
    """Train the testbed models that are missing, side by side."""
    resolve_models([name for name in names if is_testbed(name)], building_shown(display))
    display.end()


def average(setting: Setting, folder: BenchFolder) -> Path:
    """The model whose every weight is the mean of the setting's ``averaged`` models'."""

    def make(target: Path) -> None:
        loaded = [model_named(name, ENGINE) for name in setting.averaged]
        states = [one.model.state_dict() for one in loaded]
        loaded[0].model.load_state_dict(mean_weights(states))
        loaded[0].model.save_pretrained(target)
        loaded[0].known_tokenizer.save_pretrained(target)

    return cached_folder(folder.average, make=make, is_whole=lambda path: (path / "model.safetensors").is_file())


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Every weight's mean over the models, taken in float64.

    >>> mean_weights([{"w": torch.tensor([1.0])}, {"w": torch.tensor([4.0])}])["w"].tolist()
    [2.5]
    """
    # All means before any is written: tied weights are one tensor under two names.
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(weight.dtype)
        for name, weight in states[0].items()
    }


def tell(setting: Setting, folder: BenchFolder, display: Display) -> None:
    """Let each trained domain's teacher write one solution to every training problem, where it has not done so."""
    for domain in setting.trained:
        file = told_file(folder.told, domain)
        if not file.is_file():
            display.notice(f"{domain.teacher} writes its solutions.")
            write_text(file, "".join(json.dumps(row) + "\n" for row in _told(setting, domain)))


def _told(setting: Setting, domain: Domain) -> list[dict[str, str]]:
    dataset = dataset_named(domain.dataset)
    loaded = model_named(domain.teacher, ENGINE)
    examinee = examinee_of(loaded, sampler_of(loaded.model, loaded, ENGINE))
    problems = tasks(domain.dataset)
    rollouts = play(
        [Episode(task, key=number, group=number) for number, task in enumerate(problems)],
        environment_factory=partial(SingleTurn, verifier_from(dataset.verifier, None)),
        sampler=examinee.sampler,
        params=SamplingParams(max_completion_length=setting.max_completion_length, stop_ids=examinee.stop_ids),
        tokenizer=examinee.tokenizer,
        seed=derived_seed(seed=0, step=0, purpose=f"bench/told/{domain.name}"),
        step=0,
        max_length=examinee.max_length,
    )
    return [
        {
            "prompt": str(task.prompt),
            "completion": decode(examinee.tokenizer, rollout.turns[0].completion_ids) or " ",
            "answer": str(task.columns["answer"]),
        }
        for task, rollout in zip(problems, rollouts, strict=True)
    ]
