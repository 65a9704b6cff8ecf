"""What one office study is: which models, how many tasks, by which method."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from understudy.environments.tiny_office import MAX_TURNS, tiny_office_tasks
from understudy.protocols import Task
from understudy.recipe import Recipe, recipe_from

STUDENT, TEACHER = "testbed/tiny-office-student", "testbed/tiny-office-teacher"
SUITE = "tiny-office"
MAX_COMPLETION_TOKENS = 6


@dataclass(frozen=True)
class StudySettings:
    """The choices of a study; the defaults are what ``make office-study`` does.

    Args:
        method: of training. steps: of it. seed: of everything that is drawn.
        num_tasks: unseen errands that each model attempts once; 220 as in the office study that this one repeats.
        num_questions: of each quiz of the regression suite. margin: the largest loss that would not matter there.
        temperature: at which the models are examined; they are trained at 1.
        student, teacher: the testbed's, or folders of others that read the office's words.
    """

    method: str = "opd"
    steps: int = 30
    seed: int = 0
    num_tasks: int = 220
    num_questions: int = 300
    margin: float = 0.05
    temperature: float = 1.0
    student: str = STUDENT
    teacher: str = TEACHER

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return asdict(self)


def study_tasks(settings: StudySettings) -> list[Task]:
    """The unseen errands of a study."""
    return tiny_office_tasks("eval", settings.num_tasks, settings.seed)


def study_recipe(settings: StudySettings, *, output: str, name: str = "run") -> Recipe:
    """The recipe of the study's training: that of ``recipes/office-tiny.yaml``, without its examinations."""
    return recipe_from(
        {
            "name": name,
            "output": output,
            "seed": settings.seed,
            "student": {"model": settings.student},
            "teacher": {"model": settings.teacher},
            "data": {"dataset": f"testbed/{SUITE}"},
            "environment": {"kind": "tiny_office"},
            "rollout": {
                "prompts_per_step": 16,
                "num_generations": 4,
                "max_completion_length": MAX_COMPLETION_TOKENS,
                "max_turns": MAX_TURNS,
            },
            "objective": {"method": settings.method},
            "optimizer": {"learning_rate": 1e-3, "schedule": "linear"},
            "steps": settings.steps,
            "checkpoint": {"every": 10},
            "engine": {"threads": 1, "micro_batch_tokens": 1024},
        },
        source="the office study's recipe",
    )
