"""The whole recipe of a run: one YAML file whose keys are these fields."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from understudy.objectives.methods import AnyMethod
from understudy.recipe.data import Data
from understudy.recipe.models import ReferenceField, Student, Teacher
from understudy.recipe.run import Checkpoint, Engine, Evaluation, Optimizer, RolloutConfig
from understudy.recipe.section import FolderName, Section, Text, Whole

ObjectiveConfig = AnyMethod
"""The config of a method, told apart by its field ``method``."""


class Recipe(Section):
    """Everything that decides a run. Paths are relative to the working directory; secrets have no field here.

    Args:
        name: the run's folder is ``output/name``; null takes the recipe file's stem. seed: of every random draw.
        student, teacher, reference: the models. data: what is trained on. rollout: how the student is sampled.
        objective: the method, by its field ``method``. optimizer: AdamW. steps: optimiser rounds.
        evaluation, checkpoint, engine: see there. output: folder of all runs.
    """

    name: FolderName | None = None
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    student: Student
    teacher: Teacher | None = None
    reference: ReferenceField | None = None
    data: Data
    rollout: RolloutConfig = RolloutConfig()
    objective: ObjectiveConfig
    optimizer: Optimizer = Optimizer()
    steps: Whole = Field(ge=1)
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpoint = Checkpoint()
    engine: Engine = Engine()
    output: Text = "runs"

    @property
    def run_directory(self) -> Path:
        """Folder of the run."""
        return Path(self.output) / (self.name or "unnamed")

    @model_validator(mode="after")
    def _best_is_a_suite(self) -> Recipe:
        best, names = self.checkpoint.keep_best, self.evaluation.suite_names
        if best is not None and best not in names:
            raise ValueError(f"checkpoint.keep_best is {best!r}, which is none of the suites {list(names)}")
        return self
