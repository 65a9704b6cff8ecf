"""Models behind an address: a real server of ours, and scripted ones with every fault there is."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scripted import Asked, Reply, ScriptedServer
from tests.serving.conftest import tiny_loaded
from tests.serving.served import running_server
from understudy.errors import CapabilityError, ServerDownError, ServerKeyError, WrongServerError
from understudy.evaluating import Address, Wishes, evaluate
from understudy.evaluation import SuiteResult
from understudy.rollouts import FinishReason
from understudy.sandbox import SandboxUnavailableError, isolation
from understudy.training.progress import Silent

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
MODELS = Reply({"data": [{"id": "scripted"}]})


def chatted(text: object, *, reason: str = "stop", tokens: object = 5) -> Reply:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return Reply({"choices": [choice], "usage": {"completion_tokens": tokens}})


def question_of(asked: Asked) -> str:
    return str(asked.body["messages"][0]["content"]).split()[0]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """Six questions ``0?`` to ``5?`` whose answers are their numbers."""
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps({"question": f"{n}?", "answer": f"#### {n}"}) + "\n" for n in range(6)))
    return file


class Script:
    """A server that answers ``/v1/models`` and, for questions, what ``replies`` has for them, else the right answer."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.server = ScriptedServer(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return MODELS
        if asked.method == "GET":
            return Reply({"error": "no such route"}, status=404)
        question = question_of(asked)
        left = self.replies.get(question, [])
        if left:
            return left.pop(0) if len(left) > 1 else left[0]
        return chatted(f"#### {question.rstrip('?')}")


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.server.close()


def put(url: str, data: Path, **options: Any) -> SuiteResult:
    address = Address(**{"timeout_seconds": 0.5, "deadline_seconds": 1.0, **options.pop("address", {})})
    wishes = Wishes(max_completion_length=16, **options.pop("wishes", {}))
    (result,) = evaluate(
        url,
        ["gsm8k"],
        data=data,
        address=address,
        wishes=wishes,
        display=Silent(),
        keep=data.parent / "kept",
        **options,
    )
    return result


def test_a_server_is_asked_in_chat_form_and_its_answers_are_judged(script: Script, sums: Path) -> None:
    script.replies["3?"] = [chatted("#### 4", reason="length")]
    script.replies["4?"] = [chatted("no idea")]
    result = put(script.server.url, sums, num_samples=2)
    assert list(result.scores.values()) == [1, 1, 1, 0, 0, 1]
    assert (result.truncation_rate, result.parse_failure_rate) == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    assert result.samples[0].completions == ("#### 0",) and result.samples[0].num_tokens == 5
    bodies = [one.body for one in script.server.asked if one.path == "/v1/chat/completions"]
    assert len(bodies) == 12 and len({body["seed"] for body in bodies}) == 12
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in bodies} == {("scripted", 0.0, 16)}
    assert result.about["model"] == f"scripted at {script.server.url}"


def test_busy_and_lost_connections_are_asked_again_and_a_refusal_never(script: Script, sums: Path) -> None:
    script.replies["0?"] = [Reply("slow down", status=429, headers={"Retry-After": "0"}), chatted("#### 0")]
    script.replies["1?"] = [Reply(b"{}", status=503), Reply(b'{"choices"', cut=3), chatted("#### 1")]
    script.replies["2?"] = [Reply({"error": {"message": "too long"}}, status=400)]
    script.replies["3?"] = [Reply({"choices": []}), chatted("#### 3")]
    script.replies["4?"] = [chatted(None), chatted("#### 4")]
    script.replies["5?"] = [Reply(b"<html>hello</html>"), chatted("#### 5")]
    result = put(script.server.url, sums)
    assert list(result.scores.values()) == [1, 1, 0, 0, 0, 0]
    reasons = list(result.failed.values())
    for reason, words in zip(reasons, ["too long", "no choices", "message.content", "no JSON"], strict=True):
        assert words in reason
    lost = result.samples[2]
    assert lost.finish_reason is FinishReason.FAILED and lost.correct is False and lost.completions == ()
    asked = [question_of(one) for one in script.server.asked if one.path == "/v1/chat/completions"]
    assert [asked.count(f"{n}?") for n in range(6)] == [2, 3, 1, 1, 1, 1]


def test_a_question_that_is_never_answered_is_failed_and_the_others_count(script: Script, sums: Path) -> None:
    script.replies["2?"] = [Reply(b"", wait_seconds=30)]
    result = put(script.server.url, sums, address={"timeout_seconds": 0.2, "deadline_seconds": 0.3})
    assert list(result.scores.values()) == [1, 1, 0, 1, 1, 1]
    assert len(result.failed) == 1 and "no answer in" in next(iter(result.failed.values()))


def test_the_same_command_asks_only_what_has_no_answer(script: Script, sums: Path) -> None:
    script.replies["2?"] = [Reply(b"no", status=400)]
    before = put(script.server.url, sums)
    script.replies.clear()
    script.server.asked.clear()
    after = put(script.server.url, sums)
    assert (before.estimate.mean, after.estimate.mean) == (pytest.approx(5 / 6), 1.0)
    assert script.server.count("/v1/chat/completions") == 1
    script.server.asked.clear()
    assert put(script.server.url, sums) == after and script.server.count("/v1/chat/completions") == 0
    assert put(script.server.url, sums, fresh=True) == after and script.server.count("/v1/chat/completions") == 6


