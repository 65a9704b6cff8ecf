"""What the Tab key offers beyond commands and options: recipes and their fields, runs, models, suites, methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from understudy.shipped import shipped_recipes

Completer = Callable[[str], list[str]]
"""From the beginning of a word to what it may become."""

_YAML = (".yaml", ".yml")
_RUN = ("metrics.jsonl", "recipe.yaml")
_MODEL = ("config.json", "adapter_config.json")


def recipe_files(incomplete: str) -> list[str]:
    """YAML files, and folders to look into, that begin so.

    >>> recipe_files("no such folder/")
    []
    """
    return _paths(incomplete, is_wanted=lambda each: each.suffix in _YAML)


def shipped(incomplete: str) -> list[str]:
    """Names of the recipes that come with the package."""
    return [name for name in shipped_recipes() if name.startswith(incomplete)]


def recipes(incomplete: str) -> list[str]:
    """What is trained by: YAML files, folders to look into, and the package's own recipes once a word is begun."""
    return [*recipe_files(incomplete), *(shipped(incomplete) if incomplete else [])]


def run_folders(incomplete: str) -> list[str]:
    """Folders of runs, and folders to look into, that begin so."""
    return _paths(incomplete, is_wanted=_is_run)


def results(incomplete: str) -> list[str]:
    """What ``compare`` reads: files of results, runs, and folders to look into."""
    return _paths(incomplete, is_wanted=lambda each: each.suffix in (".json", ".jsonl") or _is_run(each))


def models(incomplete: str) -> list[str]:
    """Folders of models and adapters, folders to look into, and the testbed's models."""
    return _models(incomplete, is_wanted=_is_model)


def speakers(incomplete: str) -> list[str]:
    """What ``sample`` asks: runs, checkpoints, and all that ``models`` has."""
    return _models(
        incomplete, is_wanted=lambda each: _is_model(each) or _is_run(each) or (each / "trainer.json").is_file()
    )


def questions(incomplete: str) -> list[str]:
    """What ``sample --data`` reads: named suites, and files of recipes, suites and rows."""
    kinds = (*_YAML, ".jsonl", ".json", ".csv", ".parquet", ".gz")
    files = _paths(incomplete, is_wanted=lambda each: each.suffix in kinds)
    return list(dict.fromkeys([*suites(incomplete), *files]))


def suites(incomplete: str) -> list[str]:
    """Named suites, the testbed's behind ``testbed/``, YAML files, and folders to look into."""
    if incomplete.startswith("testbed/"):
        from understudy.testbed import known_suites

        return [f"testbed/{name}" for name in known_suites() if f"testbed/{name}".startswith(incomplete)]
    catalogue = resources.files("understudy").joinpath("evaluation", "catalogue")
    named = sorted(file.name.removesuffix(".yaml") for file in catalogue.iterdir() if file.name.endswith(".yaml"))
    return [*(name for name in [*named, "testbed/"] if name.startswith(incomplete)), *recipe_files(incomplete)]


def fields(incomplete: str) -> list[str]:
    """``key.sub=`` of a recipe that begin so, and the names of methods after ``objective.method=``.

    >>> fields("rollout.num")
    ['rollout.num_generations=']
    >>> fields("objective.method=gk")
    ['objective.method=gkd']
    """
    if incomplete.startswith("objective.method="):
        from understudy.objectives.methods import entries

        offered: Iterator[str] = (f"objective.method={entry.name}" for entry in entries())
    else:
        offered = _keys()
    return [each for each in offered if each.startswith(incomplete)]


def sections(incomplete: str) -> list[str]:
    """Sections of a recipe that begin so.

    >>> sections("rollout.s")
    ['rollout.server', 'rollout.sampler']
    """
    from understudy.recipe.sections import sections as known

    return list(dict.fromkeys(one.path for one in known() if one.path and one.path.startswith(incomplete)))


def methods(incomplete: str) -> list[str]:
    """Names of methods that begin so."""
    from understudy.objectives.methods import entries

    return [entry.name for entry in entries() if entry.name.startswith(incomplete)]


def among(*choices: str) -> Completer:
    """A completer of one word out of a few.

    >>> among("zero", "drop")("z")
    ['zero']
    """
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]


def listed(each: Completer) -> Completer:
    """A completer of several words with commas between them, from that of one.

    >>> listed(among("opd", "gkd"))("opd,g")
    ['opd,gkd']
    """

    def complete(incomplete: str) -> list[str]:
        done, comma, begun = incomplete.rpartition(",")
        return [f"{done}{comma}{word}" for word in each(begun)]

    return complete


def _models(incomplete: str, *, is_wanted: Callable[[Path], bool]) -> list[str]:
    if incomplete.startswith("testbed/"):
        from understudy.testbed.roster import MODELS

        return [name for name in MODELS if name.startswith(incomplete)]
    return [*_paths(incomplete, is_wanted=is_wanted), *(["testbed/"] if "testbed/".startswith(incomplete) else [])]


def _is_model(path: Path) -> bool:
    return any((path / name).is_file() for name in _MODEL)


def _is_run(path: Path) -> bool:
    return all((path / name).is_file() for name in _RUN)


def _paths(incomplete: str, *, is_wanted: Callable[[Path], bool]) -> list[str]:
    """What is wanted, and other folders with a slash behind them; hidden ones are left out."""
    folder, _, name = incomplete.rpartition("/")
    place = Path(folder or ("/" if incomplete.startswith("/") else "."))
    prefix = f"{folder}/" if "/" in incomplete else ""
    try:
        found = sorted(each for each in place.iterdir() if each.name.startswith(name) and not each.name.startswith("."))
    except OSError:
        return []
    offered = ((each, is_wanted(each)) for each in found)
    return [f"{prefix}{each.name}{'' if wanted else '/'}" for each, wanted in offered if wanted or each.is_dir()]


def _keys() -> Iterator[str]:
    """The fields of a recipe's own sections; those with choices of sections are left at their first name."""
    from pydantic import BaseModel

    from understudy.recipe import Recipe

    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from (f"{name}.{key}=" for key in section.model_fields)
        elif name == "objective":
            yield "objective.method="
        else:
            yield f"{name}="
