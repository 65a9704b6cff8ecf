"""Documents, and finding them by words."""

from understudy.tasks.retrieval.bm25 import Bm25, Found, words_of
from understudy.tasks.retrieval.corpus import CorpusFile, build_index, is_index_of, open_index
from understudy.tasks.retrieval.documents import Document, Hit, LocalRetriever, Retriever, Texts

__all__ = [
    "Bm25",
    "CorpusFile",
    "Document",
    "Found",
    "Hit",
    "LocalRetriever",
    "Retriever",
    "Texts",
    "build_index",
    "is_index_of",
    "open_index",
    "words_of",
]