def test_a_server_that_goes_away_ends_the_evaluation_and_costs_no_answers(script: Script, sums: Path) -> None:
    gone = threading.Event()

    def answer(asked: Asked) -> Reply:
        reply = script._answer(asked)
        if asked.path == "/v1/chat/completions" and question_of(asked) == "3?" and not gone.is_set():
            gone.set()
            threading.Thread(target=script.server.close, daemon=True).start()
            return Reply(b"", cut=0, wait_seconds=0.3)
        return reply

    script.server.answer = answer
    url, port = script.server.url, script.server.port
    with pytest.raises(ServerDownError, match="gave no answer"):
        put(url, sums, address={"max_concurrency": 1})
    again = Script()
    again.server.close()
    again.server = ScriptedServer(again._answer, port=port)
    result = put(url, sums, address={"max_concurrency": 1})
    again.server.close()
    assert result.estimate.mean == 1.0
    assert again.server.count("/v1/chat/completions") == 3


def test_keys_and_wrong_addresses_are_told_before_any_question(script: Script, sums: Path) -> None:
    def wants_a_key(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != "Bearer secret":
            return Reply({"error": {"message": "who are you, Bearer secret?"}}, status=401)
        return script._answer(asked)

    script.server.answer = wants_a_key
    with pytest.raises(ServerKeyError, match="wants a valid API key"):
        put(script.server.url, sums)
    assert put(script.server.url, sums, address={"key": "secret"}).estimate.mean == 1.0
    with pytest.raises(WrongServerError, match=r"another model.*scripted"):
        put(script.server.url, sums, address={"key": "secret", "model": "other"})
    assert "secret" not in "".join(file.read_text() for file in (sums.parent / "kept").iterdir())
    with pytest.raises(ServerDownError):
        put("http://127.0.0.1:9", sums)


def test_a_suite_that_needs_scores_cannot_be_put_to_a_server(script: Script, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "own.yaml").write_text(f"{{dataset: {rows}, kind: nll}}")
    with pytest.raises(CapabilityError, match="cannot be put to a server"):
        evaluate(script.server.url, [str(tmp_path / "own.yaml")], display=Silent(), keep=tmp_path)


def test_our_own_server_gives_its_models_answers(tmp_path: Path) -> None:
    """Greedy answers over the socket are those of the same model in this process, in both forms of asking."""
    rows = [{"question": f"w{2 + n} w3", "answer": "#### 7"} for n in range(5)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    local = tiny_loaded()
    local.model.save_pretrained(tmp_path / "model")
    assert local.tokenizer is not None
    local.tokenizer.save_pretrained(tmp_path / "model")
    with running_server(tiny_loaded()) as server:
        for chat in (True, False):
            served = put(server.url, data, wishes={"chat": chat}, address={"timeout_seconds": 30.0})
            here = put(str(tmp_path / "model"), data, wishes={"chat": chat})
            assert not served.failed
            assert [one.completions for one in served.samples] == [one.completions for one in here.samples]
            assert [one.num_tokens for one in served.samples] == [one.num_tokens for one in here.samples]
            assert any(one.completions[0] for one in served.samples)


@pytest.mark.skipif(not HUMANEVAL.is_file(), reason="the HumanEval file of ../shared/data is not on this machine")
def test_programs_of_a_server_run_in_the_sandbox(tmp_path: Path) -> None:
    """A scripted model writes the canonical solution of each problem but the third."""
    try:
        isolation()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    with gzip.open(HUMANEVAL, "rt") as file:
        rows = [json.loads(next(file)) for _ in range(6)]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return MODELS
        if asked.method == "GET":
            return Reply({}, status=404)
        place = next(n for n, row in enumerate(rows) if row["prompt"] in asked.body["messages"][0]["content"])
        body = rows[place]["canonical_solution"] if place != 2 else "    return None\n"
        return chatted(f"Here it is:\n```python\n{rows[place]['prompt']}{body}```")

    server = ScriptedServer(answer)
    try:
        (result,) = evaluate(
            server.url, ["humaneval"], data=HUMANEVAL, limit=6, display=Silent(), keep=tmp_path, address=Address()
        )
    finally:
        server.close()
    assert list(result.scores) == [row["task_id"] for row in rows]
    assert list(result.scores.values()) == [1, 1, 0, 1, 1, 1]
    assert result.majority is None and not result.failed


def test_a_killed_evaluation_goes_on_where_it_was(script: Script, sums: Path) -> None:
    """The process gets SIGKILL in the middle; the same command asks at most one batch again."""
    (sums.parent / "sums.jsonl").write_text(
        "".join(json.dumps({"question": f"{n}?", "answer": f"#### {n}"}) + "\n" for n in range(12))
    )
    reached = threading.Event()

    def slow_at_the_end(asked: Asked) -> Reply:
        reply = script._answer(asked)
        if asked.path == "/v1/chat/completions" and int(question_of(asked).rstrip("?")) >= 9:
            reached.set()
            return Reply(b"", wait_seconds=60)
        return reply

    script.server.answer = slow_at_the_end
    command = [sys.executable, "-m", "understudy", "evaluate", script.server.url, "--suite", "gsm8k"]
    command += ["--data", str(sums), "--concurrency", "1", "--json"]
    environment = {**os.environ, "UNDERSTUDY_HOME": str(sums.parent / "home")}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reached.wait(300), "a busy machine starts a process slowly"
    first.send_signal(signal.SIGKILL)
    assert first.wait(60) == -signal.SIGKILL
    first.communicate()
    before = script.server.count("/v1/chat/completions")
    script.server.answer = script._answer
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (figures,) = json.loads(ended.stdout)
    assert (figures["mean"], figures["num_samples"], figures["num_failed"]) == (1.0, 12, 0)
    assert "8 of 12 answers are known from before" in ended.stderr
    assert script.server.count("/v1/chat/completions") - before == 4
