"""Every model of the testbed, by name: how it was schooled, or which expert it becomes by practice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from understudy.testbed.models import (
    GSM8K_STUDENT,
    GSM8K_TEACHER,
    REMEMBER_DIGIT_STUDENT,
    REMEMBER_DIGIT_TEACHER,
    STUDENT,
    TEACHER,
    Architecture,
    Schooling,
)
from understudy.testbed.practice import Practice

PREFIX = "testbed/"
TEACHER_NAME = "testbed/multiplication-teacher"
STUDENT_NAME = "testbed/multiplication-student"

TWO_TASKS_TEACHER = Schooling(Architecture(layers=4), foreign_share=0.0, steps=400, seed=1, subject="two-tasks")
TWO_TASKS_STUDENT = Schooling(
    Architecture(layers=2), foreign_share=0.75, foreign_from=360, steps=480, seed=2, subject="two-tasks"
)
"""Both know both tasks; only in multiplication has the student a habit that its teacher does not have."""

UNTIDY_BASE = Schooling(
    Architecture(layers=2), foreign_share=0.5, foreign_from=440, steps=520, seed=3, subject="two-tasks-untidy"
)
UNTIDY_LARGE = replace(UNTIDY_BASE, architecture=Architecture(layers=4), foreign_from=400, steps=480, seed=4)
"""They know both tasks, and spoil every second answer to either: room for reinforcement learning."""

WORDY_TEACHER = Schooling(
    Architecture(layers=4), foreign_share=0.0, steps=800, batch_size=32, seed=1, subject="wordy-two-tasks"
)
WORDY_STUDENT = replace(
    WORDY_TEACHER, architecture=Architecture(layers=2), foreign_share=0.9, foreign_from=560, steps=680, seed=2
)
"""The student is weaker than its teacher and tells nine solutions in ten in a longer manner of its own."""

PIECES_TEACHER = replace(TEACHER, subject="multiplication-pieces")
"""It knows what the teacher of multiplication knows, in a tokenizer of another family."""

TINY_WORLD_TEACHER = Schooling(Architecture(layers=3), foreign_share=0.0, steps=400, batch_size=64, seed=1)
TINY_WORLD_STUDENT = replace(
    TINY_WORLD_TEACHER, architecture=Architecture(layers=2), foreign_share=0.6, foreign_from=300, steps=360, seed=2
)
"""Agents of the tiny shop and the tiny questions: the student knows what to do, and has the habit of guessing."""

HOUSEHOLD_TEACHER = Schooling(
    Architecture(layers=2, width=96, head_width=24, mlp_width=288),
    foreign_share=0.0,
    steps=280,
    batch_size=48,
    learning_rate=4e-3,
    seed=1,
    subject="household-tiny",
)
HOUSEHOLD_WEAK_STUDENT = replace(
    HOUSEHOLD_TEACHER, steps=240, batch_size=32, foreign_share=0.5, foreign_from=210, seed=2
)
HOUSEHOLD_STUDENT = replace(HOUSEHOLD_TEACHER, steps=130, batch_size=32, seed=2)
"""Agents of the tiny house: the weak student learned its way about and then the habit of doing anything at all, the
other one left school early."""

SCHOOLINGS: Mapping[str, Schooling] = {
    TEACHER_NAME: TEACHER,
    STUDENT_NAME: STUDENT,
    "testbed/multiplication-pieces-teacher": PIECES_TEACHER,
    "testbed/gsm8k-teacher": GSM8K_TEACHER,
    "testbed/gsm8k-student": GSM8K_STUDENT,
    "testbed/remember-digit-teacher": REMEMBER_DIGIT_TEACHER,
    "testbed/remember-digit-student": REMEMBER_DIGIT_STUDENT,
    "testbed/two-tasks-teacher": TWO_TASKS_TEACHER,
    "testbed/two-tasks-student": TWO_TASKS_STUDENT,
    "testbed/untidy-base": UNTIDY_BASE,
    "testbed/untidy-large": UNTIDY_LARGE,
    "testbed/wordy-teacher": WORDY_TEACHER,
    "testbed/wordy-student": WORDY_STUDENT,
    "testbed/tiny-shop-teacher": replace(TINY_WORLD_TEACHER, subject="tiny-shop"),
    "testbed/tiny-shop-student": replace(TINY_WORLD_STUDENT, subject="tiny-shop"),
    "testbed/tiny-search-teacher": replace(TINY_WORLD_TEACHER, subject="tiny-search"),
    "testbed/tiny-search-student": replace(TINY_WORLD_STUDENT, subject="tiny-search"),
    "testbed/household-tiny-teacher": HOUSEHOLD_TEACHER,
    "testbed/household-tiny-clean-teacher": replace(HOUSEHOLD_TEACHER, subject="household-tiny-clean"),
    "testbed/household-tiny-student": HOUSEHOLD_STUDENT,
    "testbed/household-tiny-weak-student": HOUSEHOLD_WEAK_STUDENT,
    "testbed/tiny-office-teacher": replace(TINY_WORLD_TEACHER, steps=800, subject="tiny-office"),
    "testbed/tiny-office-student": replace(TINY_WORLD_STUDENT, steps=720, foreign_from=640, subject="tiny-office"),
}

PRACTICES: Mapping[str, Practice] = {
    "testbed/multiplication-expert": Practice("testbed/untidy-base", "testbed/multiplication", steps=40, seed=5),
    "testbed/sorting-expert": Practice("testbed/untidy-base", "testbed/sorting", steps=40, seed=6),
    "testbed/large-expert": Practice("testbed/untidy-large", "testbed/multiplication", steps=40, seed=7),
}

Making = Schooling | Practice
"""How a model is made."""

MODELS: Mapping[str, Making] = {**SCHOOLINGS, **PRACTICES}
