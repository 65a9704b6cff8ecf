"""The models of a run, in this process and behind servers, on one vocabulary, found to fit its texts and its memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from understudy.build.aligned import Alignments, alignments_of, check_aligned_prompts
from understudy.build.curriculum import Curriculum, Own
from understudy.build.data import check_lengths, check_teacher_reads
from understudy.build.memory_plan import ASSUMED_PROMPT_TOKENS
from understudy.build.models import Building, load_models
from understudy.build.servers import Connections, check_served_reads, connections_of, cut_to_shared
from understudy.build.settling import settle_loaded
from understudy.evaluation.examination import in_words_of
from understudy.models.load import LoadedModel
from understudy.models.tokenizers import token_id
from understudy.objectives.methods import objective_of
from understudy.objectives.objective import Objective
from understudy.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Company:
    """Who takes part.

    Args:
        student: the model that learns. taught: the other models of this process, by ``Recipe.teachers``.
        served: those behind servers. alignments: those with another tokenizer.
        objective: every token that it names has its id. recipe: with the choices that memory asked for.
        notices: what the user should know of servers and memory.
    """

    student: LoadedModel
    taught: Mapping[str, LoadedModel]
    served: Connections
    alignments: Alignments
    objective: Objective
    recipe: Recipe
    notices: Sequence[str] = ()


def company_of(recipe: Recipe, own: Own, about: Curriculum, *, building: Building | None) -> Company:
    """Load the models and connect to the servers that the recipe names.

    Raises:
        UserMistakeError: one is missing, reads other tokens, is too short for the texts, or does not fit into memory.
    """
    objective = about.objective
    wants_teacher = own.teacher is None or objective.writing.needs_teacher_text
    student, taught = load_models(recipe, with_teacher=wants_teacher, building=building)
    served = connections_of(recipe, student, with_teacher=own.teacher is None)
    aligned = alignments_of(recipe, objective, student, taught, served.foreign)
    taught = {name: one if name in aligned.teachers else cut_to_shared(one, served) for name, one in taught.items()}
    student = cut_to_shared(student, served)
    longest = _longest_prompt(recipe, about, student, taught, aligned=aligned, served=served)
    if own.objective is None:
        objective = objective_of(recipe.objective.with_token_ids(partial(token_id, student.known_tokenizer)))
    settled = settle_loaded(recipe, objective, student, taught, prompt_tokens=longest)
    notices = [*settled.notices, *served.notices]
    return Company(student, taught, served, aligned, objective, settled.recipe, notices)


def _longest_prompt(
    recipe: Recipe,
    about: Curriculum,
    student: LoadedModel,
    taught: Mapping[str, LoadedModel],
    *,
    aligned: Alignments,
    served: Connections,
) -> int:
    """Tokens of the longest prompt of the lessons, which everybody has been found able to read."""
    if about.world is not None:  # it makes its own prompts, as it goes
        return ASSUMED_PROMPT_TOKENS
    lessons, exams = about.lessons, about.exams
    longest = check_lengths(recipe, student, lessons.tasks)
    for exam in exams:
        check_lengths(recipe, student, [in_words_of(student.known_tokenizer, task, exam.suite) for task in exam.tasks])
    check_served_reads(recipe, student, served, longest_prompt=longest)
    for name, words in aligned.teachers.items():
        check_aligned_prompts(recipe, words, lessons.tasks, name=name)
    for name, model in taught.items():
        if name not in aligned.teachers:
            check_teacher_reads(recipe, student, model, longest_prompt=longest, name=name)
    return longest
