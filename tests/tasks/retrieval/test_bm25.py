"""Searching by words."""

from __future__ import annotations

import math
import sys

import pytest

from understudy.errors import DataError, UserMistakeError
from understudy.tasks.retrieval import Bm25, Document, Found, LocalRetriever, Retriever

TEXTS = ["wool hat", "silk hat", "wool wool scarf", "a pair of gloves"]


def lucene(tf: int, *, df: int, length: int) -> float:
    """Lucene's BM25 by hand: k1 1.5, b 0.75, four texts of 2, 2, 3 and 4 words."""
    mean = (2 + 2 + 3 + 4) / 4
    return math.log(1 + (4 - df + 0.5) / (df + 0.5)) * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * length / mean))


def test_scores_are_lucenes() -> None:
    found = Bm25.of(TEXTS).top("wool hat", limit=4)
    wool_hat = lucene(1, df=2, length=2) + lucene(1, df=2, length=2)
    expected = {0: wool_hat, 1: lucene(1, df=2, length=2), 2: lucene(2, df=2, length=3)}
    assert {one.place: pytest.approx(one.score, rel=1e-5) for one in found} == expected
    assert [one.place for one in found] == sorted(expected, key=lambda place: -expected[place])


def test_only_what_has_a_word_is_found() -> None:
    index = Bm25.of(TEXTS)
    assert [one.place for one in index.top("GLOVES!", limit=3)] == [3]
    assert index.top("unicorn", limit=3) == index.top("", limit=3) == index.top("wool", limit=0) == []


def test_equals_stand_in_order_whatever_the_limit() -> None:
    index = Bm25.of(["red hat"] * 40 + ["blue scarf"])
    assert [one.place for one in index.top("hat", limit=5)] == [0, 1, 2, 3, 4]
    assert [one.place for one in index.top("hat", limit=100)] == list(range(40))


def test_a_saved_index_finds_the_same(tmp_path) -> None:
    index = Bm25.of(TEXTS)
    index.save(tmp_path)
    for query in ("wool hat", "pair", "nothing"):
        assert Bm25.load(tmp_path).top(query, limit=3) == index.top(query, limit=3)


@pytest.mark.parametrize("texts", [[], ["", "  !"]])
def test_nothing_to_search_in_is_said(texts) -> None:
    with pytest.raises(DataError, match="nothing to search in"):
        Bm25.of(texts)


def test_without_the_package_the_remedy_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UserMistakeError, match=r"bm25s, which is not installed.*understudy\[agents\]"):
        Bm25.of(TEXTS)


def test_a_retriever_gives_documents() -> None:
    retriever = LocalRetriever.of([Document(f"d{number}", text) for number, text in enumerate(TEXTS)])
    assert isinstance(retriever, Retriever) and retriever.num_documents == 4
    first, second = retriever.retrieve(["scarf", "silk"], top_k=1)
    assert [hit.document for hit in (*first, *second)] == [Document("d2", TEXTS[2]), Document("d1", TEXTS[1])]
    assert Found(2, first[0].score) == Bm25.of(TEXTS).top("scarf", limit=1)[0]
