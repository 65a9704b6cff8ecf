"""What a run trains on: the tasks of one data set or a mixture, each with its own verifier and gold completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from understudy.build.data import EnvironmentFactory, load_problems
from understudy.build.suites import suites_of
from understudy.environments.single_turn import SingleTurn
from understudy.errors import RecipeError
from understudy.evaluation.benchmarks import benchmarks
from understudy.protocols import Task
from understudy.recipe import Part, Recipe, Source
from understudy.tasks import Loaded, data_fingerprint, domain_of, gold_completion, teacher_text, verifier_from
from understudy.testbed import is_testbed
from understudy.training.order import Order, mixture, one_set, quotas_of


@dataclass(frozen=True)
class Lessons:
    """The training set of a run.

    Args:
        tasks: of all data sets, one set after the other. order: of each epoch. sources: the data sets by name; a
            task's ``domain`` is the name of its own where there are several.
        record: content of ``data.json``. notices: what the user should know of the data.
    """

    tasks: Sequence[Task]
    order: Order
    sources: Mapping[str, Source]
    record: Mapping[str, object]
    notices: Sequence[str]

    def source_of(self, task: Task) -> Source:
        """The data set a task comes from."""
        return self.sources[task.domain] if len(self.sources) > 1 else next(iter(self.sources.values()))

    def gold_completion(self, task: Task) -> str:
        """What the data says a student should have said; raises DataError where it says nothing."""
        return gold_completion(self.source_of(task), task)

    def teacher_text(self, task: Task) -> str:
        """What the data says a teacher wrote; raises DataError where it says nothing."""
        return teacher_text(self.source_of(task), task)

    def environment(self) -> EnvironmentFactory:
        """Makes the world of one attempt: one turn, judged as the task's data set is."""
        by_domain = {name: verifier_from(source.verifier, source.gold_column) for name, source in self.sources.items()}
        if len(by_domain) > 1:
            return partial(SingleTurn, by_domain=by_domain)
        return partial(SingleTurn, next(iter(by_domain.values())))


def lessons_of(recipe: Recipe) -> Lessons:
    """Read the recipe's training data.

    Raises:
        UserMistakeError: a data set is missing, broken, or lacks a column; two parts of a mixture have one name.
    """
    parts = recipe.data.parts
    names = [domain_of(part) for part in parts]
    _refuse_doubles(names)
    prints = [_fingerprint(part) for part in parts]  # before they are read: a later change shows at resume
    loaded = [load_problems(part) for part in parts]
    counts = [len(one.tasks) for one in loaded]
    weights = [part.weight if isinstance(part, Part) else 1.0 for part in parts]
    quotas = quotas_of(counts, weights) if len(parts) > 1 else counts
    training = [
        {**_described(*one), "name": name, "weight": weight, "rows_per_epoch": quota}
        for *one, name, weight, quota in zip(parts, prints, loaded, names, weights, quotas, strict=True)
    ]
    return Lessons(
        tasks=_tasks_of(loaded, names),
        order=_order_of(recipe, counts, weights),
        sources=dict(zip(names, parts, strict=True)),
        record={"training": training, "suites": _suites(recipe)},
        notices=_notices(names, loaded, quotas),
    )


def _tasks_of(loaded: Sequence[Loaded], names: Sequence[str]) -> list[Task]:
    if len(loaded) == 1:
        return loaded[0].tasks
    return [replace(task, domain=name) for one, name in zip(loaded, names, strict=True) for task in one.tasks]


def _order_of(recipe: Recipe, counts: Sequence[int], weights: Sequence[float]) -> Order:
    seed, shuffle = recipe.seed, recipe.data.shuffle
    if len(counts) == 1:
        return one_set(counts[0], seed=seed, shuffle=shuffle)
    return mixture(counts, weights, seed=seed, shuffle=shuffle)


def _refuse_doubles(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(
                f"two data sets of data.mixture are called {name!r}", remedy="Give each a name of its own: name: ..."
            )


def _fingerprint(source: Source) -> str:
    return source.dataset if is_testbed(source.dataset) else data_fingerprint(source)


def _described(source: Source, fingerprint: str, loaded: Loaded) -> dict[str, object]:
    return {
        "dataset": source.dataset,
        "fingerprint": fingerprint,
        **_licence(source),
        "rows": loaded.num_rows,
        "kept": len(loaded.tasks),
        "dropped": dict(loaded.dropped),
    }


def _licence(source: Source) -> dict[str, str]:
    """Under ``licence``, where it is known: data made by the testbed, and what the named suites are made of."""
    if is_testbed(source.dataset):
        return {"licence": "Apache-2.0"}
    known = {named.suite.dataset: named.licence for named in benchmarks().values()}
    return {"licence": known[source.dataset]} if source.dataset in known else {}


def _suites(recipe: Recipe) -> list[dict[str, object]]:
    return [
        {"name": suite.name, "dataset": suite.dataset, "fingerprint": _fingerprint(suite), **_licence(suite)}
        for suite in suites_of(recipe)
    ]


def _notices(names: Sequence[str], loaded: Sequence[Loaded], quotas: Sequence[int]) -> list[str]:
    """A line for each data set that was not simply taken whole."""
    lines = []
    for name, one, quota in zip(names, loaded, quotas, strict=True):
        parts = [f"{len(one.tasks):,} of {one.num_rows:,} rows kept"] if one.dropped else []
        parts += [f"{count:,} left out {reason}" for reason, count in one.dropped.items()]
        if len(names) > 1:
            parts = parts or [f"{len(one.tasks):,} rows"]
            parts.append(f"{quota:,} prompts an epoch, {100 * quota / sum(quotas):.1f} %")
        if parts:
            lines.append(f"Data {name}: {', '.join(parts)}.")
    return lines
