"""The shop: a student searches, clicks and buys, by WebShop's specification."""

from understudy.environments.shop.catalogue import Product, products_of
from understudy.environments.shop.expert import expert_actions
from understudy.environments.shop.goals import Goal, goal_of, goal_tasks, task_of
from understudy.environments.shop.manners import manner
from understudy.environments.shop.published import Published, read_published, write_published
from understudy.environments.shop.reward import Purchase, purchase
from understudy.environments.shop.shelf import Shelf
from understudy.environments.shop.synthetic import synthetic_catalogue
from understudy.environments.shop.tiny import tiny_expert, tiny_shelf, tiny_shop, tiny_shop_tasks, tiny_vocabulary
from understudy.environments.shop.words import full_words, spoken, tiny_reply, tiny_words
from understudy.environments.shop.world import Shop

__all__ = [
    "Goal",
    "Product",
    "Published",
    "Purchase",
    "Shelf",
    "Shop",
    "expert_actions",
    "full_words",
    "goal_of",
    "goal_tasks",
    "manner",
    "products_of",
    "purchase",
    "read_published",
    "spoken",
    "synthetic_catalogue",
    "task_of",
    "tiny_expert",
    "tiny_reply",
    "tiny_shelf",
    "tiny_shop",
    "tiny_shop_tasks",
    "tiny_vocabulary",
    "tiny_words",
    "write_published",
]
