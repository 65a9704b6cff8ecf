"""A retriever behind a real socket: right, slow, silent, and talking nonsense."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn

from understudy.environments.search_qa import RemoteRetriever
from understudy.errors import ServerAnswerError, ServerDownError, ServerError, UserMistakeError
from understudy.tasks.retrieval import Document, LocalRetriever, Retriever
from understudy.tasks.retrieval.app import app_of

pytestmark = pytest.mark.timeout(60)
LOCAL = LocalRetriever.of([Document("1", "the moon has no air"), Document("2", "mars is red")])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app_of(LOCAL), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers every POST as told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def says(text: str, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text.encode())))
        handler.end_headers()
        handler.wfile.write(text.encode())

    return answer


@pytest.mark.parametrize("end", ["", "/", "/retrieve"])
def test_it_finds_what_the_server_finds(url, end) -> None:
    remote = RemoteRetriever(url + end)
    assert isinstance(remote, Retriever)
    queries = ["red mars", "air", "sun"]
    assert remote.retrieve(queries, top_k=2) == LOCAL.retrieve(queries, top_k=2)
    assert remote.retrieve([], top_k=2) == []


def test_documents_without_scores_are_taken() -> None:
    with answering(says(json.dumps({"result": [[{"id": 3, "contents": "x"}, {"contents": "y"}]]}))) as url:
        ((first,),) = RemoteRetriever(url).retrieve(["q"], top_k=1)
    assert (first.document, first.score) == (Document("3", "x"), 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        "[1]",
        '{"result": null}',
        '{"result": [[{"document": {}, "score": 1}]]}',
        '{"result": [[{"document": {"contents": 5}, "score": 1}]]}',
        '{"result": [[{"document": {"contents": "a"}, "score": "NaN"}]]}',
        '{"result": [[], []]}',
        '{"result": [["text"]]}',
    ],
)
def test_nonsense_is_refused_in_a_sentence(text) -> None:
    with answering(says(text)) as url, pytest.raises(ServerAnswerError) as refused:
        RemoteRetriever(url).retrieve(["q"], top_k=1)
    assert "\n" not in str(refused.value)


def test_a_refusal_is_passed_on() -> None:
    with (
        answering(says('{"detail": "topk: too large"}', 422)) as url,
        pytest.raises(ServerError, match="topk: too lar"),
    ):
        RemoteRetriever(url).retrieve(["q"], top_k=1)


def test_nobody_there_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerDownError, match=r"does not answer.*no connection.*understudy retrieve"):
        RemoteRetriever(f"http://127.0.0.1:{port}", num_tries=2).retrieve(["q"], top_k=1)


def test_one_that_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        remote = RemoteRetriever(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.3, num_tries=2)
        with pytest.raises(ServerDownError, match=r"within 0.3 s, 2 times"):
            remote.retrieve(["q"], top_k=1)
    assert time.monotonic() - start < 20


def test_a_batch_does_not_wait_for_a_silent_one_by_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remote = RemoteRetriever(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=1.0, num_tries=1)
        start = time.monotonic()
        for number in range(200):
            remote.expect(f"query {number}", top_k=1)
        for number in range(200):
            with pytest.raises(ServerDownError):
                remote.retrieve([f"query {number}"], top_k=1)
        assert time.monotonic() - start < 20  # one by one it would be 200
        time.sleep(1.0)
        with pytest.raises(ServerDownError, match="no whole answer"):  # after a while it is asked again
            remote.retrieve(["query 0"], top_k=1)


def test_searches_one_after_the_other_share_a_connection() -> None:
    """To open one takes 50 ms of a processor, for the certificates of those that need some."""
    ports: set[int] = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        ports.add(handler.client_address[1])
        says('{"result": [[]]}')(handler)

    with answering(answer) as url:
        remote = RemoteRetriever(url)
        for number in range(3):
            assert remote.retrieve([f"query {number}"], top_k=1) == [[]]
    assert len(ports) == 1


def test_what_was_expected_is_asked_for_once(url) -> None:
    asked: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(b"")
        time.sleep(0.2)
        says(json.dumps({"result": [[{"document": {"id": "1", "contents": "x"}, "score": len(asked)}]]}))(handler)

    with answering(answer) as slow:
        remote = RemoteRetriever(slow)
        for _ in range(3):
            remote.expect("q", top_k=1)
        assert [remote.retrieve(["q"], top_k=1)[0][0].score for _ in range(3)] == [1.0, 1.0, 1.0]
        assert len(asked) == 1


def test_one_that_is_busy_is_asked_again() -> None:
    asked: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(1)
        says("busy", 503)(handler) if len(asked) == 1 else says('{"result": [[]]}')(handler)

    with answering(answer) as url:
        assert RemoteRetriever(url).retrieve(["q"], top_k=1) == [[]]
    assert len(asked) == 2


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://"])
def test_what_is_no_address_is_said(url) -> None:
    with pytest.raises(UserMistakeError, match="the retriever's address cannot be used"):
        RemoteRetriever(url)
