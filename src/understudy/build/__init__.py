"""From a recipe to the objects of a run: the only place where configuration becomes things."""

from understudy.build.assembly import Assembly, assemble
from understudy.build.curriculum import Own
from understudy.build.data import EnvironmentFactory, exam_of, tasks_of
from understudy.build.models import Building, examinee_of, model_named, sampler_of
from understudy.build.suites import suite_named, suites_of
from understudy.build.writers import Keeping

__all__ = [
    "Assembly",
    "Building",
    "EnvironmentFactory",
    "Keeping",
    "Own",
    "assemble",
    "exam_of",
    "examinee_of",
    "model_named",
    "sampler_of",
    "suite_named",
    "suites_of",
    "tasks_of",
]
