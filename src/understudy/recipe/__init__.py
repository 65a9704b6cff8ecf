"""The recipe of a run: frozen records read from YAML, checked before anything else happens."""

from understudy.recipe.data import Data, Part, Source, Suite
from understudy.recipe.loading import differences, load_recipe, load_suite, recipe_from, to_yaml
from understudy.recipe.models import Lora, Reference, Student, Teacher
from understudy.recipe.recipe import ObjectiveConfig, Recipe
from understudy.recipe.run import Checkpoint, Engine, Evaluation, Optimizer, RolloutConfig
from understudy.recipe.verifier import Verifier

__all__ = [
    "Checkpoint",
    "Data",
    "Engine",
    "Evaluation",
    "Lora",
    "ObjectiveConfig",
    "Optimizer",
    "Part",
    "Recipe",
    "Reference",
    "RolloutConfig",
    "Source",
    "Student",
    "Suite",
    "Teacher",
    "Verifier",
    "differences",
    "load_recipe",
    "load_suite",
    "recipe_from",
    "to_yaml",
]
