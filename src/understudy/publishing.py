"""A run's weights on a model hub: its model or adapter, its card, its recipe and its summary, in one commit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, get_session, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from understudy.errors import RunDirectoryError, UnderstudyError, UserMistakeError, first_line
from understudy.models.hub_answers import answered, bound_answers
from understudy.reports.model_card import CARD, FORMS, LOADED_FROM, pages_of
from understudy.reports.reading import RunRecord, read_run
from understudy.reports.secrets import publishable, without_secrets
from understudy.training import checkpoint

_REFUSALS = {
    401: ("its token is not accepted", "Set HF_TOKEN to a token that may write, or run `hf auth login`."),
    403: ("its token may not write there", "Use a token with write permission for that owner."),
    404: ("there is no such owner, or the token may not see it", None),
}


_SILENCE_SECONDS = 300.0
"""So long the hub may say nothing; its library waits for ever."""


@dataclass(frozen=True)
class Published:
    """What was pushed: where it can be seen, and the steps its weights have."""

    url: str
    step: int


def push(run: str | Path, repo: str, *, private: bool = False, step: int | None = None) -> Published:
    """Push a checkpoint of a run to the model hub, into a repository that is made where there is none.

    Files of the model or adapter folder, its card with the repository's name in it, ``recipe.yaml``, and
    ``summary.json`` where it is of these weights. ``HF_ENDPOINT`` names the hub, ``HF_TOKEN`` or a login the user.

    Args:
        run: its folder. repo: OWNER/NAME. private: a new repository is not public.
        step: of the checkpoint; None takes the newest.
    Raises:
        UserMistakeError: no such run or checkpoint, no name of a repository, no token.
        UnderstudyError: the hub refuses, or cannot be reached.
    """
    record = read_run(Path(run))
    step, folder = _weights(record.path, step)
    _check_name(repo)
    if get_token() is None:
        raise UserMistakeError(
            "nobody is logged in to the model hub",
            expected="a token that may write",
            remedy="Set HF_TOKEN, or run `hf auth login`.",
        )
    api = hub_at(os.environ.get("HF_ENDPOINT"))
    with one_sentence(repo):
        url = repository_at(api, repo, private=private)
        api.create_commit(
            repo, _files(record, folder, repo=repo, step=step), commit_message=f"Weights after {step} steps"
        )
    return Published(url, step)


def hub_at(endpoint: str | None, *, seconds: float = _SILENCE_SECONDS) -> HfApi:
    """The hub's library, which gives up on a hub that says nothing, or does not come to an end, for so many seconds."""
    get_session().timeout = seconds
    bound_answers()
    return HfApi(endpoint=endpoint)


def repository_at(api: HfApi, repo: str, *, private: bool = False, seconds: float = _SILENCE_SECONDS) -> str:
    """The address of that repository, made where there is none."""
    return str(answered(lambda: api.create_repo(repo, private=private or None, exist_ok=True), seconds=seconds))


def _weights(run: Path, step: int | None) -> tuple[int, Path]:
    """A whole checkpoint's step and its ``model`` or ``adapter`` folder."""
    step = checkpoint.chosen(run / "checkpoints", step)
    folder = checkpoint.folder_of(run / "checkpoints", step)
    fault = checkpoint.faults_of(folder)
    if fault is not None:
        raise RunDirectoryError(
            f"the checkpoint of step {step} cannot be used", got=fault, remedy="Choose another one with --checkpoint."
        )
    return step, next(folder / form for form in FORMS if (folder / form).is_dir())


def _check_name(repo: str) -> None:
    try:
        validate_repo_id(repo)
        fits = repo.count("/") == 1
    except HFValidationError:
        fits = False
    if not fits:
        raise UserMistakeError(
            "no name of a repository",
            got=repr(repo),
            expected="OWNER/NAME of letters, digits, '-', '_' and '.'",
        )


def _files(run: RunRecord, folder: Path, *, repo: str, step: int) -> list[CommitOperationAdd]:
    texts = _pages(run, folder, step)
    texts[CARD] = texts[CARD].replace(LOADED_FROM, f'name = "{repo}"')
    texts["recipe.yaml"] = publishable(run.recipe_text)
    summary = run.path / "summary.json"
    if run.summary is not None and run.summary.get("steps") == step:
        texts["summary.json"] = summary.read_text(encoding="utf-8")
    weights = sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in texts)
    return [
        *(CommitOperationAdd(str(file.relative_to(folder)), file) for file in weights),
        # The card's owner may have worked on it, and a summary quotes names: all that is text is looked through.
        *(CommitOperationAdd(name, without_secrets(text).encode()) for name, text in texts.items()),
    ]


def _pages(run: RunRecord, folder: Path, step: int) -> dict[str, str]:
    """The card as it stands beside the weights, where its owner may have worked on it; else a new one."""
    file = folder / CARD
    if file.is_file():
        return {CARD: file.read_text(encoding="utf-8")}
    return pages_of(run, form=next(form for form in FORMS if folder.name == form), step=step)


@contextmanager
def one_sentence(repo: str) -> Iterator[None]:
    """Whatever the hub's library raises, as one sentence."""
    try:
        yield
    except Exception as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        why, remedy = _REFUSALS.get(
            status or 0, (without_secrets(first_line(error)), "Try again when network and hub are there.")
        )
        raise UnderstudyError(f"the model hub does not take {repo}: {why}", remedy=remedy) from error
