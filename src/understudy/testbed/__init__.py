"""The embedded default: tiny models, a tokenizer and a task that show a real effect on two cores."""

from understudy.testbed.cache import home
from understudy.testbed.catalogue import (
    DATASET,
    STUDENT_NAME,
    TEACHER_NAME,
    data,
    is_testbed,
    model_config,
    resolve_model,
    resolve_models,
    suite_named,
    suites,
    tasks,
)

__all__ = [
    "DATASET",
    "STUDENT_NAME",
    "TEACHER_NAME",
    "data",
    "home",
    "is_testbed",
    "model_config",
    "resolve_model",
    "resolve_models",
    "suite_named",
    "suites",
    "tasks",
]
