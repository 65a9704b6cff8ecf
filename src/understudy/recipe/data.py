"""Where problems come from, how a row becomes a prompt, and how an answer is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from understudy.recipe.environment import EnvironmentField
from understudy.recipe.options import LETTER, Options
from understudy.recipe.section import FolderName, Number, Section, Text, Whole
from understudy.recipe.verifier import Verifier, VerifierField

Scalar = bool | int | float | str | None
"""A value that a row's column is compared with."""


class Source(Section):
    """A set of problems.

    Args:
        dataset: path of a json, jsonl, parquet or csv file, a name of the ``datasets`` hub, or ``testbed/...``.
        config, split: of a hub data set; a file has neither. Config ``*`` is every configuration in turn, and one that
            ends like a data file is that file of the repository.
        revision: of a hub data set: a commit, tag or branch; null takes the newest.
        identifier: column that tells one problem from another; null takes ``id`` where all rows have one and all
            differ, and else a hash of prompt and place.
        prompt: template over the columns, ``"{question}"``; null takes column ``prompt``, ``messages`` or
            ``conversations``.
        chat: a prompt that is text becomes a user's message, and the student's chat template does the rest.
        answer: column of the gold answer; null takes ``answer`` where there is one.
        options: of multiple-choice questions: shown by ``{lettered_options}`` in the prompt.
        verifier: how completions are judged.
        filter: only rows in which each of these columns has this value, or one of these values.
        missing: a row that lacks a column it needs, or has nothing in it, or a gold answer that cannot be read, is an
            ``error``, or is left out and counted: ``drop``.
        limit: only the first so many rows that are kept.
        completion: template of the gold completion, for methods and suites that read it; null takes column
            ``completion``, or the last message where ``messages`` or ``conversations`` end with the assistant.
    """

    dataset: Text
    config: Text | None = None
    split: Text = "train"
    revision: Text | None = None
    identifier: Text | None = None
    prompt: Text | None = None
    chat: bool = False
    answer: Text | None = None
    options: Options | None = None
    verifier: VerifierField = Verifier()
    filter: dict[Text, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    missing: Literal["error", "drop"] = "error"
    limit: Whole | None = Field(default=None, ge=1)
    completion: Text | None = None

    @property
    def gold_column(self) -> str | None:
        """The column a verifier reads; None where the recipe names none."""
        return self.answer if self.options is None else LETTER


class Lesson(Source):
    """A set of problems to train on.

    Args:
        teacher_text: column of a completion that a teacher wrote, for methods that learn from its text: it stands for
            what ``teacher.model`` would write.
    """

    teacher_text: Text | None = None


class Part(Lesson):
    """One data set of a mixture, with its own prompt form and its own verifier.

    Args:
        name: of its figures and its domain; null takes the data set's. weight: its share of the prompts, in proportion
            to the other parts' weights and whatever its size.
    """

    name: FolderName | None = None
    weight: Number = Field(default=1.0, gt=0)


class Data(Lesson):
    """The problems a run trains on: one data set, or a mixture of several.

    Args:
        dataset: null where there is a mixture. mixture: the data sets; the other fields stand in its parts then.
        shuffle: a new order each epoch, drawn from the run's seed.
    """

    dataset: Text | None = None  # type: ignore[assignment]
    mixture: tuple[Part, ...] = ()
    shuffle: bool = True

    @property
    def parts(self) -> tuple[Lesson, ...]:
        """The data sets, in order: those of the mixture, or this one."""
        return self.mixture or (self,)

    @property
    def has_teacher_text(self) -> bool:
        """Whether the data holds what a teacher wrote."""
        return all(part.teacher_text is not None for part in self.parts)

    @model_validator(mode="after")
    def _is_one_or_a_mixture(self) -> Data:
        if not self.mixture:
            if self.dataset is None:
                raise ValueError("data has neither dataset nor mixture")
            return self
        if len({part.teacher_text is None for part in self.mixture}) > 1:
            raise ValueError("some parts of data.mixture have teacher_text and others have none")
        own = set(type(self).model_fields) - {"mixture", "shuffle"}
        beside = sorted(name for name in own if getattr(self, name) != type(self)._default_of(name))
        if beside:
            raise ValueError(f"data.{beside[0]} stands beside data.mixture; it belongs into the mixture's parts")
        return self

    @classmethod
    def _default_of(cls, name: str) -> object:
        return cls.model_fields[name].get_default(call_default_factory=True)


class Suite(Source):
    """A set of held-out problems with the way to answer them.

    Args:
        name: as it stands in tables and files. num_samples: attempts at each problem.
        chat: as elsewhere; ``auto`` asks in chat form where the model has a chat template, and else in plain text.
        kind: ``accuracy`` judges answers; ``reverse_kl`` takes mean log pi_S - log pi_T a token over the model's own
            fresh answers; ``nll`` takes mean -log pi_S a token over the gold completions. Of these, lower is better.
        temperature: 0 is greedy. top_p: nucleus mass kept.
        max_completion_length: in tokens; null takes the rollout's.
        environment: the world of an attempt; null takes the run's.
    """

    name: FolderName
    kind: Literal["accuracy", "reverse_kl", "nll"] = "accuracy"
    split: Text = "test"
    chat: bool | Literal["auto"] = False  # type: ignore[assignment]
    num_samples: Whole = Field(default=1, ge=1)
    temperature: Number = Field(default=1.0, ge=0, le=10)
    top_p: Number = Field(default=1.0, gt=0, le=1)
    max_completion_length: Whole | None = Field(default=None, ge=1)
    environment: EnvironmentField | None = None

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which direction of the score is better."""
        return "higher" if self.kind == "accuracy" else "lower"
