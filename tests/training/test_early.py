"""Scoring that begins while others still sample: the same figures and requests, only earlier."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

import understudy as us
from tests.serving.served import running_server
from tests.tiny_files import Workplace, make_workplace, metrics_of
from tests.training.tiny_run import loaded, parts_of
from understudy.models.sampling import LocalSampler
from understudy.objectives.needs import Needs
from understudy.protocols import Sample, Scorer, ScoreRequest, View
from understudy.rollouts import Rollout
from understudy.servers.settings import ServerSettings
from understudy.serving.jobs import Job, ScoreJob
from understudy.serving.running import ScoringServer
from understudy.teachers import CachedScorer, MixedScorer, RoutedScorer
from understudy.teachers.mixture import Share
from understudy.teachers.served import ServedScorer, connect
from understudy.training.clock import Clock
from understudy.training.collecting import Ended
from understudy.training.early import early_scorers
from understudy.training.step import Parts, StepResult, run_step

pytestmark = pytest.mark.timeout(120)

VOCAB = 19


class Counted:
    """The jobs of a server, and an event that the first one sets."""

    def __init__(self, server: ScoringServer) -> None:
        self.url, self.jobs, self.first = server.url, list[ScoreJob](), threading.Event()
        self._add = server.service.line.add
        server.service.line.add = self._counted  # type: ignore[method-assign]

    def _counted(self, job: Job) -> None:
        if isinstance(job, ScoreJob):
            self.jobs.append(job)
            self.first.set()
        self._add(job)

    def texts(self) -> list[list[int]]:
        """What was scored, in a fixed order; probes, which begin at the first token, aside."""
        return sorted(job.tokens.tolist() for job in self.jobs if job.start > 0)

    def restart(self) -> None:
        self.jobs.clear()
        self.first.clear()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("early"))


@pytest.fixture(scope="module")
def server(place: Workplace) -> Iterator[Counted]:
    with running_server(place.path / "teacher", max_logprobs=-1) as running:
        yield Counted(running)


def trained(place: Workplace, server: Counted, name: str, **changes: Any) -> list[dict[str, float | None]]:
    """The metrics of a run whose teacher is the server."""
    server.restart()
    quiet = {"evaluation": {"suites": [], "teacher": False}, "steps": 2, "teacher": {"server": server.url}}
    us.train(place.write_recipe(f"{name}.yaml", name=name, **{**quiet, **changes}))
    return metrics_of(place.path / "runs" / name)


RUNS: Mapping[str, Mapping[str, Any]] = {
    "sampled tokens": {},
    "whole vocabularies": {"objective": {"method": "gkd"}},
    "ids that the student chooses": {"objective": {"method": "local_support", "top_k": 4}},
}


@pytest.mark.parametrize("kind", RUNS)
def test_the_same_figures_from_the_same_requests(
    place: Workplace, server: Counted, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = list(RUNS).index(kind)
    early = trained(place, server, f"early-{number}", **RUNS[kind])
    sent = server.texts()
    monkeypatch.setattr(ServedScorer, "is_eager", property(lambda _: False))
    late = trained(place, server, f"late-{number}", **RUNS[kind])
    assert len(sent) >= 8
    assert sent == server.texts()
    assert len(early) == len(late) == 2
    for one, other in zip(early, late, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_the_server_scores_while_the_student_samples(
    place: Workplace, server: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student waits, in the middle of its sampling, until the server has seen a request: it must come."""
    seen, total = [], []
    sample = LocalSampler.sample

    def waiting(self: LocalSampler, requests: Any, *rest: Any, ended: Any = None, **options: Any) -> list[Sample]:
        if ended is None:  # the server's own sampler, asked for a token by the probe
            return sample(self, requests, *rest, **options)
        server.first.clear()
        told = []

        def tell(place: int, one: Sample) -> None:
            told.append(place)
            ended(place, one)
            if len(told) == 1:
                seen.append(server.first.wait(60))
                total.append(len(requests))

        samples = sample(self, requests, *rest, ended=tell, **options)
        assert sorted(told) == list(range(len(requests)))
        return samples

    monkeypatch.setattr(LocalSampler, "sample", waiting)
    trained(place, server, "waiting", engine={"sampler_batch_rows": 2})
    assert seen == [True, True]
    assert total == [8, 8], "the first of eight, of which two are drawn together"


def parts_with(teacher: Scorer, tell: Any = lambda rollouts: rollouts, **changes: Any) -> Parts:
    """A step whose writer tells of ``tell(rollouts)`` before it ends."""
    parts = parts_of(4)
    write = parts.collect

    def collect(step: int, progress: Any, *, ended: Ended | None = None) -> list[Rollout]:
        rollouts = list(write(step, progress))
        for rollout in tell(rollouts) if ended else ():
            ended(rollout)  # type: ignore[misc]
        return rollouts

    return replace(parts, collect=collect, scorers={"teacher": teacher}, **changes)


