"""The embedded default: tiny models, a tokenizer and a task that show a real effect on two cores."""

from understudy.home import home
from understudy.testbed.catalogue import data, is_testbed, known_suites, suite_named, suites
from understudy.testbed.datasets import DATASET, dataset_named, tasks
from understudy.testbed.roster import STUDENT_NAME, TEACHER_NAME
from understudy.testbed.workshop import model_config, resolve_model, resolve_models

__all__ = [
    "DATASET",
    "STUDENT_NAME",
    "TEACHER_NAME",
    "data",
    "dataset_named",
    "home",
    "is_testbed",
    "known_suites",
    "model_config",
    "resolve_model",
    "resolve_models",
    "suite_named",
    "suites",
    "tasks",
]
