"""Many waiting requests as one call of the scorer or the sampler, and its answer as many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from understudy.models.sampling_distribution import draw
from understudy.protocols import SampleRequest, SamplingParams, ScoreRequest, Scores
from understudy.randomness import uniform
from understudy.serving.jobs import Next, SampleJob, Scored, ScoreJob, draw_key


def score_request(jobs: Sequence[ScoreJob]) -> ScoreRequest:
    """The union of what jobs of one key wish for: the widest ids and the largest top-k."""
    rows = torch.tensor([_num_rows(job) for job in jobs])
    positions = [torch.arange(job.start + 1, job.start + 1 + _num_rows(job)) for job in jobs]
    first = jobs[0]
    return ScoreRequest(
        contexts=[_context(job) for job in jobs],
        context=torch.repeat_interleave(torch.arange(len(jobs)), rows),
        position=torch.cat(positions),
        ids=_union_of_ids(jobs),
        top_k=max(job.top_k for job in jobs),
        entropy=first.entropy,
        hidden=first.hidden or any(job.next is not None for job in jobs),
        temperature=first.temperature,
    )


def _num_rows(job: ScoreJob) -> int:
    return job.num_rows + (job.next is not None)


def _context(job: ScoreJob) -> Tensor:
    # The row after the last token predicts a token that is not there yet; any id may stand in its place.
    return job.tokens if job.next is None else torch.cat([job.tokens, job.tokens[:1]])


def _union_of_ids(jobs: Sequence[ScoreJob]) -> Tensor | None:
    width = max(0 if job.ids is None else job.ids.shape[1] for job in jobs)
    if width == 0:
        return None
    whole = torch.zeros(sum(map(_num_rows, jobs)), width, dtype=torch.int64)
    place = 0
    for job in jobs:
        if job.ids is not None:
            whole[place : place + job.num_rows, : job.ids.shape[1]] = job.ids.clamp(min=0)
        place += _num_rows(job)
    return whole


def split_scores(scores: Scores, jobs: Sequence[ScoreJob], *, version: str) -> list[Scored]:
    """Each job's share of the scores, with what it asked for and nothing else."""
    answers, place = [], 0
    for job in jobs:
        share = _share(scores, job, slice(place, place + job.num_rows))
        place += _num_rows(job)
        if job.next is None:
            answers.append(Scored(share, version))
            continue
        assert scores.hidden is not None and scores.project is not None
        id, logprob = _drawn(job.next, scores.hidden[place - 1 : place], scores.project)
        answers.append(Scored(share, version, next_id=id, next_logprob=logprob))
    return answers


def _share(scores: Scores, job: ScoreJob, rows: slice) -> Scores:
    at_ids = None
    if job.ids is not None:
        given = scores.at_ids[rows, : job.ids.shape[1]] if scores.at_ids is not None else torch.zeros(job.ids.shape)
        at_ids = given.masked_fill(job.ids < 0, float("-inf"))
    ks = slice(0, job.top_k)
    return replace(
        scores,
        sampled=scores.sampled[rows],
        at_ids=at_ids,
        top_ids=scores.top_ids[rows, ks] if scores.top_ids is not None and job.top_k else None,
        top_logprobs=scores.top_logprobs[rows, ks] if scores.top_logprobs is not None and job.top_k else None,
        entropy=scores.entropy[rows] if scores.entropy is not None and job.entropy else None,
        hidden=scores.hidden[rows] if scores.hidden is not None and job.hidden else None,
        project=scores.project if job.hidden else None,
    )


def _drawn(wish: Next, hidden: Tensor, project: Callable[[Tensor], Tensor]) -> tuple[int, float]:
    number = uniform(seed=0, step=0, purpose="sample", rollout=draw_key(wish.seed, 0), index=0)
    drawn = draw(project(hidden).float(), number.reshape(1).to(hidden.device), wish.params)
    return int(drawn.ids[0]), float(drawn.logprobs[0])


def sample_requests(jobs: Sequence[SampleJob]) -> tuple[list[SampleRequest], SamplingParams]:
    """One request a completion, each with its own length, and the parameters that jobs of one key share."""
    longest = max(job.params.max_completion_length for job in jobs)
    requests = [_sample_request(job, choice) for job in jobs for choice in range(job.n)]
    return requests, replace(jobs[0].params, max_completion_length=longest)


def _sample_request(job: SampleJob, choice: int) -> SampleRequest:
    most = job.params.max_completion_length
    if job.stream is not None:
        return SampleRequest(job.prompt, job.stream.rollout, job.stream.index, max_new_tokens=most)
    return SampleRequest(job.prompt, draw_key(job.seed, choice), max_new_tokens=most)
