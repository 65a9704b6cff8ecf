"""Is there a model under this name? Answered before anything large is read."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from understudy.errors import ModelError, first_line
from understudy.home import expanded
from understudy.models.hub_answers import answered, bound_answers

_HUB_SECONDS = 15.0


def check_location(name: str) -> None:
    """Accept a folder with a model or an adapter, a hub id in the local cache, or one that the hub knows.

    Raises:
        ModelError: none of these.
    """
    path = Path(name)
    if path.is_dir():
        if not any((path / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise ModelError(
                f"{name} is not a model",
                got="a folder without config.json",
                remedy=_remedy(path),
            )
    elif path.exists():
        raise ModelError(f"{name} is not a model", got="a file", expected="a folder with config.json, or a hub id")
    elif re.fullmatch(r"[\w.-]+:\d+(/.*)?", name):
        raise ModelError(
            f"no model at {name}",
            remedy="If it is a server, its address begins with http://; a teacher's stands in teacher: {server: URL}.",
        )
    elif is_path(name):
        raise ModelError(f"no model at {name}", remedy="Check the path, or give a hub id such as owner/name.")
    elif not isinstance(try_to_load_from_cache(name, "config.json"), str):
        check_hub(name)


def is_path(name: str) -> bool:
    """Whether a name can only be a place on a disk: the hub's are OWNER/NAME."""
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def written_out(name: str) -> str:
    """A model's name, the home folder at its beginning written out; raises UserMistakeError where nobody has that."""
    return str(expanded(name)) if name.startswith("~") else name


def _remedy(path: Path) -> str:
    """Where the weights are, when somebody names a run or a checkpoint in their place."""
    checkpoints = sorted((path / "checkpoints").glob("step-*"), reverse=True)
    for folder in (*checkpoints, path):
        for weights in (folder / "model", folder / "adapter"):
            if weights.is_dir():
                return f"Its {'newest ' if checkpoints else ''}weights are {weights}."
    return "Give a folder that save_pretrained wrote, or a hub id."


def check_hub(name: str, *, endpoint: str | None = None, seconds: float = _HUB_SECONDS) -> None:
    """One quick question, since loading would try an unreachable hub again and again for a minute.

    Args:
        endpoint: of the hub; None for the library's own. seconds: it may say nothing, or not end, for so long.
    Raises:
        ModelError: the hub does not know the name, or nobody answers.
    """
    bound_answers()
    try:
        # Twice the time: its library may look again where it was led elsewhere.
        answered(lambda: HfApi(endpoint=endpoint).model_info(name, timeout=seconds), seconds=2 * seconds)
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"no model {name}", got="neither a folder here nor on the hub", remedy="Check the name and your access."
        ) from error
    except HfHubHTTPError:
        return  # a mirror without this question; loading decides
    except Exception as error:  # which classes these are depends on the hub client's HTTP library
        raise ModelError(
            f"no model {name}",
            got=f"no such folder, nothing in the local cache, and no answer from the hub ({first_line(error)})",
            remedy="Check the path, or the network.",
        ) from error
