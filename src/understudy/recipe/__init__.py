"""The recipe of a run: frozen records read from YAML, checked before anything else happens."""

from understudy.recipe.data import Data, Lesson, Part, Source, Suite
from understudy.recipe.engines import ClusterEngine, Engine, LocalEngine, TinkerEngine
from understudy.recipe.environment import EnvironmentConfig
from understudy.recipe.loading import differences, load_recipe, load_suite, recipe_from, to_yaml
from understudy.recipe.models import Lora, Reference, Student
from understudy.recipe.options import Options
from understudy.recipe.overlap import Overlap
from understudy.recipe.recipe import ObjectiveConfig, Recipe
from understudy.recipe.run import Checkpoint, Evaluation, Optimizer, RolloutConfig
from understudy.recipe.servers import SamplingServer, ServedModel
from understudy.recipe.stored_scores import StoredScores
from understudy.recipe.teachers import (
    AnyTeacher,
    MixedTeachers,
    RoutedTeachers,
    ServedTeacher,
    Teacher,
    View,
    views_of,
)
from understudy.recipe.verifier import Verifier

__all__ = [
    "AnyTeacher",
    "Checkpoint",
    "ClusterEngine",
    "Data",
    "Engine",
    "EnvironmentConfig",
    "Evaluation",
    "Lesson",
    "LocalEngine",
    "Lora",
    "MixedTeachers",
    "ObjectiveConfig",
    "Optimizer",
    "Options",
    "Overlap",
    "Part",
    "Recipe",
    "Reference",
    "RolloutConfig",
    "RoutedTeachers",
    "SamplingServer",
    "ServedModel",
    "ServedTeacher",
    "Source",
    "StoredScores",
    "Student",
    "Suite",
    "Teacher",
    "TinkerEngine",
    "Verifier",
    "View",
    "differences",
    "load_recipe",
    "load_suite",
    "recipe_from",
    "to_yaml",
    "views_of",
]
