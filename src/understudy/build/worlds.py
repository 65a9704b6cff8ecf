"""The worlds that recipes name: what makes one for an attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

from understudy.build import offices, retrievers, shops
from understudy.environments import alfworld, household, search_qa, shop, tiny_office
from understudy.environments.agents import Agent, Manner, cut_to
from understudy.environments.apart import SECONDS, Apart
from understudy.environments.toy import RememberDigit
from understudy.errors import RecipeError
from understudy.objectives.objective import Objective
from understudy.protocols import Environment
from understudy.recipe import EnvironmentConfig, Source
from understudy.tasks.retrieval import Retriever

EnvironmentFactory = Callable[[], Environment]
"""Makes the world of one attempt."""


def world_of(config: EnvironmentConfig) -> EnvironmentFactory | None:
    """Makes the world of one attempt; None for a single turn, which the task's verifier judges.

    Raises:
        RecipeError: the recipe does not say where it finds documents. UserMistakeError: the world's engine is missing.
        DataError: the world's data are missing or broken. ServerError: its server does not answer.
    """
    if config.kind == "webshop":
        return _shop(config)
    if config.kind == "search_qa":
        return _search_qa(config)
    if config.kind == "household":
        return _household(config)
    if config.kind == "office":
        return offices.office_factory(config)
    if config.kind == "workbench":
        return offices.workbench_factory(config)
    if config.kind == "alfworld":
        return _alfworld(config)
    if config.kind == "own":
        return _own(config)
    if config.kind == "tiny_office":
        return _tiny_office_agent
    return partial(RememberDigit, config.style or "fresh") if config.kind == "remember_digit" else None


def _shop(config: EnvironmentConfig) -> EnvironmentFactory:
    catalogue = config.catalogue or shops.CATALOGUE
    size: Literal["full", "tiny"] = "tiny" if catalogue == shops.TINY else "full"
    return shops.shop_factory(
        catalogue, shop.manner(size, history=config.history, cut=cut_to(config.max_observation_tokens))
    )


def _search_qa(config: EnvironmentConfig) -> EnvironmentFactory:
    size: Literal["full", "tiny"] = "tiny" if config.corpus == retrievers.TINY else "full"
    manner = search_qa.manner(size, history=config.history, cut=cut_to(config.max_observation_tokens))
    return partial(_search_agent, retrievers.retriever_of(config), manner)


def _search_agent(retriever: Retriever, manner: Manner) -> Agent:
    return Agent(search_qa.SearchQA(retriever), manner)


def _household(config: EnvironmentConfig) -> EnvironmentFactory:
    manner = household.manner(
        config.size or "full",
        style=config.style,
        history=config.history,
        cut=cut_to(config.max_observation_tokens),
    )
    return partial(_household_agent, manner)


def _household_agent(manner: Manner) -> Agent:
    return Agent(household.Household(), manner)


def _own(config: EnvironmentConfig) -> EnvironmentFactory:
    assert config.factory is not None, "the recipe has checked it"
    apart = Apart(config.factory, seconds=config.seconds or SECONDS)
    apart.check()
    return apart


def _alfworld(config: EnvironmentConfig) -> EnvironmentFactory:
    engines = alfworld.Engines(config.python)
    engines.check()
    manner = household.manner(history=config.history, cut=cut_to(config.max_observation_tokens))
    return partial(_alfworld_agent, engines, manner)


def _alfworld_agent(engines: alfworld.Engines, manner: Manner) -> Agent:
    return Agent(alfworld.Alfworld(engines), manner)


def _tiny_office_agent() -> Agent:
    return Agent(tiny_office.TinyOffice(), tiny_office.office_manner())


def check_groups(method: str, objective: Objective, *, num_generations: int) -> None:
    """Refuse a method that compares the rewards of a group where each group is one rollout: they would teach nothing.

    Raises:
        RecipeError: it learns from the reward, and every problem is attempted once.
    """
    if "reward" in objective.needs.graded and num_generations < 2:
        raise RecipeError(
            f"method {method!r} compares the rewards of a problem's attempts, and a single one has none beside it",
            got=f"rollout.num_generations: {num_generations}",
            expected="2 or more",
            remedy="Raise it, for instance to 8, or choose a method without rewards, such as opd (mopd: alpha: 0).",
        )


def check_graded(
    method: str, objective: Objective, sources: Iterable[Source], *, world: EnvironmentFactory | None
) -> None:
    """Refuse a method that learns from rewards where nothing gives any.

    Args:
        world: of the run; None for a single turn, judged by the verifiers of the ``sources``.
    Raises:
        RecipeError: it needs a reward, or to know what is correct, and no data set has a verifier.
    """
    wanted = objective.needs.graded
    if wanted and world is None and all(source.verifier.kind == "none" for source in sources):
        raise RecipeError(
            f"method {method!r} needs {' and '.join(sorted(wanted))}, and nothing grades the data",
            expected="a verifier",
            remedy="Give data a verifier (exact, numeric, math, ...), or choose a method without rewards, such as opd.",
        )
