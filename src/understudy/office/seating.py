"""Who is to play: a model in this process, or the one behind an address, with all that has to be known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from understudy.build import examinee_of, model_named, sampler_of
from understudy.environments.office import SYSTEM
from understudy.environments.tools import ChatWords, Rules, reader_for, tagged_json
from understudy.office.asking import ChatForm
from understudy.office.local import LocalPlayer
from understudy.office.served import ServedPlayer
from understudy.recipe import Engine, LocalEngine
from understudy.servers.meeting import meet


@dataclass(frozen=True)
class Speaking:
    """How the model speaks.

    Args:
        temperature, top_p, max_tokens: of a reply; None is greedy for a model here, and leaves it to a server.
        window: tokens of its context, where it has fewer than it says, or does not say. sees: it is shown pictures.
        concurrency: tasks at one time.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    window: int | None = None
    sees: bool = False
    concurrency: int = 1

    def to_json(self) -> dict[str, object]:
        """What of it decides the results."""
        return {name: value for name, value in vars(self).items() if name != "concurrency"}


@dataclass(frozen=True)
class Behind:
    """An address, and the patience with it.

    Args:
        url: of the server. model: its served name; None takes what is there. key: sent as bearer token, never shown.
        timeout_seconds: for one answer. deadline_seconds: a question is asked again for so long. body: further fields.
    """

    url: str
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    timeout_seconds: float = 600.0
    deadline_seconds: float = 300.0
    body: Mapping[str, object] = field(default_factory=dict)


def local_player(
    model: str, rules: Rules, speaking: Speaking, *, notice: Callable[[str], None], engine: Engine | None = None
) -> LocalPlayer:
    """A model here: its chat template says how calls are written; one that knows no tools is told of them in words.

    Raises:
        UserMistakeError: it cannot be loaded.
    """
    engine = engine or LocalEngine()
    loaded = model_named(model, engine)
    tokenizer = loaded.known_tokenizer
    template = tokenizer.get_chat_template(tools=[]) if tokenizer.chat_template else ""
    reader = reader_for(template)
    if reader is None:
        notice("The chat template knows no tools: they are described in the system message.")
    return LocalPlayer(
        name=model,
        examinee=examinee_of(loaded, sampler_of(loaded.model, loaded, engine)),
        rules=replace(rules, words=ChatWords(SYSTEM, in_text=reader is None)),
        read=reader or tagged_json,
        temperature=speaking.temperature or 0.0,
        top_p=1.0 if speaking.top_p is None else speaking.top_p,
        max_completion_length=speaking.max_tokens or 4096,
        concurrency=speaking.concurrency,
        window=speaking.window,
    )


def served_player(behind: Behind, rules: Rules, speaking: Speaking) -> ServedPlayer:
    """The model behind an address, which is asked who it is first.

    Raises:
        ServerDownError: nobody answers. ServerKeyError: it wants another key.
    """
    met = meet(
        behind.url,
        model=behind.model,
        key=behind.key,
        timeout_seconds=behind.timeout_seconds,
        deadline_seconds=behind.deadline_seconds,
        max_concurrency=speaking.concurrency,
    )
    form = ChatForm(met.identity.model, speaking.temperature, speaking.top_p, speaking.max_tokens, body=behind.body)
    return ServedPlayer(
        name=met.name,
        client=met.client,
        form=form,
        rules=replace(rules, words=ChatWords(SYSTEM, by_id=True, sees=speaking.sees)),
        concurrency=speaking.concurrency,
        window=speaking.window or met.identity.max_length,
    )
