"""The whole recipe of a run: one YAML file whose keys are these fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from understudy.home import expanded
from understudy.objectives.methods import AnyMethod
from understudy.recipe.data import Data
from understudy.recipe.engines import EngineField, LocalEngine, TinkerEngine
from understudy.recipe.environment import EnvironmentConfig, EnvironmentField
from understudy.recipe.models import Reference, ReferenceField, Student
from understudy.recipe.run import Checkpoint, Evaluation, Optimizer, RolloutConfig
from understudy.recipe.section import FolderName, Section, Text, Whole
from understudy.recipe.teachers import ServedTeacher, Teacher, TeacherField, views_of
from understudy.recipe.trackers import TrackerNames


def _method_of(value: object) -> object:
    return {"method": value} if isinstance(value, str) else value


ObjectiveConfig = Annotated[AnyMethod, BeforeValidator(_method_of)]
"""The config of a method, told apart by its field ``method``, for which the name alone may stand."""


class Recipe(Section):
    """Everything that decides a run. Paths are relative to the working directory; secrets have no field here.

    Args:
        name: the run's folder is ``output/name``; null takes the recipe file's stem. seed: of every random draw.
        student: the model that learns. teacher: what marks its tokens; null for methods without one.
        reference: an anchor, for methods that need one. data: what is trained on. environment: the world of an attempt.
        rollout: how the student is sampled.
        objective: the method, by its name, or a section with its field ``method``. optimizer: AdamW.
        steps: of training; by ``--resume`` a run goes on to more, where nothing in it depends on how many there are.
        evaluation: when the student is examined, and on what. checkpoint: what is kept of it, and how often.
        engine: where it is computed. output: folder of all runs.
        report_to: trackers that are told the figures as well: tensorboard, wandb, trackio.
    """

    name: FolderName | None = None
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    student: Student
    teacher: TeacherField | None = None
    reference: ReferenceField | None = None
    data: Data
    environment: EnvironmentField = EnvironmentConfig()
    rollout: RolloutConfig = RolloutConfig()
    objective: ObjectiveConfig
    optimizer: Optimizer = Optimizer()
    steps: Whole = Field(ge=1)
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpoint = Checkpoint()
    engine: EngineField = LocalEngine()
    output: Text = "runs"
    report_to: TrackerNames = ()

    @property
    def run_directory(self) -> Path:
        """Folder of the run."""
        return expanded(self.output) / (self.name or "unnamed")

    @property
    def teachers(self) -> dict[str, Teacher]:
        """Every model of this process behind the section ``teacher``, by its name in messages and tables."""
        members = {} if self.teacher is None else self.teacher.members
        return {name: one for name, one in members.items() if isinstance(one, Teacher)}

    @property
    def served_teachers(self) -> dict[str, ServedTeacher]:
        """Every server behind the section ``teacher``, by its name in messages and tables."""
        members = {} if self.teacher is None else self.teacher.members
        return {name: one for name, one in members.items() if isinstance(one, ServedTeacher)}

    @property
    def keeps_initial(self) -> bool:
        """Whether a scorer asks for the student's weights as they were before step 0."""
        anchored = isinstance(self.reference, Reference) and self.reference.model == "initial"
        return anchored or any(one.weights == "initial" for one in self.teachers.values())

    @model_validator(mode="after")
    def _teachers_have_what_they_need(self) -> Recipe:
        if self.student.ema_decay is None and any(one.weights == "ema" for one in self.teachers.values()):
            raise ValueError("a teacher with weights 'ema' needs an average: set student.ema_decay, such as 0.999")
        if self.rollout.num_generations < 2 and any(view.kind == "peers" for view in views_of(self.teacher)):
            raise ValueError("a view of kind 'peers' needs a group: set rollout.num_generations to at least 2")
        return self

    @model_validator(mode="after")
    def _weights_can_be_given(self) -> Recipe:
        given, has_adapter = self.rollout.weights, self.student.lora is not None
        if given == "adapter" and not has_adapter:
            raise ValueError("rollout.weights 'adapter' gives servers an adapter: set student.lora, or use 'disk'")
        if given in ("disk", "group", "nccl") and has_adapter:
            raise ValueError(f"rollout.weights {given!r} gives servers whole models: with student.lora use 'adapter'")
        return self

    @model_validator(mode="after")
    def _student_fits_the_engine(self) -> Recipe:
        if self.rollout.sampler is not None and not isinstance(self.engine, LocalEngine):
            raise ValueError(
                f"rollout.sampler is for engine.kind local, and it is {self.engine.kind}: use rollout.server"
            )
        if isinstance(self.engine, TinkerEngine):
            self.engine.check(self.student, self.rollout, self.optimizer)
        return self

    @model_validator(mode="after")
    def _episodes_have_room(self) -> Recipe:
        if self.environment.num_turns > 1 and self.rollout.max_turns == 1:
            raise ValueError(
                f"environment {self.environment.kind} takes up to {self.environment.num_turns} turns, but "
                "rollout.max_turns is 1: every episode would end after its first"
            )
        return self

    @model_validator(mode="after")
    def _best_is_a_suite(self) -> Recipe:
        best, names = self.checkpoint.keep_best, self.evaluation.suite_names
        if best is not None and best not in names:
            raise ValueError(f"checkpoint.keep_best is {best!r}, which is none of the suites {list(names)}")
        if self.evaluation.stop_after and (best is None or not self.evaluation.every):
            missing = "checkpoint.keep_best names no suite" if best is None else "evaluation.every is 0"
            raise ValueError(f"evaluation.stop_after has nothing to go by: {missing}")
        return self
