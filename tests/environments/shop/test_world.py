"""Walking through the shop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance.environment import NONSENSE, EnvironmentSubject, EnvironmentSuite, walk
from understudy.environments.agents import TALLY, Agent, Manner, Scene, Tally, tagged
from understudy.environments.shop import (
    Goal,
    Product,
    Shelf,
    Shop,
    expert_actions,
    full_words,
    products_of,
    spoken,
    task_of,
    tiny_expert,
    tiny_reply,
    tiny_shop,
    tiny_shop_tasks,
    tiny_words,
)
from understudy.errors import DataError
from understudy.protocols import Task

MUGS = [
    Product(
        asin=f"b{number:02d}",
        name=f"Mug {number}",
        description="holds tea",
        features=("dishwasher safe",),
        query="mug",
        product_category="kitchen › mugs",
        prices=(5.0 + number,),
        options={"color": ("red", "dark blue")},
        attributes=("dishwasher safe",),
    )
    for number in range(60)
]
SHELF = Shelf.of([*MUGS, Product("lamp", "desk lamp", query="lamp", prices=(1.5, 2.0))])
GOAL = Goal("b03", "a mug", "Mug 3", "mug", "kitchen › mugs", ("dishwasher safe",), {"color": "dark blue"}, 10.0)
TASK = task_of(GOAL, problem="mug")


def walked(*actions: str, shop: Shop | None = None) -> list[Scene]:
    shop = shop or Shop(SHELF)
    return [shop.reset(TASK, 0), *(shop.step(action) for action in actions)]


def test_pages_by_hand() -> None:
    start, results, item, chosen, features, back = walked(
        "search[mug]", "click[b03]", "click[dark blue]", "click[features]", "click[< prev]"
    )
    assert (start.observation, start.admissible, start.goal) == ("'Search'", ("search[<your query>]",), "a mug")
    assert results.observation.startswith(
        "'Back to Search' [SEP] 'Page 1 (Total results: 50)' [SEP] 'Next >' [SEP] 'b00' [SEP] 'Mug 0' [SEP] '$5.0'"
    )
    assert results.admissible[:4] == ("click[back to search]", "click[next >]", "click[b00]", "click[b01]")
    assert len(results.admissible) == 12
    assert item.observation == (
        "'Back to Search' [SEP] '< Prev' [SEP] 'color' [SEP] 'red' [SEP] 'dark blue' [SEP] 'Mug 3' [SEP] "
        "'Price: $8.0' [SEP] 'Rating: N.A.' [SEP] 'Description' [SEP] 'Features' [SEP] 'Reviews' [SEP] 'Attributes' "
        "[SEP] 'Buy Now'"
    )
    assert "click[dark blue]" in item.admissible and chosen == back
    assert features.observation == "'Back to Search' [SEP] '< Prev' [SEP] 'dishwasher safe'"
    assert features.admissible == ("click[back to search]", "click[< prev]")


def test_a_purchase_ends_the_episode_and_tells_its_score() -> None:
    *_, last = walked("search[mug 3]", "click[b03]", "click[dark blue]", "click[buy now]")
    assert (last.done, last.won, last.reward, last.info["score"]) == (True, True, 10.0, 1.0)
    *_, last = walked("search[mug 3]", "click[b03]", "click[red]", "click[buy now]")
    assert (last.done, last.won, last.reward) == (True, False, 0.0)
    assert last.info["score"] == pytest.approx(2 / 3) and last.info["options"] == 0


def test_options_chosen_last_count_and_are_kept_on_detail_pages_only() -> None:
    *_, last = walked(
        "search[mug 3]",
        "click[b03]",
        "click[red]",
        "click[dark blue]",
        "click[attributes]",
        "click[< prev]",
        "click[buy now]",
    )
    assert last.won
    *_, last = walked(
        "search[mug 3]", "click[b03]", "click[dark blue]", "click[< prev]", "click[b03]", "click[buy now]"
    )
    assert last.info["options"] == 0


def test_fifty_results_stand_on_five_pages() -> None:
    scenes = walked("search[mug]", *["click[next >]"] * 4)
    assert "click[next >]" not in scenes[-1].admissible and "'Page 5 (Total results: 50)'" in scenes[-1].observation
    shown = {
        action
        for scene in scenes[1:]
        for action in scene.admissible
        if action.startswith("click[b") and "back" not in action
    }
    assert len(shown) == 50
    shop = Shop(SHELF)
    fourth = walked("search[mug]", *["click[next >]"] * 3, shop=shop)[-1]
    assert shop.step("click[next >]") != fourth and shop.step("click[< prev]") == fourth
    opened = fourth.admissible[-1]
    shop.step(opened)
    assert shop.step("click[< prev]") == fourth


@pytest.mark.parametrize(
    "action",
    ["click[b59]", "click[buy now]", "search[lamp]", "search[]", "buy", "click[]", "", "click[b00", "[b00]", "CLICK"],
)
def test_an_action_that_is_not_on_the_page_changes_nothing(action) -> None:
    shop = Shop(SHELF)
    before = walked("search[mug]", shop=shop)[-1]
    assert shop.step(action) == before


def test_a_search_without_results_can_be_left() -> None:
    scenes = walked("search[unicorn]", "click[back to search]")
    assert "Total results: 0" in scenes[1].observation and scenes[2].observation == "'Search'"


def test_an_option_with_blanks_around_its_slash_can_be_chosen() -> None:
    row = {"asin": "B1", "name": "lamp", "query": "lamp", "category": "home", "product_category": "home › lamps"}
    rows = [{**row, "customization_options": {"color": [{"value": "red / blue"}, {"value": "green/white"}]}}]
    goal = Goal("b1", "a lamp", "lamp", "lamp", "home › lamps", ("lamp",), {"color": "red / blue"})
    shop = Shop(Shelf.of(products_of(rows, {})))
    shop.reset(task_of(goal, problem="lamp"), 0)
    assert shop.step("search[lamp]").admissible and "click[red | blue]" in shop.step("click[b1]").admissible
    shop.step("click[red | blue]")
    assert shop.step("click[buy now]").reward == 10.0


def test_upper_case_and_spaces_do_not_matter() -> None:
    assert walked("search[mug]", "click[  Back   to Search ]")[-1].observation == "'Search'"


def test_a_price_range_is_paid_somewhere_within() -> None:
    task = task_of(
        replace(GOAL, asin="lamp", name="desk lamp", attributes=("desk",), options={}, price_upper=2.0), problem="l"
    )
    shop = Shop(SHELF)
    assert expert_actions(shop, task) == ["search[desk lamp]", "click[lamp]", "click[buy now]"]
    shop.reset(task, 0)
    assert "'$1.5 to $2.0'" in shop.step("search[lamp]").observation


def test_the_agent_is_told_all_of_it() -> None:
    agent = Agent(Shop(SHELF), Manner(words=full_words, read=tagged, history=1))
    act = "<think>.</think><action>{}</action>".format
    seen = [
        agent.reset(TASK, 0),
        agent.step(act("search[Mug 3]")),
        agent.step(act("click[b03]")),
        agent.step(act("fly")),
    ]
    first, second, third = (str(one.prompt[0]["content"]) for one in seen[:3])  # type: ignore[index]
    assert "What they want: a mug" in first and "'search[<your query>]'" in first and "Observation" not in first
    assert "You have taken 1 step(s)" in second and "[Observation 1: ''Search'', Action 1: 'search[mug 3]']" in second
    assert (
        "[Observation 2: ''Back to Search'" in third and "[Observation 1" not in third and "'click[buy now]'" in third
    )
    tally = seen[-1].info[TALLY]
    assert isinstance(tally, Tally) and (tally.inadmissible, tally.malformed) == (1, 0) and seen[-1].reward == -0.1


@pytest.mark.parametrize(
    "goal", [None, "a mug", {}, {"asin": "b03"}, {**vars(GOAL), "colour": 1}, {**vars(GOAL), "price_upper": "cheap"}]
)
def test_a_task_without_a_whole_goal_is_the_users_mistake(goal) -> None:
    with pytest.raises(DataError, match="problem p has no 'goal' that can be used"):
        Shop(SHELF).reset(Task("p", "", {"goal": goal}), 0)


class TestTheTinyShop(EnvironmentSuite):
    """The law of environments; turns that an episode may have are the player's to count."""

    @pytest.fixture
    def subject(self) -> EnvironmentSubject:
        manner = Manner(words=tiny_words, read=tiny_reply, history=0)
        return EnvironmentSubject(
            make=lambda: Agent(tiny_shop(), manner),
            tasks=tiny_shop_tasks("eval", 4, seed=3),
            solution=lambda task: [spoken(action) for action in tiny_expert(task)],
        )

    @pytest.mark.parametrize("action", NONSENSE)
    def test_nonsense_is_answered_not_raised(self, subject: EnvironmentSubject, action: str) -> None:
        seen = walk(subject.make(), subject.tasks[0], [action] * 15)
        assert seen[-1].correct is False and sum(one.reward for one in seen) == pytest.approx(-1.5)
