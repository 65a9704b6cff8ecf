"""Who goes through the model next: without a model."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest
import torch

from understudy.protocols import SamplingParams
from understudy.serving import line as line_module
from understudy.serving.jobs import SampleJob, ScoreJob
from understudy.serving.line import Line
from understudy.serving.refusal import Refusal


def line_of(**changes: int) -> Line:
    return Line(**{"max_waiting": 8, "batch_tokens": 100, "batch_rows": 8, **changes})


def score(length: int = 10, **wishes: Any) -> ScoreJob:
    return ScoreJob("m", torch.zeros(length, dtype=torch.int64), **wishes)


def sample(n: int = 1, **params: Any) -> SampleJob:
    return SampleJob(
        "m", torch.zeros(3, dtype=torch.int64), SamplingParams(**{"max_completion_length": 4, **params}), 0, n
    )


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that waits for company far longer than a busy machine could make it wait by accident."""
    for name, seconds in {"_PATIENCE_SECONDS": 20.0, "_QUIET_SECONDS": 1.0, "_BURST_SECONDS": 20.0}.items():
        monkeypatch.setattr(line_module, name, seconds)


def seconds_until_next(line: Line) -> float:
    began = time.monotonic()
    line.next()
    return time.monotonic() - began


@pytest.mark.usefixtures("patient")
def test_a_lone_score_does_not_wait() -> None:
    line = line_of()
    line.took("score", jobs=1, seconds=100.0)
    line.add(score())
    assert seconds_until_next(line) < 0.9


def test_scores_of_one_kind_go_together_up_to_the_budget_in_their_order() -> None:
    line = line_of()
    jobs = [score(40), score(40, top_k=3), score(40, ids=torch.zeros(39, 2)), score(40), score(20)]
    for job in jobs:
        line.add(job)
    assert line.next() == [jobs[0], jobs[2], jobs[4]]
    assert line.next() == [jobs[1]]
    assert line.next() == [jobs[3]]


def test_a_job_larger_than_a_batch_goes_alone() -> None:
    line, large, small = line_of(), score(500), score(5)
    line.add(large)
    line.add(small)
    assert line.next() == [large]
    assert line.next() == [small]


def test_the_kinds_take_turns() -> None:
    line = line_of(batch_tokens=10, batch_rows=1)
    scores, samples = [score(), score(), score()], [sample(), sample(temperature=0.5), sample()]
    for one, other in zip(scores, samples, strict=True):
        line.add(one)
        line.add(other)
    order = [line.next()[0] for _ in range(6)]
    assert order == [scores[0], samples[0], scores[1], samples[1], scores[2], samples[2]]


@pytest.mark.usefixtures("patient")
def test_completions_of_one_kind_are_gathered_as_they_come() -> None:
    line, jobs = line_of(), [sample(2), sample(2, max_completion_length=9), sample(2)]
    late = threading.Timer(0.01, lambda: [line.add(job) for job in jobs[1:]])
    line.add(jobs[0])
    late.start()
    assert line.next() == jobs


@pytest.mark.usefixtures("patient")
def test_a_full_batch_of_completions_waits_for_nobody() -> None:
    line = line_of()
    line.add(sample(8))
    assert seconds_until_next(line) < 0.9


@pytest.mark.usefixtures("patient")
def test_scores_do_not_wait_for_a_burst_of_completions_to_end() -> None:
    line, first = line_of(), score()
    line.add(sample())
    line.add(first)
    assert line.next() == [first]


@pytest.mark.usefixtures("patient")
def test_after_a_batch_of_several_the_next_waits_for_as_many() -> None:
    line, jobs = line_of(), [score(), score()]
    line.took("score", jobs=2, seconds=100.0)
    late = threading.Timer(0.01, line.add, [jobs[1]])
    line.add(jobs[0])
    late.start()
    assert line.next() == jobs


@pytest.mark.usefixtures("patient")
def test_it_waits_a_tenth_of_that_batch() -> None:
    line = line_of()
    line.took("score", jobs=2, seconds=0.5)
    line.add(score())
    assert 0.04 <= seconds_until_next(line) < 10


def test_who_has_left_is_passed_over() -> None:
    line, gone, cancelled, stays = line_of(), score(), score(), score()
    gone.gone = cancelled.future.cancel()
    for job in (gone, cancelled, stays):
        line.add(job)
    assert line.next() == [stays]


def test_a_full_line_refuses_and_makes_room_when_somebody_leaves() -> None:
    line = line_of(max_waiting=2)
    first = score()
    line.add(first)
    line.add(sample())
    with pytest.raises(Refusal) as refused:
        line.add(score())
    assert refused.value.status == 503 and refused.value.headers["Retry-After"] == "1"
    first.gone = True
    line.add(score())


def test_closing_refuses_those_who_wait_and_those_who_come() -> None:
    line, waits = line_of(), score()
    line.add(waits)
    line.close()
    assert isinstance(waits.future.exception(timeout=0), Refusal)
    with pytest.raises(Refusal, match="stopping"):
        line.add(score())
    assert line.next() is None


def test_tasks_run_between_batches_and_while_paused() -> None:
    line, job = line_of(), score()
    line.add(job)
    line.do(lambda: 7)
    line.pause("keep")
    assert line.next().run() == 7
    line.resume()
    assert line.next() == [job]


def paused(line: Line, mode: Any) -> Future[None]:
    """``pause`` in a thread of its own; the future ends when it returns."""
    done: Future[None] = Future()
    threading.Thread(target=lambda: done.set_result(line.pause(mode)), daemon=True).start()
    while not line.is_paused:
        time.sleep(0.001)
    return done


def test_wait_refuses_who_comes_and_returns_when_all_who_came_are_answered() -> None:
    line, running, waits = line_of(batch_tokens=10), score(), score()
    line.add(running)
    line.add(waits)
    assert line.next() == [running]
    done = paused(line, "wait")
    with pytest.raises(Refusal, match="paused"):
        line.add(score())
    assert line.next() == [waits] and not done.done()
    line.close()  # the next call of ``next`` says that the last batch is over
    assert line.next() is None
    done.result(timeout=5)


def test_abort_answers_those_who_wait_and_tells_what_runs() -> None:
    line, running, waiting, scores = line_of(), sample(), sample(temperature=0.5), score()
    line.add(running)
    assert line.next() == [running]
    line.add(waiting)
    line.add(scores)
    paused(line, "abort")
    assert waiting.future.result(timeout=5).aborted
    assert isinstance(scores.future.exception(timeout=5), Refusal)
    assert line.abort_running
    line.close()


def test_abort_of_nothing_leaves_what_comes_later_alone() -> None:
    line, job = line_of(), sample()
    line.pause("abort")
    line.resume()
    line.add(job)
    assert line.next() == [job] and not line.abort_running


def test_keep_lets_them_wait() -> None:
    line, job = line_of(), score()
    line.pause("keep")
    line.add(job)
    assert line.cut_in() == []
    line.resume()
    assert line.next() == [job]
