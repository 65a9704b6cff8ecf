"""A run with stored scores in place of a teacher, and with the rollouts that they are of."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from understudy.build.writers import Keeping
from understudy.errors import RecipeError, TokenizerMismatchError
from understudy.models.load import LoadedModel
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.recipe import Recipe, StoredScores
from understudy.teachers.disk_scores import DiskScorer
from understudy.training.durable import write_file

WRITTEN = "written"


def stored_teacher(section: StoredScores, student: LoadedModel) -> DiskScorer:
    """The stored scores, checked against the student and the teacher that the recipe expects.

    Raises:
        DataError: a file is missing, cut short or changed. TokenizerMismatchError: they are of other tokens.
        RecipeError: they are of another teacher.
    """
    scorer = DiskScorer(Path(section.scores))
    own = student_fingerprint(student)
    if scorer.manifest.tokenizer != own:
        raise TokenizerMismatchError(
            f"the scores in {section.scores} are of another tokenizer than the student's",
            got=scorer.manifest.tokenizer,
            expected=own,
            remedy="Score again with this student.",
        )
    if section.fingerprint not in (None, scorer.fingerprint):
        raise RecipeError(
            f"the scores in {section.scores} are of another teacher",
            got=scorer.fingerprint,
            expected=section.fingerprint,
            remedy="Score again with that teacher, or take teacher.fingerprint out.",
        )
    return scorer


def student_fingerprint(student: LoadedModel) -> str:
    """Of the tokens that stored scores are of."""
    return tokenizer_fingerprint(student.known_tokenizer, student.stop_ids)


def take_rollouts(recipe: Recipe, keeping: Keeping | None) -> None:
    """Copy the rollouts that stored scores are of into the run's folder, where its writer finds them."""
    if keeping is None or keeping.run is None or not isinstance(recipe.teacher, StoredScores):
        return
    source = Path(recipe.teacher.scores) / WRITTEN
    for file in sorted(source.rglob("*.parquet")):
        target = keeping.run / WRITTEN / file.relative_to(source)
        if not target.exists():
            write_file(target, partial(shutil.copyfile, file))
