"""``understudy retrieve`` and ``understudy shop-goals``, run as a user does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Understudy
from understudy.environments.search_qa import RemoteRetriever
from understudy.environments.shop import goal_of
from understudy.recipe import Source
from understudy.tasks import load_tasks

pytestmark = pytest.mark.timeout(120)


def test_a_corpus_is_served_and_its_index_kept(tmp_path: Path) -> None:
    corpus, ready = tmp_path / "corpus.jsonl", tmp_path / "ready"
    corpus.write_text('{"id": "1", "contents": "mars is red"}\n{"id": "2", "contents": "the moon"}\n')
    command = [sys.executable, "-m", "understudy", "retrieve", str(corpus), "--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and "2 documents of" in server.stdout.readline()
            while not ready.exists() or not ready.read_text():
                time.sleep(0.05)
            ((hit,),) = RemoteRetriever(ready.read_text().strip()).retrieve(["red"], top_k=3)
            assert hit.document.id == "1"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert (tmp_path / "corpus.jsonl.bm25").is_dir() and not ready.exists()


def test_a_corpus_that_is_none_is_said_in_a_sentence(understudy: Understudy, tmp_path: Path) -> None:
    for content, said in ((None, "cannot be read: no such file"), ('{"id": 1}\n', "line 1 is no document")):
        if content is not None:
            (tmp_path / "c.jsonl").write_text(content)
        refused = understudy("retrieve", tmp_path / "c.jsonl", "--port", "0")
        assert refused.code == 2 and said in refused.err and refused.err.count("\n") == 1


def test_goals_are_written_as_a_recipes_data(understudy: Understudy, tmp_path: Path) -> None:
    ended = understudy("shop-goals", "synthetic", "--out", tmp_path)
    assert ended.code == 0 and ended.out.startswith("3,776 goals in") and "500 goals in" in ended.out
    tasks = load_tasks(Source(dataset=str(tmp_path / "webshop-test.jsonl")))
    assert len(tasks) == 500 and goal_of(tasks[0]).instruction == tasks[0].prompt
    refused = understudy("shop-goals", tmp_path / "none")
    assert refused.code == 2 and "has no items_shuffle.json" in refused.err


def test_a_retriever_that_is_down_stops_the_run_before_it_begins(understudy: Understudy, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"prompt": "who?", "question": "who?", "answer": ["me"]}) + "\n")
    recipe = Path(__file__).parents[2] / "recipes" / "atod-search-0.6b.yaml"
    world = "environment={kind: search_qa, retriever_url: 'http://127.0.0.1:9'}"
    refused = understudy("train", recipe, world, f"data.dataset={tmp_path / 'q.jsonl'}", f"output={tmp_path / 'runs'}")
    assert refused.code == 1 and "the retriever at http://127.0.0.1:9 does not answer" in refused.err
    assert refused.err.count("\n") == 1