def step_of(parts: Parts) -> StepResult:
    return run_step(parts, 0, clock=Clock(), progress=lambda _: None)


@pytest.fixture(scope="module")
def tiny() -> Iterator[Counted]:
    with running_server(loaded(1), max_logprobs=-1) as running:
        yield Counted(running)


def marks(result: StepResult) -> torch.Tensor:
    return result.batch.table["teacher_logprob"]


def connected(tiny: Counted) -> ServedScorer:
    scorer = connect(ServerSettings((tiny.url,)), vocab_size=VOCAB)
    tiny.restart()
    return scorer


WRAPPED: Mapping[str, Any] = {
    "alone": lambda scorer: scorer,
    "cached": CachedScorer,
    "routed": lambda scorer: RoutedScorer({"even": scorer}),
    "mixed": lambda scorer: MixedScorer([Share(scorer, 1.0)]),
    "cached, in a route": lambda scorer: RoutedScorer({"even": CachedScorer(scorer)}),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrappers_pass_on_what_they_expect(tiny: Counted, kind: str) -> None:
    expected = marks(step_of(parts_of(4)))
    scorer = connected(tiny)
    teacher = WRAPPED[kind](scorer)
    begun: list[ScoreRequest] = []
    expect = scorer.expect
    scorer.expect = lambda request: (begun.append(request), expect(request))[1]  # type: ignore[method-assign]
    result = step_of(parts_with(teacher))
    torch.testing.assert_close(marks(result), expected, atol=1e-4, rtol=0)
    contexts = [context.ids.tolist() for context in result.batch.contexts]
    assert len(begun) == len(contexts) == 7, "the eighth rollout is empty"
    # Equal texts are asked once; the prompt of one token looks like a probe.
    assert tiny.texts() == sorted(map(list, {tuple(ids) for ids in contexts if ids[0] != 4}))


def test_what_was_told_wrongly_changes_nothing(tiny: Counted) -> None:
    def other(rollouts: list[Rollout]) -> list[Rollout]:
        """As though the environment had then cut every last token."""
        shorter = []
        for rollout in rollouts[:3]:
            turn = rollout.turns[0]
            columns = ("completion_ids", "origin", "behaviour_logprob", "weight_version")
            cut = replace(turn, **{name: getattr(turn, name)[:-1] for name in columns})
            shorter.append(replace(rollout, turns=(cut,)))
        return shorter

    expected = marks(step_of(parts_of(4)))
    scorer = connected(tiny)
    torch.testing.assert_close(marks(step_of(parts_with(scorer, other))), expected, atol=1e-4, rtol=0)
    assert not scorer._asker._expected


def test_a_step_that_is_given_up_leaves_nothing_behind(tiny: Counted) -> None:
    scorer = connected(tiny)

    def broken(rollouts: list[Rollout]) -> Iterator[Rollout]:
        yield from rollouts[:2]
        assert len(scorer._asker._expected) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step_of(parts_with(scorer, broken))
    assert not scorer._asker._expected
    expected = marks(step_of(parts_of(4)))
    torch.testing.assert_close(marks(step_of(parts_with(scorer))), expected, atol=1e-4, rtol=0)


def view(after: Any) -> View:
    return View(after, lambda rollouts, contexts: [])


def test_who_may_begin_early(tiny: Counted) -> None:
    teacher = connected(tiny)
    plain = parts_of(4).scorers["teacher"]
    needs = Needs(columns=frozenset({"teacher_logprob"}), top_k={"teacher": 3})
    assert early_scorers({"teacher": teacher}, {}, needs) == {"teacher": teacher}
    assert early_scorers({"teacher": teacher}, {"teacher": view("rollout")}, needs) == {"teacher": teacher}
    assert early_scorers({"teacher": teacher}, {"other": view("group")}, needs) == {"teacher": teacher}
    assert not early_scorers({"teacher": teacher}, {"teacher": view("reward")}, needs)
    assert not early_scorers({"teacher": teacher, "reference": plain}, {"reference": view("group")}, needs)
    assert not early_scorers({"teacher": plain}, {}, needs)
    assert not early_scorers({"teacher": RoutedScorer({"a": plain, "b": CachedScorer(plain)})}, {}, needs)
    chosen = needs | Needs(at_ids=frozenset({("teacher", "student_top_k")}))
    assert not early_scorers({"teacher": teacher}, {}, chosen)
    other = needs | Needs(at_ids=frozenset({("student", "teacher_top_k")}))
    assert early_scorers({"teacher": teacher}, {}, other) == {"teacher": teacher}
