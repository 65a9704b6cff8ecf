"""Patience with servers that fail: which failures are waited out, which end at once, and where requests go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests.servers.scripted import Answer, Asked, Reply, ScriptedServer, scripted
from understudy.errors import ServerAnswerError, ServerDownError, ServerError, ServerKeyError, WrongServerError
from understudy.servers.background import Background, all_of
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool
from understudy.servers.replica import Replica
from understudy.servers.settings import ServerSettings

pytestmark = pytest.mark.timeout(60)

ECHO: Call[Any] = Call("/echo", lambda answer: answer["n"], {"n": 7})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return Background().run(work)


def settings(*urls: str, **changes: Any) -> ServerSettings:
    quick = ServerSettings(urls, timeout_seconds=5, deadline_seconds=3, max_concurrency=4)
    return replace(quick, **changes)


def echo(asked: Asked) -> Reply:
    return Reply(b"") if asked.path == "/health" else Reply(asked.body)


def first(count: int, reply: Reply) -> Answer:
    """That reply to so many requests, then what is right."""
    left = [count]

    def answer(asked: Asked) -> Reply:
        if asked.path != "/health" and left[0]:
            left[0] -= 1
            return reply
        return echo(asked)

    return answer


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": {"message": "paused"}}, status=503),
        Reply({}, status=429, headers={"Retry-After": "0.1"}),
        Reply({"n": 7}, cut=3),
        Reply({"error": {"message": "engine"}}, status=500),
    ],
    ids=["503", "429", "cut off", "500"],
)
def test_what_passes_is_waited_out(reply: Reply) -> None:
    with scripted(first(2, reply)) as server:
        assert run(ServerPool(settings(server.url)).ask(ECHO)) == 7
        assert server.count("/echo") == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RefusedError), (404, RefusedError), (413, RefusedError), (401, ServerKeyError)]
)
def test_what_will_never_pass_is_asked_once(status: int, kind: type[ServerError]) -> None:
    with scripted(lambda _: Reply({"error": {"message": "no such thing"}}, status=status)) as server:
        with pytest.raises(kind, match=rf"{server.url}: .*HTTP {status}: no such thing"):
            run(ServerPool(settings(server.url)).ask(ECHO))
        assert server.count("/echo") == 1


def test_a_server_that_fails_at_one_request_again_and_again_is_given_up() -> None:
    with scripted(lambda asked: echo(asked) if asked.path == "/health" else Reply({}, status=500)) as server:
        with pytest.raises(ServerError, match=r"failed 3 times at one request"):
            run(ServerPool(settings(server.url)).ask(ECHO))
        assert server.count("/echo") == 3


def test_a_dead_server_is_waited_for_until_the_deadline() -> None:
    with scripted(echo) as server:
        url = server.url
    begun = time.monotonic()
    with pytest.raises(ServerDownError, match=rf"{url}: the server does not answer, after 0\.5 s; got no connection"):
        run(ServerPool(settings(url, deadline_seconds=0.5)).ask(ECHO))
    assert 0.5 <= time.monotonic() - begun < 3


@pytest.mark.parametrize("reply", [Reply({"n": 7}, drip_seconds=0.3), Reply({"n": 7}, wait_seconds=30)])
def test_a_server_that_answers_slowly_for_ever_is_cut_off(reply: Reply) -> None:
    with scripted(lambda _: reply) as server:
        begun = time.monotonic()
        with pytest.raises(ServerDownError, match=r"no whole answer within"):
            run(ServerPool(settings(server.url, timeout_seconds=0.6, deadline_seconds=1.0)).ask(ECHO))
        assert time.monotonic() - begun < 5


def test_an_answer_that_never_ends_is_cut_off() -> None:
    endless = scripted(lambda _: Reply({"n": "x" * 10_000}))
    with endless as server, pytest.raises(ServerAnswerError, match="more than 5,000 bytes"):
        run(ServerPool(settings(server.url, max_reply_bytes=5_000)).ask(ECHO))


def test_malformed_json_ends_at_once() -> None:
    with scripted(lambda _: Reply(b'{"n": 7')) as server:
        with pytest.raises(ServerAnswerError, match=r'the answer is no JSON; got \{"n": 7'):
            run(ServerPool(settings(server.url)).ask(ECHO))
        assert server.count("/echo") == 1


def test_the_key_is_in_no_message_even_if_the_server_repeats_it() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply({"error": {"message": f"bad {asked.headers['Authorization']}"}}, status=401)

    with scripted(answer) as server, pytest.raises(ServerKeyError) as caught:
        run(ServerPool(settings(server.url, key="sesame-1234")).ask(ECHO))
    assert "sesame" not in str(caught.value)
    assert "bad Bearer (removed)" in str(caught.value)


def test_no_more_requests_run_at_one_time_than_allowed() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def answer(asked: Asked) -> Reply:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return echo(asked)

    with scripted(answer) as server:
        pool = ServerPool(settings(server.url, max_concurrency=3))
        assert run(all_of([pool.ask(ECHO) for _ in range(12)])) == [7] * 12
    assert most[0] == 3


def test_the_less_busy_copy_is_asked() -> None:
    def slow(asked: Asked) -> Reply:
        time.sleep(0.25)
        return echo(asked)

    with scripted(slow) as one, scripted(echo) as other:
        pool = ServerPool(settings(one.url, other.url, max_concurrency=2))
        run(all_of([pool.ask(ECHO) for _ in range(20)]))
        assert one.count("/echo") + other.count("/echo") == 20
        assert other.count("/echo") > 2 * one.count("/echo") > 0


def numbered(count: int) -> list[Call[int]]:
    return [Call("/echo", lambda answer: answer["n"], {"n": number}) for number in range(count)]


def dying(after: int) -> Callable[[Asked], Reply]:
    """Cuts every answer once it has given so many."""
    left = [after]

    def answer(asked: Asked) -> Reply:
        left[0] -= 1
        return echo(asked) if left[0] >= 0 else Reply(asked.body or {}, cut=1)

    return answer


def test_requests_of_a_dead_copy_move_without_loss_or_doubling() -> None:
    with scripted(dying(5)) as one, scripted(echo) as other:
        pool = ServerPool(settings(one.url, other.url))
        assert run(all_of([pool.ask(call) for call in numbered(60)])) == list(range(60))
        answered = Counter(asked.body["n"] for asked in other.asked if asked.path == "/echo")
        assert max(answered.values()) == 1, "no request went to the healthy copy twice"


def test_a_copy_that_comes_back_is_taken_back() -> None:
    async def work(pool: ServerPool, back: Callable[[], None]) -> None:
        await all_of([pool.ask(call) for call in numbered(8)])
        back()
        await asyncio.sleep(0.4)
        for call in numbered(12):
            await pool.ask(call)

    with scripted(echo) as one, scripted(echo) as other:
        dead = ScriptedServer(echo)
        port = dead.port
        dead.close()
        pool = ServerPool(settings(f"http://127.0.0.1:{port}", other.url))
        revived: list[ScriptedServer] = []
        run(work(pool, lambda: revived.append(ScriptedServer(echo, port=port))))
        assert revived[0].count("/echo") > 0
        revived[0].close()
        assert one.asked == []


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_route_for_its_health_is_taken_back(status: int) -> None:
    """Of the servers that only complete texts not all have one."""
    busy = first(1, Reply({}, status=503))

    def answer(asked: Asked) -> Reply:
        return Reply({"error": {"message": "Not Found"}}, status=status) if asked.path == "/health" else busy(asked)

    with scripted(answer) as server:
        pool = ServerPool(settings(server.url))
        assert run(pool.ask(ECHO)) == 7
        assert (server.count("/echo"), pool.replicas[0].wrong) == (2, None)


def test_a_copy_with_another_model_is_not_taken_back() -> None:
    async def confirm(replica: Replica) -> None:
        raise WrongServerError(f"{replica.url}: another model")

    with scripted(first(1, Reply({}, cut=1))) as server, scripted(echo) as other:
        alone, both = ServerPool(settings(server.url)), ServerPool(settings(server.url, other.url))
        alone.confirm = both.confirm = confirm
        with pytest.raises(WrongServerError, match="another model"):
            run(alone.ask(ECHO))
        server.answer = first(1, Reply({}, cut=1))
        thread, counts = Background(), []
        for _ in range(2):
            assert thread.run(all_of([both.ask(ECHO) for _ in range(20)])) == [7] * 20
            thread.run(asyncio.sleep(0.3))
            counts.append(server.count("/echo"))
        assert counts[0] == counts[1], "once it was found to be another, it was asked nothing"


def test_a_copy_that_is_called_lost_while_it_is_confirmed_is_confirmed_again() -> None:
    """As by weights that went to the others in that very moment."""
    confirmed: list[str] = []

    async def confirm(replica: Replica) -> None:
        confirmed.append(replica.url)
        replica.is_lost = len(confirmed) == 1

    with scripted(first(1, Reply({"n": 7}, cut=3))) as server:
        pool = ServerPool(settings(server.url))
        pool.confirm = confirm
        assert run(pool.ask(ECHO)) == 7
        assert confirmed == [server.url] * 2 and not pool.replicas[0].is_lost


def test_requests_given_up_leave_nothing_running() -> None:
    with scripted(lambda asked: Reply(asked.body, wait_seconds=0.2 if asked.body["n"] else 0, status=200)) as server:
        pool = ServerPool(settings(server.url))
        bad: Call[int] = Call("/echo", lambda answer: answer["m"], {"n": 0})
        with pytest.raises(ServerAnswerError, match="'m'"):
            run(all_of([pool.ask(call) for call in [bad, *numbered(6)[1:]]]))
        assert pool.replicas[0].in_flight == 0
