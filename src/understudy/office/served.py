"""Plays office tasks with a model behind an address, by the chat form that all servers speak."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from understudy.environments.tools import Conversation, Rules
from understudy.errors import DataError, DiskError, ServerDownError, UnderstudyError
from understudy.office.asking import ChatForm, Said, asked
from understudy.office.players import OpenBox, Played, task_for
from understudy.protocols import Message, Prompt
from understudy.servers.background import background
from understudy.servers.patience import PatientClient
from understudy.tasks.office import OfficeTask


class _StoppedError(Exception):
    """Nobody waits for this attempt any more."""


@dataclass(frozen=True, eq=False)
class ServedPlayer:
    """Implements ``Player``.

    Args:
        name: who it is. client: asks the server. form: what is sent with every question. rules: of an episode.
        concurrency: tasks at one time. window: tokens of the model's context, where anybody knows.
    """

    name: str
    client: PatientClient
    form: ChatForm
    rules: Rules
    concurrency: int = 1
    window: int | None = None

    @property
    def model(self) -> str:
        """Its served name."""
        return self.form.model

    def play(
        self, tasks: Mapping[int, OfficeTask], open_box: OpenBox, *, ended: Callable[[Played], None], seed: int
    ) -> None:
        """A thread a task, ``concurrency`` of them; where the server is down or somebody stops it, the rest is left."""
        stopped = threading.Event()
        threads = ThreadPoolExecutor(max_workers=self.concurrency, thread_name_prefix="office")
        futures: list[Future[Played]] = []
        try:
            for number, task in tasks.items():
                form = replace(self.form, seed=seed + number)
                futures.append(threads.submit(self._played, task, open_box, form, stopped))
            for future in as_completed(futures):
                ended(future.result())
        finally:
            stopped.set()
            threads.shutdown(wait=True, cancel_futures=True)

    def _played(self, task: OfficeTask, open_box: OpenBox, form: ChatForm, stopped: threading.Event) -> Played:
        begun, start = time.monotonic(), Played(task.task_id)
        try:
            box = open_box(task_for(task), form.seed)
        except OSError as error:
            return replace(start, error=f"{type(error).__name__}: {error}")
        conversation, so_far = Conversation(task_for(task), box, self.rules), start
        try:
            for so_far in self._talk(conversation, form, start, stopped):  # noqa: B007
                pass  # what was said so far stays, whatever comes
        except (ServerDownError, DiskError):
            raise
        except (UnderstudyError, OSError) as error:
            so_far = replace(so_far, error=f"{type(error).__name__}: {error}")
        finally:
            box.close()
        tally = conversation.tally
        figures = {**vars(tally), "world": dict(tally.world)}
        return replace(so_far, seconds=time.monotonic() - begun, figures=figures)

    def _talk(
        self, conversation: Conversation, form: ChatForm, so_far: Played, stopped: threading.Event
    ) -> Iterator[Played]:
        """The attempt as it stands after each reply, up to its end."""
        history, told = _listed(conversation.opening()), list[Message]()
        told += history
        while not stopped.is_set():
            said = background().run(self.client.ask(asked(history, form)))
            so_far = _with(so_far, said, told)
            yield so_far
            conversation.measure(said.num_prompt_tokens + said.num_tokens, self.window)
            answer = conversation.answer(said.reading)
            if answer.ending is not None:
                return
            new = _listed(answer.prompt)
            told += new
            history = new if answer.style == "fresh" else [*history, said.message, *new]
        raise _StoppedError


def _with(so_far: Played, said: Said, told: list[Message]) -> Played:
    told.append(said.message)
    return replace(
        so_far,
        messages=told,
        num_turns=so_far.num_turns + 1,
        num_tokens=so_far.num_tokens + said.num_tokens,
        num_prompt_tokens=so_far.num_prompt_tokens + said.num_prompt_tokens,
        num_cached_tokens=so_far.num_cached_tokens + said.num_cached_tokens,
    )


def _listed(prompt: Prompt) -> list[Message]:
    if isinstance(prompt, str):
        raise DataError("a server is asked in messages", got="text")
    return list(prompt)
