"""The thread that owns the model: it takes batches from the line and answers them, one after the other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from understudy.protocols import Sample
from understudy.rollouts import FinishReason
from understudy.serving.batches import sample_requests, score_request, split_scores
from understudy.serving.jobs import Completion, Job, Sampled, SampleJob, Scored, ScoreJob
from understudy.serving.line import Line, Task
from understudy.serving.metrics import Metrics
from understudy.serving.refusal import Refusal, refusal_of
from understudy.serving.resident import Resident
from understudy.serving.top_tokens import top_tokens

_log = logging.getLogger(__name__)


class _AbortedError(Exception):
    """Nobody wants the running completions any more."""


class Worker(threading.Thread):
    """Runs batches until the line is closed.

    Waiting scores cut in between two steps of a decode, at most half of the time: a long completion delays no teacher.

    Args:
        resident: the model. line: of jobs. metrics: told of every batch.
    """

    def __init__(self, resident: Resident, line: Line, metrics: Metrics) -> None:
        super().__init__(name="understudy-model", daemon=True)
        self._resident, self._line, self._metrics = resident, line, metrics
        self._decoding: Sequence[SampleJob] = ()
        self._score_seconds, self._scored_at = 0.0, 0.0

    def run(self) -> None:
        """Until the line is closed."""
        model: nn.Module = self._resident.loaded.model
        hook = model.register_forward_pre_hook(self._between_steps)
        try:
            while (work := self._line.next()) is not None:
                self._do(work)
        finally:
            hook.remove()

    def _do(self, work: Task | list[Job]) -> None:
        if isinstance(work, Task):
            _run_task(work)
            return
        jobs: Any = work
        if isinstance(jobs[0], ScoreJob):
            self._score(jobs)
        else:
            self._sample(jobs)

    def _score(self, jobs: Sequence[ScoreJob]) -> None:
        began = time.monotonic()
        resident = self._resident
        try:
            with resident.answering_as(jobs[0].model):
                scores = resident.scorer.score(score_request(jobs))
            answers = split_scores(scores, jobs, version=resident.version)
        except Exception as error:
            _one_by_one(self._score, jobs, error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            _answer(job, answer)
        seconds = time.monotonic() - began
        self._line.took("score", jobs=len(jobs), seconds=seconds)
        self._metrics.batch("score", jobs=len(jobs), tokens=sum(job.size for job in jobs), seconds=seconds)

    def _sample(self, jobs: Sequence[SampleJob]) -> None:
        began = time.monotonic()
        self._decoding, self._score_seconds = jobs, 0.0
        try:
            with self._resident.answering_as(jobs[0].model):
                answers = self._drawn(jobs)
        except _AbortedError:
            answers = [Sampled((), version=self._resident.version, aborted=True) for _ in jobs]
        except Exception as error:
            _one_by_one(self._sample, jobs, error)
            return
        finally:
            self._decoding = ()
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)
        seconds = time.monotonic() - began
        self._line.took("sample", jobs=len(jobs), seconds=seconds)
        drawn = sum(completion.ids.numel() for answer in answers for completion in answer.completions)
        self._metrics.batch("sample", jobs=len(jobs), tokens=drawn, seconds=seconds)

    def _drawn(self, jobs: Sequence[SampleJob]) -> list[Sampled]:
        requests, params = sample_requests(jobs)
        seed, step = jobs[0].numbers
        samples = iter(self._resident.sampler.sample(requests, params, seed=seed, step=step))
        version = self._resident.version
        return [Sampled(tuple(self._completion(job, next(samples)) for _ in range(job.n)), version) for job in jobs]

    def _completion(self, job: SampleJob, sample: Sample) -> Completion:
        top_ids, top_logprobs = None, None
        if job.top_logprobs:
            top_ids, top_logprobs = top_tokens(
                self._resident.scorer, job.prompt, sample.completion_ids, job.params, k=job.top_logprobs
            )
        stopped = sample.finish_reason is FinishReason.STOP
        return Completion(sample.completion_ids, sample.logprobs, stopped, top_ids, top_logprobs)

    def _between_steps(self, *_: object) -> None:
        if threading.current_thread() is not self or not self._decoding:
            return  # somebody else's forward pass: the model may be shared in memory
        if self._line.abort_running or all(job.gone for job in self._decoding):
            raise _AbortedError
        now = time.monotonic()
        if now - self._scored_at >= self._score_seconds and (jobs := self._line.cut_in()):
            self._score([job for job in jobs if isinstance(job, ScoreJob)])
            self._scored_at = time.monotonic()
            self._score_seconds = self._scored_at - now


def _run_task(task: Task) -> None:
    if not task.future.set_running_or_notify_cancel():
        return
    try:
        task.future.set_result(task.run())
    except Exception as error:
        task.future.set_exception(_seen(error))


def _answer(job: ScoreJob, answer: Scored) -> None:
    if bool(answer.scores.sampled.isnan().any()):
        job.future.set_exception(Refusal(500, "the model answers these tokens with NaN: its weights are broken"))
    else:
        job.future.set_result(answer)


def _one_by_one(run: Callable[[Sequence[Any]], None], jobs: Sequence[Job], error: Exception) -> None:
    """What fails together is tried alone, so that nobody pays for a neighbour; alone it has failed."""
    if len(jobs) > 1:
        for job in jobs:
            run([job])
    else:
        jobs[0].future.set_exception(_seen(error))


def _seen(error: Exception) -> Refusal:
    """What clients are told; what nobody foresaw goes to the log, and not to them."""
    refusal = refusal_of(error)
    if refusal is None:
        _log.error("a batch failed", exc_info=error)
        return Refusal(500, f"the server failed ({type(error).__name__}); its log says why")
    return refusal
