"""A question, documents that can be searched, and one answer. Source: Search-R1, arXiv:2503.09516."""

from __future__ import annotations

import re
from collections.abc import Sequence

from understudy.environments.agents import Scene
from understudy.environments.search_qa.answers import exact_match
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.tasks.retrieval import Hit, Retriever

QUESTION = "question"
GOLDS = ("golden_answers", "answers", "answer")
"""Columns of a task: Search-R1's, and those of NQ-open and of ReAct's HotpotQA; the first that is there counts."""
TOP_K = 3
SEARCH, ANSWER = "search[<query>]", "answer[<answer>]"
_ACTION = re.compile(r"(search|answer)\[(.*)\]", re.DOTALL)


class SearchQA:
    """Implements ``agents.World``: ``search[query]`` shows documents, ``answer[text]`` ends the episode.

    The reward is 1 for an answer that equals a gold answer (``exact_match``), 0 otherwise.

    Args:
        retriever: finds the documents; where it fails, the episode does. top_k: documents a search shows.
    """

    def __init__(self, retriever: Retriever, *, top_k: int = TOP_K) -> None:
        self._retriever, self._top_k = retriever, top_k
        self._question, self._searches = "", 0
        self._golds: tuple[str, ...] = ()

    def reset(self, task: Task, seed: int) -> Scene:  # noqa: ARG002  (nothing here is drawn)
        """Ask the question.

        Raises:
            DataError: the task has no question or no gold answer.
        """
        self._question, self._golds, self._searches = question_of(task), golds_of(task), 0
        return self._scene("")

    def prepare(self, action: str) -> None:
        """Let a retriever that can begin to search before anybody waits for it."""
        found, expect = _ACTION.fullmatch(action), getattr(self._retriever, "expect", None)
        if expect is not None and found is not None and found[1] == "search":
            expect(found[2], top_k=self._top_k)

    def step(self, action: str) -> Scene:
        """Search, or answer."""
        found = _ACTION.fullmatch(action)
        if found is None:
            return self._scene("Nothing happens: search for a query, or answer.")
        if found[1] == "answer":
            return self._ended(found[2])
        self._searches += 1
        return self._scene(shown(self._retriever.retrieve([found[2]], top_k=self._top_k)[0]))

    def _scene(self, observation: str) -> Scene:
        return Scene(observation, self._question, admissible=(SEARCH, ANSWER), info=self._figures(None))

    def _ended(self, answer: str) -> Scene:
        won = exact_match(answer, self._golds)
        return Scene("", self._question, reward=float(won), done=True, won=won, info=self._figures(answer))

    def _figures(self, answer: str | None) -> dict[str, object]:
        return {"searches": self._searches, "answer": answer}


def shown(hits: Sequence[Hit]) -> str:
    """Documents as the student reads them: ``Doc 1: ...``, one under another."""
    if not hits:
        return "No document was found."
    return "\n".join(f"Doc {number}: {hit.document.contents.strip()}" for number, hit in enumerate(hits, start=1))


def question_of(task: Task) -> str:
    """The task's question.

    Raises:
        DataError: it has none.
    """
    question = task.columns.get(QUESTION)
    if not isinstance(question, str) or not question.strip():
        raise _lacking(task, QUESTION, question, expected="text")
    return question.strip()


def golds_of(task: Task) -> tuple[str, ...]:
    """The task's gold answers, of which any will do: a text, or a list of texts.

    Raises:
        DataError: it has none, or something else than text among them.
    """
    golds = next((task.columns[name] for name in GOLDS if task.columns.get(name)), None)
    golds = [golds] if isinstance(golds, str) else golds
    if not isinstance(golds, list | tuple) or not all(isinstance(gold, str) and gold.strip() for gold in golds):
        raise _lacking(task, "gold answer", golds, expected=f"{' or '.join(GOLDS)}: a text, or a list of texts")
    return tuple(golds)


def _lacking(task: Task, column: str, got: object, *, expected: str) -> DataError:
    what = f"problem {task.problem} has no {column} that can be used"
    return DataError(what, got=repr(got)[:80], expected=expected)
