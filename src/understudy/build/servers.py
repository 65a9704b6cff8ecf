"""From the servers of a recipe to scorers that answer, checked against the student before step 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from understudy.build.served_words import ServedWords, check_own_words, check_same_words, foreign_tokenizer
from understudy.errors import ContextLengthError
from understudy.models.load import LoadedModel
from understudy.recipe import Recipe, SamplingServer, ServedModel
from understudy.servers.background import background
from understudy.servers.identity import identify
from understudy.servers.keys import key_in
from understudy.servers.pool import ServerPool
from understudy.servers.settings import ServerSettings
from understudy.teachers.served import ServedScorer, connect


@dataclass(frozen=True, eq=False)
class Connections:
    """The servers of a run.

    Args:
        teachers: scorers by ``Recipe.served_teachers``. reference: None where it is not served.
        notices: what the user should know. foreign: the words of teachers that are aligned, by name.
    """

    teachers: Mapping[str, ServedScorer] = field(default_factory=dict)
    reference: ServedScorer | None = None
    notices: Sequence[str] = ()
    foreign: Mapping[str, ServedWords] = field(default_factory=dict)

    @property
    def of_one_family(self) -> dict[str, ServedScorer]:
        """Every scorer that reads the student's own tokens, by its name in messages."""
        everyone = {**self.teachers, **({} if self.reference is None else {"reference": self.reference})}
        return {name: scorer for name, scorer in everyone.items() if name not in self.foreign}

    def max_length(self, name: str, otherwise: int) -> int:
        """Tokens of the longest text that the teacher of that name reads; ``otherwise`` where nobody knows."""
        scorer = self.teachers.get(name)
        return otherwise if scorer is None else scorer.server.max_length or otherwise


def settings_of(section: ServedModel) -> ServerSettings:
    """How the server is to be asked.

    Raises:
        ServerKeyError: the environment variable for the key is not set.
    """
    return replace(sampling_settings(section), max_logprobs=section.max_logprobs, prefix_cache=section.prefix_cache)


def sampling_settings(section: SamplingServer | ServedModel) -> ServerSettings:
    """How the servers that sample are to be asked; raises ServerKeyError as ``settings_of`` does."""
    return ServerSettings(
        urls=section.addresses,
        model=section.model,
        kind=section.kind,
        key=key_in(section.api_key_env, remedy="Set it, or take api_key_env out of the recipe."),
        timeout_seconds=section.timeout_seconds,
        deadline_seconds=section.deadline_seconds,
        max_concurrency=section.max_concurrency,
    )


def served_models(recipe: Recipe, *, with_teacher: bool) -> dict[str, ServedModel]:
    """Every server of the recipe, by its name in messages."""
    found: dict[str, ServedModel] = dict(recipe.served_teachers) if with_teacher else {}
    if isinstance(recipe.reference, ServedModel):
        found["reference"] = recipe.reference
    return found


def check_servers(recipe: Recipe, *, with_teacher: bool) -> None:
    """Ask each server what it is, before any model is loaded.

    Raises:
        UserMistakeError, ServerDownError: none answers, or not the model that the recipe names.
    """
    found = [settings_of(one) for one in served_models(recipe, with_teacher=with_teacher).values()]
    if recipe.rollout.server is not None:
        found.append(sampling_settings(recipe.rollout.server))
    for settings in found:
        patience = min(settings.start_seconds, settings.deadline_seconds)
        settings = replace(settings, deadline_seconds=patience, timeout_seconds=patience)
        background().run(identify(ServerPool(settings)))


def connections_of(recipe: Recipe, student: LoadedModel, *, with_teacher: bool) -> Connections:
    """A scorer for each server, probed, with a tokenizer like the student's.

    Raises:
        UnderstudyError: a server is down, refuses the key, has another model or tokenizer, or cannot score as the run
            needs.
    """
    sections = served_models(recipe, with_teacher=with_teacher)
    links = {name: linked(recipe, section, student, name=name) for name, section in sections.items()}
    foreign = {name: link.words for name, link in links.items() if link.words is not None}
    alike = {name: link.scorer for name, link in links.items() if name not in foreign}
    size = min([student.vocab_size, *(scorer.vocab_size for scorer in alike.values())])
    scorers = {name: link.scorer.sharing(size) if name in alike else link.scorer for name, link in links.items()}
    teachers = {name: scorer for name, scorer in scorers.items() if name != "reference"}
    notices = [notice for link in links.values() for notice in link.notices]
    return Connections(teachers, scorers.get("reference"), notices, foreign)


@dataclass(frozen=True, eq=False)
class Link:
    """One server: its scorer, its words where they are aligned with the student's, and notices for the user."""

    scorer: ServedScorer
    words: ServedWords | None
    notices: Sequence[str]


def linked(recipe: Recipe, section: ServedModel, student: LoadedModel, *, name: str) -> Link:
    """The server, probed, with its tokenizer compared; raises UnderstudyError as ``connections_of`` does."""
    tokenizer = foreign_tokenizer(section, student)
    size = student.vocab_size if tokenizer is None else len(tokenizer)
    scorer = connect(settings_of(section), vocab_size=size, device=student.device)
    scorer.check_temperature(recipe.rollout.temperature)
    if tokenizer is None:
        return Link(scorer, None, check_same_words(scorer, student, section, name=name))
    words = ServedWords.of(tokenizer, scorer)
    return Link(scorer, words, check_own_words(scorer, words, section, name=name))


def cut_to_shared(loaded: LoadedModel, connections: Connections) -> LoadedModel:
    """A model of this process cut to the vocabulary that all servers have as well."""
    size = min([loaded.vocab_size, *(scorer.vocab_size for scorer in connections.of_one_family.values())])
    return replace(loaded, vocab_size=size, stop_ids=frozenset(id for id in loaded.stop_ids if id < size))


def check_served_reads(recipe: Recipe, student: LoadedModel, connections: Connections, *, longest_prompt: int) -> None:
    """Every server must be able to read whatever the student may write to one prompt.

    Raises:
        ContextLengthError: its longest text is shorter than that.
    """
    needed = min(student.max_length, longest_prompt + recipe.rollout.max_completion_length)
    for name, scorer in connections.of_one_family.items():
        longest = scorer.server.max_length
        if longest is not None and longest < needed:
            raise ContextLengthError(
                f"the {name}'s server reads texts shorter than a prompt with its completion",
                got=f"{longest} tokens",
                expected=f"at least {needed}",
                remedy="Raise its --max-model-len, lower rollout.max_completion_length, or shorten prompts.",
            )
