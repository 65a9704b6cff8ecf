"""Who finds documents for a recipe, and where the index of a corpus is kept."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

from understudy.environments.search_qa import RemoteRetriever, load_paragraphs, tiny_retriever
from understudy.errors import RecipeError
from understudy.home import expanded, home
from understudy.recipe import EnvironmentConfig
from understudy.tasks.retrieval import LocalRetriever, Retriever, build_index, is_index_of, open_index
from understudy.testbed.cache import cached_folder

TINY = "tiny"
_FIRST_TIMEOUT_SECONDS = 10.0


def retriever_of(config: EnvironmentConfig) -> Retriever:
    """The retriever of a recipe's ``search_qa``; a server is asked once, so that a run without it does not begin.

    Raises:
        RecipeError: it names none. DataError: the corpus is missing or broken. ServerError: the server does not answer.
    """
    if config.corpus is not None:
        return tiny_retriever() if config.corpus == TINY else corpus_retriever(expanded(config.corpus))
    if config.retriever_url is None:
        raise RecipeError(
            "environment search_qa does not say where documents are found",
            expected="retriever_url or corpus",
            remedy="Give environment.retriever_url=http://HOST:PORT (understudy retrieve CORPUS serves one), "
            "or environment.corpus=FILE.",
        )
    RemoteRetriever(config.retriever_url, timeout_seconds=_FIRST_TIMEOUT_SECONDS, num_tries=2).retrieve(["?"], top_k=1)
    return RemoteRetriever(config.retriever_url)


def corpus_retriever(path: Path) -> LocalRetriever:
    """A retriever over a corpus: JSON lines of ``id`` and ``contents``, or the paragraphs of a file in SQuAD's form.

    The index of JSON lines is made on first use and kept beside them, or under ``UNDERSTUDY_HOME`` where nothing can
    be written there.

    Raises:
        DataError: the file is missing, empty or broken. UserMistakeError: bm25s is not installed.
    """
    if path.suffix == ".json" and path.is_file():
        return LocalRetriever.of(load_paragraphs(path))
    folder = _index_folder(path)
    return open_index(path, cached_folder(folder, make=partial(build_index, path), is_whole=partial(is_index_of, path)))


def _index_folder(path: Path) -> Path:
    if os.access(path.parent, os.W_OK) or not path.exists():
        return path.with_name(f"{path.name}.bm25")
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return home() / "retrieval" / f"{path.stem}-{key}"
