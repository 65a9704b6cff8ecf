"""Teachers of another tokenizer: which they are, what they read, and what is checked of them before step 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from understudy.build.privileges import Privileged
from understudy.errors import ContextLengthError, RecipeError, TokenizerMismatchError
from understudy.models.chat import encode_prompt
from understudy.models.load import LoadedModel
from understudy.models.tokenizers import check_same_tokenizer
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer, Task, View
from understudy.recipe import Recipe, ServedTeacher, Teacher
from understudy.teachers import RoutedScorer
from understudy.teachers.aligned import AlignedScorer
from understudy.teachers.alignment_pair import Pair, Reader
from understudy.teachers.alignment_view import AlignedReading
from understudy.teachers.disk_scores import DiskScorer
from understudy.teachers.privileged import Privilege


class Words(Protocol):
    """How a model reads and ends text: a model of this process, or what is known of one behind a server."""

    @property
    def known_tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        ...

    @property
    def vocab_size(self) -> int:
        """Tokens it gives mass to."""
        ...

    @property
    def stop_ids(self) -> frozenset[int]:
        """Every id that ends a completion."""
        ...

    @property
    def max_length(self) -> int:
        """Longest context in tokens."""
        ...


def is_aligned(section: Teacher | ServedTeacher, student: LoadedModel, teacher: LoadedModel) -> bool:
    """Whether a teacher's text is aligned with the student's by its bytes; ``auto``: where the tokenizers differ."""
    if section.align != "auto":
        return section.align
    try:
        check_same_tokenizer(student, teacher)
    except TokenizerMismatchError:
        return True
    return False


@dataclass(frozen=True, eq=False)
class Alignments:
    """The teachers of a run that have a tokenizer of their own.

    Args:
        student: the student. teachers: those that are aligned, by their name in messages. one_to_one: the method needs
            their most likely tokens, which only tokens of both vocabularies have.
    """

    student: LoadedModel
    teachers: Mapping[str, Words]
    one_to_one: bool = False
    _pairs: dict[str, Pair] = field(default_factory=dict)

    def scorer(self, name: str, inner: Scorer) -> Scorer:
        """The teacher of that name as a scorer of the student's tokens; as it is where it shares their tokenizer."""
        if name not in self.teachers:
            return inner
        sizes = {"student_size": self.student.vocab_size, "teacher_size": self.teachers[name].vocab_size}
        return AlignedScorer(inner, self._pair(name), **sizes)

    def told(self, name: str, privileged: Privileged) -> Privileged:
        """What the teacher of that name is told, in its own tokens."""
        teacher = self.teachers.get(name)
        if teacher is None:
            return privileged
        own = replace(privileged.privilege, tokenizer=teacher.known_tokenizer, max_length=teacher.max_length)
        return replace(privileged, privilege=own)

    def view(self, name: str, privilege: Privilege) -> View:
        """What the teacher of that name reads, given what it is told in its own tokens."""
        if name not in self.teachers:
            return privilege.view()
        return AlignedReading(self._pair(name), privilege, one_to_one=self.one_to_one).view()

    def _pair(self, name: str) -> Pair:
        if name not in self._pairs:
            self._pairs[name] = pair_of(self.student, self.teachers[name])
        return self._pairs[name]


def pair_of(student: Words, teacher: Words) -> Pair:
    """Both tokenizers; raises UserMistakeError where one cannot be spelled in bytes."""
    return Pair(*(Reader(one.known_tokenizer, one.stop_ids) for one in (student, teacher)))


def alignments_of(
    recipe: Recipe,
    objective: Objective,
    student: LoadedModel,
    taught: Mapping[str, LoadedModel],
    foreign: Mapping[str, Words],
) -> Alignments:
    """The teachers that are aligned.

    Args:
        taught: the teachers of this process. foreign: those behind servers that are aligned.
    Raises:
        RecipeError: the method learns from text that such a teacher would write in tokens of its own.
    """
    here = {name: one for name, one in taught.items() if is_aligned(recipe.teachers[name], student, one)}
    aligned: dict[str, Words] = {**here, **foreign}
    if aligned and objective.writing.needs_teacher_text and not recipe.data.has_teacher_text:
        raise RecipeError(
            f"method {recipe.objective.method!r} learns from the teacher's own tokens, which are not the student's",
            expected="a teacher with the student's tokenizer, or data.teacher_text",
            remedy="Name the column of a teacher's completions in data.teacher_text, or choose another method.",
        )
    return Alignments(student, aligned, one_to_one="teacher" in objective.needs.top_k)


def check_aligned_prompts(recipe: Recipe, teacher: Words, tasks: Sequence[Task], *, name: str) -> None:
    """Every prompt must leave room in the teacher's own context, in its own tokens.

    Raises:
        ContextLengthError: one does not. DataError: the teacher's chat template refuses one.
    """
    kwargs = recipe.student.chat_template_kwargs
    for task in tasks:
        length = encode_prompt(teacher.known_tokenizer, task.prompt, chat_template_kwargs=kwargs).numel()
        if length >= teacher.max_length:
            raise ContextLengthError(
                f"the prompt of problem {task.problem} is longer than the {name}'s context",
                got=f"{length} tokens",
                expected=f"fewer than {teacher.max_length}",
                remedy="Shorten it, leave the row out, or take a teacher with a longer context.",
            )


def refuse_partial(scorer: Scorer | None, *, suite: str) -> None:
    """A suite of kind ``reverse_kl`` asks for whole vocabularies anew.

    Raises:
        RecipeError: a teacher has another tokenizer, or its scores were stored.
    """
    members = scorer.scorers.values() if isinstance(scorer, RoutedScorer) else [scorer]
    if any(isinstance(one, AlignedScorer | DiskScorer) for one in members):
        raise RecipeError(
            f"suite {suite!r} of kind 'reverse_kl' cannot ask a teacher of another tokenizer, or stored scores",
            expected="a teacher with the student's tokenizer",
            remedy="Leave the suite out; kl/reverse_k1 in the metrics is measured on the tokens that have a score.",
        )


def in_its_own_tokens(scorer: Scorer) -> Scorer:
    """The scorer of a teacher's own tokens, whatever the student's are."""
    return scorer.inner if isinstance(scorer, AlignedScorer) else scorer
