"""Documents, those who find them, and the retriever of this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from understudy.tasks.retrieval.bm25 import Bm25


@dataclass(frozen=True)
class Document:
    """One text of a corpus.

    Args:
        id: unique in its corpus. contents: the text; in Search-R1's corpora the first line is a title in quotes.
    """

    id: str
    contents: str


@dataclass(frozen=True)
class Hit:
    """A document that was found, and its score; higher is better, and scores of different retrievers do not compare."""

    document: Document
    score: float


@runtime_checkable
class Retriever(Protocol):
    """Finds documents by words."""

    def retrieve(self, queries: Sequence[str], *, top_k: int) -> list[list[Hit]]:
        """For each query at most ``top_k`` documents, best first.

        Raises:
            ServerError: it is elsewhere, and does not answer or answers nonsense.
        """
        ...


class Texts(Protocol):
    """Documents by place: a list of them, or a file of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Document: ...


class LocalRetriever:
    """Implements ``Retriever`` by BM25.

    Args:
        documents: by place. index: of their contents, in the same order.
    """

    def __init__(self, documents: Texts, index: Bm25) -> None:
        self._documents, self._index = documents, index

    @classmethod
    def of(cls, documents: Sequence[Document]) -> LocalRetriever:
        """Index documents that are in memory.

        Raises:
            DataError: there is none, or none has a word.
        """
        return cls(documents, Bm25.of(document.contents for document in documents))

    @property
    def num_documents(self) -> int:
        """How many there are."""
        return len(self._documents)

    def retrieve(self, queries: Sequence[str], *, top_k: int) -> list[list[Hit]]:
        """For each query at most ``top_k`` documents, best first."""
        found = [self._index.top(query, limit=top_k) for query in queries]
        return [[Hit(self._documents[one.place], one.score) for one in hits] for hits in found]
