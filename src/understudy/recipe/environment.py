"""The world in which a student acts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from understudy.recipe.section import Number, Section, Text, Whole

EnvironmentKind = Literal[
    "single_turn",
    "remember_digit",
    "household",
    "alfworld",
    "webshop",
    "search_qa",
    "tiny_office",
    "office",
    "workbench",
    "own",
]

_OWN_FIELDS: dict[EnvironmentKind, frozenset[str]] = {
    "single_turn": frozenset(),
    "remember_digit": frozenset({"style"}),
    "household": frozenset({"size", "style", "history", "max_observation_tokens"}),
    "alfworld": frozenset({"history", "max_observation_tokens", "python"}),
    "webshop": frozenset({"history", "max_observation_tokens", "catalogue"}),
    "search_qa": frozenset({"history", "max_observation_tokens", "retriever_url", "corpus"}),
    "tiny_office": frozenset(),
    "own": frozenset({"factory", "turns", "seconds"}),
    "office": frozenset({"tasks", "calls", "max_turns", "command_seconds", "penalty", "search_url"}),
    "workbench": frozenset({"tasks", "calls", "max_turns", "penalty"}),
}
_TURNS = {"single_turn": 1, "remember_digit": 2, "alfworld": 50, "webshop": 15, "search_qa": 4, "tiny_office": 12}


OFFICE_SUMMARIES = 3
"""Replies of an office attempt beside its turns: summaries of a context that is full."""


class EnvironmentConfig(Section):
    """The world of one attempt: what it shows, what it answers, what it rewards.

    Args:
        kind: ``single_turn`` (a prompt, a completion, a verdict), ``remember_digit`` (the two-turn toy, whose data set
            is ``testbed/remember-digit``), ``household`` (ALFWorld's domain in plain Python), ``alfworld`` (its own
            engine), ``webshop``, ``search_qa``, ``tiny_office`` (the testbed's errands with small spreadsheets),
            ``office`` (files, a shell in a sandbox, files handed in), ``workbench`` (tools over five tables), or
            ``own`` (yours).
        style: of ``remember_digit`` and ``household``: every turn a ``fresh`` prompt, or one ``growing`` text; null is
            ``fresh``, and ``growing`` for a tiny household.
        size: of ``household``: ``full``, or ``tiny`` for students of some dozens of words; null is ``full``.
        history: last turns that an agent's prompt repeats; null takes the benchmark's (2, 2 and 4).
        max_observation_tokens: a longer observation is cut, four characters taken for a token; null leaves it.
        retriever_url: of ``search_qa``: the server that finds documents.
        corpus: of ``search_qa``, in its place: a file of documents to search in this process, or ``tiny``, the world of
            facts of the testbed.
        python: of ``alfworld``: the interpreter that has it, where this one does not.
        catalogue: of ``webshop``: the folder of the published files, ``synthetic``, or ``tiny``, the testbed's; null is
            ``data/webshop``.
        factory: of ``own``: ``package.module:name`` of what makes an attempt's environment (``protocols.Environment``),
            each in a process of its own. turns: of ``own``: what an episode takes at most.
        seconds: of ``own``: for each of its answers; null is 60. A later one costs the rollout.
        tasks: of ``office`` and ``workbench``: the folder of the tasks, see docs/office.md.
        calls: of both: how a reply holds calls: ``tagged`` or ``bare`` JSON, as the chat template asks, or
            ``text`` for a template without tools; null is ``tagged``.
        max_turns: of both: replies of an attempt; null is 30. command_seconds: of ``office``; null is 300.
        penalty: of both: for a call that cannot be done, or a turn without one; null is 0.
        search_url: of ``office``: offers web tools; null offers none.
    """

    kind: EnvironmentKind = "single_turn"
    style: Literal["fresh", "growing"] | None = None
    size: Literal["full", "tiny"] | None = None
    history: Whole | None = Field(default=None, ge=0)
    max_observation_tokens: Whole | None = Field(default=None, ge=1)
    retriever_url: Text | None = None
    corpus: Text | None = None
    catalogue: Text | None = None
    python: Text | None = None
    factory: Text | None = None
    turns: Whole | None = Field(default=None, ge=1)
    seconds: Number | None = Field(default=None, gt=0)
    tasks: Text | None = None
    calls: Literal["tagged", "bare", "text"] | None = None
    max_turns: Whole | None = Field(default=None, ge=1)
    command_seconds: Number | None = Field(default=None, gt=0)
    penalty: Number | None = Field(default=None, ge=0)
    search_url: Text | None = None

    @property
    def num_turns(self) -> int:
        """Turns that an episode takes at most, where nothing ends it earlier."""
        if self.kind == "own":
            return self.turns or 1
        if self.kind == "household":
            return 20 if self.size == "tiny" else 50
        if self.kind in ("office", "workbench"):
            return (self.max_turns or 30) + OFFICE_SUMMARIES
        return _TURNS[self.kind]

    @property
    def is_agent(self) -> bool:
        """Whether it is a benchmark for agents."""
        return self.kind in ("household", "alfworld", "webshop", "search_qa", "tiny_office", "office", "workbench")

    @model_validator(mode="after")
    def _has_only_its_own(self) -> EnvironmentConfig:
        given = {name for name in type(self).model_fields if name != "kind" and getattr(self, name) is not None}
        foreign = sorted(given - _OWN_FIELDS[self.kind])
        if foreign:
            raise ValueError(f"an environment of kind {self.kind} has no {foreign[0]}")
        if self.kind == "own" and (self.turns is None or ":" not in (self.factory or "")):
            raise ValueError("an environment of kind own has factory, package.module:name, and turns")
        if self.kind in ("office", "workbench") and self.tasks is None:
            raise ValueError(f"an environment of kind {self.kind} needs tasks, a folder of them")
        if self.retriever_url is not None and self.corpus is not None:
            raise ValueError("environment.retriever_url stands beside environment.corpus; one of them finds documents")
        return self


def _environment_of(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


EnvironmentField = Annotated[EnvironmentConfig, BeforeValidator(_environment_of)]
"""An ``EnvironmentConfig``, for which the name of its kind may stand."""
