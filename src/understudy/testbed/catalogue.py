"""The testbed's names: two models built on first use, a training set, and two suites of held-out problems."""

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

from understudy.errors import DataError, ModelError, UserMistakeError
from understudy.protocols import Task
from understudy.recipe import Data, Suite, Verifier
from understudy.testbed.cache import cached_folder, home
from understudy.testbed.models import (
    GSM8K_STUDENT,
    GSM8K_TEACHER,
    STUDENT,
    TEACHER,
    Architecture,
    Schooling,
    config_of,
)
from understudy.testbed.multiplication import (
    ANSWER_PATTERN,
    MAX_COMPLETION_TOKENS,
    Problem,
    Split,
    carried_solution,
    distinct_problems,
)
from understudy.testbed.schooling import Progress, school
from understudy.testbed.subjects import SUBJECTS

PREFIX = "testbed/"
DATASET = "testbed/multiplication"
TEACHER_NAME = "testbed/multiplication-teacher"
STUDENT_NAME = "testbed/multiplication-student"
SCHOOLINGS: Mapping[str, Schooling] = {
    TEACHER_NAME: TEACHER,
    STUDENT_NAME: STUDENT,
    "testbed/gsm8k-teacher": GSM8K_TEACHER,
    "testbed/gsm8k-student": GSM8K_STUDENT,
}

NUM_TRAIN, NUM_EVAL = 4096, 1000
VERIFIER = Verifier(kind="numeric", extract=ANSWER_PATTERN)


def is_testbed(name: str) -> bool:
    """Whether a model or data set of that name is built here."""
    return name.startswith(PREFIX)


def resolve_model(
    name: str, progress: Progress | None = None, *, schoolings: Mapping[str, Schooling] = SCHOOLINGS
) -> Path:
    """The folder of a testbed model in Hugging Face form, tokenizer included; trained and cached on first use.

    Args:
        name: a key of ``schoolings``. progress: told of each step of the training.
    Raises:
        ModelError: no testbed model has that name.
    """
    if name not in schoolings:
        raise ModelError("no such testbed model", got=repr(name), expected=f"one of {', '.join(schoolings)}")

    def make(folder: Path) -> None:
        made = school(schoolings[name], name=name, progress=progress).save_model(folder)
        for file in made.iterdir():
            file.rename(folder / file.name)
        made.rmdir()

    return cached_folder(model_folder(name, schoolings[name]), make=make, is_whole=_is_model)


def resolve_models(
    names: Sequence[str], progress: Progress | None = None, *, schoolings: Mapping[str, Schooling] = SCHOOLINGS
) -> dict[str, Path]:
    """The folders of several testbed models; those that are missing are trained side by side, a process each.

    ``progress`` hears of the longest training, which is this process's own. A model whose process fails is trained
    here after all.

    Raises:
        ModelError: no testbed model has one of the names.
    """
    known = {name: schoolings[name] for name in names if name in schoolings}
    missing = [name for name, schooling in known.items() if not _is_model(model_folder(name, schooling))]
    missing.sort(key=lambda name: known[name].num_layer_steps, reverse=True)
    children = [_in_another_process(name, known[name]) for name in missing[1:]]
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


def _in_another_process(name: str, schooling: Schooling) -> subprocess.Popen[bytes]:
    code = "import sys; from understudy.testbed.catalogue import _resolve_written; _resolve_written(*sys.argv[1:])"
    command = [sys.executable, "-c", code, name, json.dumps(asdict(schooling))]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)


def _resolve_written(name: str, written: str) -> None:
    fields = json.loads(written)
    schooling = Schooling(**{**fields, "architecture": Architecture(**fields["architecture"])})
    resolve_model(name, schoolings={name: schooling})


def model_config(name: str) -> PreTrainedConfig:
    """The configuration of a testbed model; nothing is trained.

    Raises:
        ModelError: no testbed model has that name.
    """
    if name not in SCHOOLINGS:
        raise ModelError("no such testbed model", got=repr(name), expected=f"one of {', '.join(SCHOOLINGS)}")
    schooling = SCHOOLINGS[name]
    subject = SUBJECTS[schooling.subject]
    return config_of(schooling.architecture, vocab_size=subject.vocab_size, context_tokens=subject.context_tokens)


def model_folder(name: str, schooling: Schooling) -> Path:
    """Where the model of that schooling is kept; the folder's name carries a digest of all that defines it.

    Raises:
        DataError: what is taught is not on this machine.
    """
    own = {field: value for field, value in asdict(schooling).items() if field != "subject"}
    definition = [own, *SUBJECTS[schooling.subject].definition()]
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:12]
    return home() / "testbed" / f"{name.removeprefix(PREFIX)}-{digest}"


def tasks(name: str, split: str = "train", *, limit: int | None = None) -> list[Task]:
    """The problems of a testbed data set; columns ``prompt``, ``completion`` (teacher's manner) and ``answer``.

    Args:
        name: of the data set. split: ``train``, or ``eval`` (also called ``test``) of held-out problems.
        limit: only the first so many; None gives 4096 for training and 1000 held out.
    Raises:
        DataError: no testbed data set has that name, or it has no such split.
    """
    if name != DATASET:
        raise DataError("no such testbed data set", got=repr(name), expected=DATASET)
    kept: Mapping[str, tuple[Split, int]] = {
        "train": ("train", NUM_TRAIN),
        "eval": ("eval", NUM_EVAL),
        "test": ("eval", NUM_EVAL),
    }
    if split not in kept:
        raise DataError(f"{name} has no split of that name", got=repr(split), expected="train or eval")
    which, count = kept[split]
    return [_task(problem) for problem in distinct_problems(which, count if limit is None else min(limit, count))]


def data() -> Data:
    """The training set as a recipe's ``data``."""
    return Data(dataset=DATASET, split="train", verifier=VERIFIER)


def suites() -> tuple[Suite, ...]:
    """The testbed's suites: the same held-out problems greedily, and with one sample each at temperature 1."""
    return (_suite("multiplication-greedy", 0.0), _suite("multiplication-sampled", 1.0))


def suite_named(name: str) -> Suite:
    """The built-in suite of that name, with or without ``testbed/`` before it.

    Raises:
        UserMistakeError: no built-in suite has that name.
    """
    known = {suite.name: suite for suite in suites()}
    if name.removeprefix(PREFIX) not in known:
        raise UserMistakeError("no built-in suite has that name", got=repr(name), expected=f"one of {', '.join(known)}")
    return known[name.removeprefix(PREFIX)]


def _suite(name: str, temperature: float) -> Suite:
    return Suite(
        name=name,
        dataset=DATASET,
        split="eval",
        verifier=VERIFIER,
        temperature=temperature,
        max_completion_length=MAX_COMPLETION_TOKENS,
    )


def _task(problem: Problem) -> Task:
    columns = {"prompt": problem.prompt, "completion": carried_solution(problem), "answer": problem.answer}
    return Task(problem=problem.name, prompt=problem.prompt, columns={"id": problem.name, **columns}, domain=DATASET)


def _is_model(folder: Path) -> bool:
    return all((folder / file).is_file() for file in ("config.json", "model.safetensors", "tokenizer.json"))
