"""Products and wishes in the published form."""

from __future__ import annotations

import json

import pytest

from understudy.environments.shop import (
    Product,
    Published,
    Shelf,
    Shop,
    expert_actions,
    goal_of,
    goal_tasks,
    products_of,
    read_published,
    synthetic_catalogue,
    write_published,
)
from understudy.environments.shop.goals import price_bound, price_of
from understudy.errors import DataError

ROW = {
    "asin": "B0ABC",
    "name": " Harth  Mug ",
    "small_description": ["Holds tea.", "Dishwasher safe."],
    "full_description": "A mug.",
    "category": "kitchen",
    "query": "Tea Mug ",
    "product_category": "Kitchen › Mugs",
    "pricing": "$1,004.50 to $1,010.00",
    "customization_options": {"Color": [{"value": "Red/White"}, {"value": "blue"}], "Size": None},
}
INS = {
    "B0ABC": {
        "attributes": ["dishwasher safe"],
        "instruction": "Find me a mug",
        "instruction_attributes": ["Dishwasher safe"],
    }
}
HUMAN = {
    "B0ABC": [{"instruction": "I want a mug.", "instruction_attributes": ["safe"], "instruction_options": ["blue"]}]
}


def test_a_row_becomes_a_product() -> None:
    (product,) = Published([ROW, ROW], INS, {}).products()
    assert product == Product(
        asin="b0abc",
        name="Harth Mug",
        description="A mug.",
        features=("Holds tea.", "Dishwasher safe."),
        query="tea mug",
        category="kitchen",
        product_category="Kitchen › Mugs",
        prices=(1004.5, 1010.0),
        options={"color": ("red | white", "blue")},
        attributes=("dishwasher safe",),
    )
    assert product.price_tag == "$1004.5 to $1010.0" and 1004.5 <= price_of(product) <= 1010.0


def test_made_goals_combine_the_options() -> None:
    published = Published([{**ROW, "pricing": "$21.00"}], INS, {})
    goals = published.goals(published.products())
    assert [goal.options for goal in goals] == [{"color": "red | white"}, {"color": "blue"}]
    assert goals[1].price_upper in (40.0, 50.0, 60.0)  # the larger of two of 30, 40, 50, 60
    assert (
        goals[1].instruction
        == f"Find me a mug with color: blue, and price lower than {goals[1].price_upper:.2f} dollars"
    )
    assert goals[1].attributes == ("dishwasher safe",)


def test_peoples_goals_come_first() -> None:
    published = Published([ROW], INS, {"B0ABC": [*HUMAN["B0ABC"], {"instruction": "x", "instruction_attributes": []}]})
    (goal,) = published.goals(published.products())
    assert (goal.instruction, goal.options, goal.price_upper) == ("I want a mug", {"0": "blue"}, None)


def test_bounds_are_the_larger_of_two() -> None:
    drawn = {price_bound(20.0, seed=0, number=number) for number in range(200)}
    assert drawn == {40.0, 50.0, 60.0}
    assert {price_bound(975.0, seed=0, number=n) for n in range(9)} == {990.0}
    assert price_bound(985.0, seed=0, number=0) is None


def test_the_split_is_a_partition() -> None:
    published = synthetic_catalogue(20)
    goals = published.goals(published.products())
    splits = [goal_tasks(goals, split, num_test=10, num_valid=5) for split in ("test", "valid", "train")]
    assert [len(split) for split in splits[:2]] == [10, 5]
    problems = [task.problem for split in splits for task in split]
    assert problems == [f"goal-{number}" for number in range(len(goals))]
    assert sorted(str(goal_of(task)) for split in splits for task in split) == sorted(map(str, goals))
    with pytest.raises(DataError, match="no goal for split 'train'"):
        goal_tasks(goals, "train", num_test=len(goals))


def test_the_expert_buys_every_synthetic_wish() -> None:
    published = synthetic_catalogue(400, seed=1)
    products = published.products()
    shop = Shop(Shelf.of(products))
    tasks = goal_tasks(published.goals(products), "test", num_test=200)
    assert len(tasks) == 200
    for task in tasks:
        actions, scene = expert_actions(shop, task), shop.reset(task, 0)
        for action in actions:
            assert scene.offers(action)
            scene = shop.step(action)
        assert scene.info["score"] == 1.0 and len(actions) <= 15, task


def test_a_catalogue_repeats_with_its_seed() -> None:
    assert synthetic_catalogue(30).rows == synthetic_catalogue(50).rows[:30] != synthetic_catalogue(30, seed=1).rows
    with pytest.raises(DataError):
        synthetic_catalogue(0)


def test_files_that_were_written_read_the_same(tmp_path) -> None:
    made = synthetic_catalogue(12)
    write_published(made, tmp_path)
    read = read_published(tmp_path)
    assert read.products() == made.products() and read.goals(read.products()) == made.goals(made.products())
    (tmp_path / "items_human_ins.json").write_text(json.dumps({made.rows[0]["asin"]: HUMAN["B0ABC"]}))
    assert [goal.instruction[:8] for goal in read_published(tmp_path).goals(made.products())] == ["I want a"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "product 1 of the catalogue has no 'name'"),
        ({"query": 3}, "no 'query'"),
        ({"customization_options": [1]}, "no 'customization_options'"),
        ({"customization_options": {"color": [{"image": 1}]}}, "an option without a value"),
        ({"customization_options": {"color": 5}}, "an option without a value"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(change, said) -> None:
    with pytest.raises(DataError, match=said):
        products_of([{**ROW, **change}], {})


def test_rows_that_are_no_products_are_left_out_and_none_left_is_said() -> None:
    assert len(products_of([ROW, {**ROW, "asin": "nan"}, {**ROW, "asin": "B0123456789X"}], {})) == 1
    for rows in ([], [{**ROW, "asin": "nan"}]):
        with pytest.raises(DataError, match="holds no product"):
            products_of(rows, {})


def test_missing_and_broken_files_are_said(tmp_path) -> None:
    with pytest.raises(DataError, match=r"has no items_shuffle.json; expected WebShop's published files"):
        read_published(tmp_path)
    (tmp_path / "items_shuffle.json").write_text("[")
    with pytest.raises(DataError, match="not valid JSON"):
        read_published(tmp_path)
    (tmp_path / "items_shuffle.json").write_text("{}")
    with pytest.raises(DataError, match="another form; got dict; expected a list"):
        read_published(tmp_path)


def test_a_wish_without_words_is_said() -> None:
    published = Published([ROW], INS, {"b0abc": [{"instruction_attributes": ["a"]}]})
    with pytest.raises(DataError, match="a wish of the catalogue cannot be used; got KeyError: 'instruction'"):
        published.goals(published.products())
