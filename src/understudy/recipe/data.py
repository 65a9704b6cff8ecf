"""Where problems come from, how a row becomes a prompt, and how an answer is judged."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from understudy.recipe.section import FolderName, Number, Section, Text, Whole


class Verifier(Section):
    """How a completion is judged against the row's gold answer.

    Args:
        kind: ``none`` (not judged), ``exact`` (the same text) or ``numeric`` (the same number).
        extract: regular expression with one group; the last match's group 1 is the answer. The gold answer is read
            with it too, and taken whole where it does not match.
        strip: ignore white space around both. ignore_case: compare without case. Both for ``exact``.
        tolerance: largest absolute difference that still counts as equal, for ``numeric``.
    """

    kind: Literal["none", "exact", "numeric"] = "none"
    extract: Text | None = None
    strip: bool = True
    ignore_case: bool = False
    tolerance: Number = Field(default=0.0, ge=0)

    @field_validator("extract")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"a regular expression ({error})") from error
        if groups < 1:
            raise ValueError(r"a regular expression with a group around the answer, such as '#(\S+)'")
        return pattern


def _verifier_of(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


VerifierField = Annotated[Verifier, BeforeValidator(_verifier_of)]
"""A ``Verifier``, for which the name of its kind may stand."""


class Source(Section):
    """A set of problems.

    Args:
        dataset: path of a json, jsonl, parquet or csv file, a name of the ``datasets`` hub, or ``testbed/...``.
        config, split: of a hub data set; a file has neither.
        prompt: template over the columns, ``"{question}"``; null takes column ``prompt`` or ``messages``.
        answer: column of the gold answer; null takes ``answer`` where there is one.
        verifier: how completions are judged. limit: only the first so many rows.
        completion: template of the gold completion, for methods and suites that read it; null takes column
            ``completion``, or the last message where ``messages`` ends with the assistant.
    """

    dataset: Text
    config: Text | None = None
    split: Text = "train"
    prompt: Text | None = None
    answer: Text | None = None
    verifier: VerifierField = Verifier()
    limit: Whole | None = Field(default=None, ge=1)
    completion: Text | None = None


class Data(Source):
    """The problems a run trains on.

    Args:
        shuffle: a new order each epoch, drawn from the run's seed.
    """

    shuffle: bool = True


class Suite(Source):
    """A set of held-out problems with the way to answer them.

    Args:
        name: as it stands in tables and files. num_samples: attempts at each problem.
        kind: ``accuracy`` judges answers; ``reverse_kl`` takes mean log pi_S - log pi_T a token over the model's own
            fresh answers; ``nll`` takes mean -log pi_S a token over the gold completions. Of these, lower is better.
        temperature: 0 is greedy. top_p: nucleus mass kept.
        max_completion_length: in tokens; null takes the rollout's.
    """

    name: FolderName
    kind: Literal["accuracy", "reverse_kl", "nll"] = "accuracy"
    split: Text = "test"
    num_samples: Whole = Field(default=1, ge=1)
    temperature: Number = Field(default=1.0, ge=0, le=10)
    top_p: Number = Field(default=1.0, gt=0, le=1)
    max_completion_length: Whole | None = Field(default=None, ge=1)

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which direction of the score is better."""
        return "higher" if self.kind == "accuracy" else "lower"
