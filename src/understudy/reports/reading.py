"""A run's folder as records: whatever is there is read, whatever is missing or broken is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import RecipeError, RunDirectoryError
from understudy.recipe.yaml_text import parse_yaml
from understudy.reports.figures import as_mapping, as_number, count
from understudy.reports.secrets import values_without_secrets, without_secrets

Line = Mapping[str, float | None]
"""A step's figures; None where one was not finite."""


@dataclass(frozen=True)
class RunRecord:
    """What a run left behind.

    Args:
        path: its folder. recipe, environment: empty where they cannot be read.
        recipe_text: as it was written, without secrets.
        metrics: one line a step, ascending. evaluations: one line an evaluation, ascending.
        summary: None before the run's end. notes: what could not be read, each a sentence.
        data: content of ``data.json``; empty where a run has none. ending: of ``ending.json``, with ``state`` and
            ``why``; empty of a run that goes on, was killed, or came to its end.
    """

    path: Path
    recipe: Mapping[str, object]
    recipe_text: str
    environment: Mapping[str, object]
    metrics: tuple[Line, ...]
    evaluations: tuple[Line, ...]
    summary: Mapping[str, object] | None
    notes: tuple[str, ...]
    data: Mapping[str, object] = field(default_factory=dict)
    ending: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The run's own name, else its folder's."""
        named = (self.summary or {}).get("name") or self.recipe.get("name")
        return str(named or self.path.resolve().name)

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of all models in the recipe's section ``teacher``, whether it is one, a route or a mixture."""
        return tuple(dict.fromkeys(_models_in(self.setting("teacher"))))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets that are trained on."""
        data = as_mapping(self.setting("data"))
        mixture = data.get("mixture")
        names = [as_mapping(part).get("dataset") for part in (data, *(mixture if isinstance(mixture, list) else ()))]
        return tuple(dict.fromkeys(str(name) for name in names if name))

    def lower_is_better(self, suite: str) -> bool:
        """Of a suite's score: the summary says so at the run's end, and the suite's kind before."""
        told = as_mapping(as_mapping((self.summary or {}).get("suites")).get(suite)).get("better")
        listed = self.setting("evaluation", "suites")
        suites = map(as_mapping, listed if isinstance(listed, list) else ())
        kinds = {one.get("kind") for one in suites if one.get("name") == suite}
        return told == "lower" or bool(kinds & {"reverse_kl", "nll"})

    def setting(self, *keys: str) -> object:
        """A field of the recipe, such as ``setting("student", "model")``; None where it has none."""
        value: object = self.recipe
        for key in keys:
            value = as_mapping(value).get(key)
        return value


def read_run(path: Path, *, most_steps: int | None = None) -> RunRecord:
    """Read a run's folder, rollouts and checkpoints aside.

    Args:
        most_steps: of the metrics only so many lines are read, evenly apart, the last among them; None reads all.
    Raises:
        RunDirectoryError: there is no folder, or nothing of a run in it.
    """
    if not path.is_dir() or not any((path / name).is_file() for name in ("recipe.yaml", "metrics.jsonl")):
        raise RunDirectoryError(
            f"{path} is no run",
            got=None if path.is_dir() else ("a file" if path.exists() else "nothing there"),
            expected="a folder with recipe.yaml and metrics.jsonl, as `understudy train` makes it",
        )
    notes: list[str] = []
    recipe_text = without_secrets(_text(path / "recipe.yaml", notes))
    summary = _json(path / "summary.json", notes) if (path / "summary.json").exists() else None
    return RunRecord(
        path=path,
        recipe=_yaml(recipe_text, notes),
        recipe_text=recipe_text,
        environment=as_mapping(values_without_secrets(_json(path / "environment.json", notes))),
        metrics=_lines(path / "metrics.jsonl", notes, most=most_steps),
        evaluations=_lines(path / "evaluation" / "figures.jsonl", notes, needed=False),
        summary=summary,
        notes=tuple(notes),
        data=_json(path / "data.json", notes) if (path / "data.json").exists() else {},
        ending=as_mapping(values_without_secrets(_json(path / "ending.json", notes)))
        if (path / "ending.json").exists()
        else {},
    )


def _models_in(section: object) -> Iterator[str]:
    inner = list(section) if isinstance(section, list) else list(as_mapping(section).values())
    name = as_mapping(section).get("model")
    if isinstance(name, str):
        yield name
    for part in inner:
        yield from _models_in(part)


def _text(path: Path, notes: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        notes.append(f"{path.name} is missing or cannot be read.")
        return ""


def _yaml(text: str, notes: list[str]) -> Mapping[str, object]:
    try:
        content = parse_yaml(text, source="recipe.yaml")
    except RecipeError:
        content = None
    if text and not isinstance(content, Mapping):
        notes.append("recipe.yaml is not readable as YAML fields.")
    return as_mapping(content)


def _json(path: Path, notes: list[str]) -> Mapping[str, object]:
    text = _text(path, notes)
    try:
        content = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, Mapping):
        notes.append(f"{path.name} is not readable as JSON.")
    return as_mapping(content)


def _lines(path: Path, notes: list[str], *, needed: bool = True, most: int | None = None) -> tuple[Line, ...]:
    """Lines by step; where a step stands twice (two sessions), the later line counts."""
    if not path.exists() and not needed:
        return ()
    texts = _text(path, notes).splitlines() if most is None else _thinned(path, notes, most)
    read = [line_of(text) for text in texts if text.strip()]
    by_step = {line["step"]: line for line in read if line is not None}
    unreadable = read.count(None)
    if unreadable:
        notes.append(f"{count(unreadable, 'line')} of {path.name} cannot be read (cut short?) and is left out.")
    return tuple(by_step[step] for step in sorted(by_step, key=float))  # type: ignore[arg-type]


def _thinned(path: Path, notes: list[str], most: int) -> list[str]:
    """At most so many lines, evenly apart, the last among them; the file is never held as a whole."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            total = sum(1 for _ in file)
        apart = max(1, -(-total // most))
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line for number, line in enumerate(file, start=1) if (total - number) % apart == 0]
    except OSError:
        notes.append(f"{path.name} is missing or cannot be read.")
        return []


def line_of(text: str) -> Line | None:
    """A line of figures; None where it cannot be read."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or as_number(content.get("step")) is None:
        return None
    return {name: as_number(value) for name, value in content.items()}
