"""Columns: who is asked for what, and that the figures are those of the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conformance.oracle import dense_logprobs
from tests.conformance.tiny import VOCAB, tiny_batch, tiny_model
from tests.training.tiny_run import go, loaded, parts_of
from understudy.engines.local import LocalPolicy, LocalScorer, OptimizerConfig
from understudy.errors import CapabilityError
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import GKD, OPD, SFT, objective_of
from understudy.objectives.methods.local_support import LocalSupport
from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.objectives.supports import student_top_k
from understudy.objectives.terms import divergence
from understudy.plans import Divergence
from understudy.protocols import Capabilities, SamplingParams, ScoreRequest, Scores, View, Viewed
from understudy.rollouts import Context, Origin
from understudy.tokens import Batch, TokenTable
from understudy.training.clock import Clock
from understudy.training.columns import Scoring, Trust, check_needs, with_late_ids, with_scorer, with_student
from understudy.training.step import run_step
from understudy.training.views import Reading, as_the_student


@dataclass
class Listening:
    """A scorer that keeps the requests it passes on."""

    scorer: LocalPolicy | LocalScorer
    requests: list[ScoreRequest] = field(default_factory=list)

    @property
    def version(self) -> int:
        return self.scorer.version

    @property
    def capabilities(self) -> Capabilities:
        return self.scorer.capabilities

    @property
    def fingerprint(self) -> str:
        return self.scorer.fingerprint

    def score(self, request: ScoreRequest) -> Scores:
        self.requests.append(request)
        return self.scorer.score(request)


def policy() -> Listening:
    return Listening(LocalPolicy(loaded(0), optimizer=OptimizerConfig(), total_updates=1))


def dense(batch: Batch, *, seed: int, temperature: float = 1.0) -> Tensor:
    contexts = [context.ids for context in batch.contexts]
    table = batch.table
    return dense_logprobs(
        tiny_model(seed=seed), contexts, table["context"], table["position"], vocab_size=VOCAB, temperature=temperature
    ).detach()


def scoring(batch: Batch, needs: Needs, *, temperature: float = 1.0, trust: Trust | None = None) -> Scoring:
    reading = as_the_student(batch.contexts, batch.table)
    readings = dict.fromkeys(("student", "teacher", "reference"), reading)
    return Scoring(needs=needs, readings=readings, temperature=temperature, trust=trust or Trust())


def with_true_behaviour(batch: Batch) -> TokenTable:
    """The table as if the student of seed 0 had sampled it."""
    exact = dense(batch, seed=0).gather(1, batch.table["token_id"][:, None])[:, 0].float()
    return batch.table.with_tokens(behaviour_logprob=exact)


ONLY_LOGPROB = Needs(columns=frozenset({"student_logprob"}))


def test_the_samplers_own_figures_are_taken_after_a_look_at_two_rollouts() -> None:
    batch, student = tiny_batch(), policy()
    table, drift = with_student(with_true_behaviour(batch), student, scoring(batch, ONLY_LOGPROB))
    assert table["student_logprob"].equal(table["behaviour_logprob"])
    assert drift is not None and drift < 1e-5
    scored = torch.isin(table["rollout"], torch.tensor([0, 2]))  # rollout 1 is empty
    assert [request.context.numel() for request in student.requests] == [int(scored.sum())]


def test_a_sampler_that_drifts_is_not_trusted() -> None:
    batch, student = tiny_batch(), policy()
    true = with_true_behaviour(batch)
    off = true.with_tokens(behaviour_logprob=true["behaviour_logprob"] + 0.25)
    table, drift = with_student(off, student, scoring(batch, ONLY_LOGPROB))
    torch.testing.assert_close(table["student_logprob"], true["behaviour_logprob"])
    assert drift == pytest.approx(0.25, abs=1e-5)
    assert len(student.requests) == 2 and student.requests[1].context.numel() == table.num_tokens


def one_teacher_token(table: TokenTable) -> TokenTable:
    origin = table["origin"].clone()
    origin[3] = Origin.TEACHER
    return table.with_tokens(origin=origin)


def one_stale_token(table: TokenTable) -> TokenTable:
    version = table["weight_version"].clone()
    version[3] = -1
    return table.with_tokens(weight_version=version)


@pytest.mark.parametrize("spoil", [one_teacher_token, one_stale_token])
def test_a_row_that_the_present_student_did_not_sample_makes_all_rows_be_scored(spoil: object) -> None:
    batch, student = tiny_batch(), policy()
    true = with_true_behaviour(batch)
    spoilt = spoil(true).with_tokens(behaviour_logprob=true["behaviour_logprob"] - 0.5)  # type: ignore[operator]
    table, drift = with_student(spoilt, student, scoring(batch, ONLY_LOGPROB))
    torch.testing.assert_close(table["student_logprob"], true["behaviour_logprob"])
    assert drift == pytest.approx(0.5, abs=1e-5)  # over the rows that can be compared
    assert len(student.requests) == 1


def test_the_look_at_two_rollouts_and_late_ids_are_at_the_temperature_of_the_loss() -> None:
    batch, student, teacher = tiny_batch(), policy(), Listening(LocalScorer(loaded(1)))
    warm = dense(batch, seed=0, temperature=0.7)
    sampled = warm.gather(1, batch.table["token_id"][:, None])[:, 0].float()
    needs = Needs(
        columns=frozenset({"student_logprob"}),
        top_k={"teacher": 3},
        at_ids=frozenset({("student", "teacher_top_k")}),
    )
    alone = scoring(batch, ONLY_LOGPROB, temperature=0.7)
    table, drift = with_student(batch.table.with_tokens(behaviour_logprob=sampled), student, alone)  # type: ignore[arg-type]
    assert drift == pytest.approx(0.0, abs=1e-5) and len(student.requests) == 1
    wanted = scoring(batch, needs, temperature=0.7)
    table = with_scorer(table, "teacher", teacher, wanted)
    table = with_late_ids(table, {"student": student, "teacher": teacher}, wanted)
    column = table.wide_column("student_at_teacher_top_k")
    torch.testing.assert_close(column.logprobs.double(), warm.gather(1, column.ids), atol=1e-5, rtol=1e-5)


def test_a_truncated_sampler_is_never_trusted_and_says_nothing_of_drift() -> None:
    batch, student = tiny_batch(), policy()
    table, drift = with_student(batch.table, student, scoring(batch, ONLY_LOGPROB, trust=Trust(exact=False)))
    torch.testing.assert_close(table["student_logprob"], with_true_behaviour(batch)["behaviour_logprob"])
    assert drift is None


def test_one_call_fetches_all_of_the_students_columns() -> None:
    batch, student = tiny_batch(), policy()
    needs = Needs(columns=frozenset({"student_logprob", "student_entropy"}), top_k={"student": 3})
    table, drift = with_student(with_true_behaviour(batch), student, scoring(batch, needs, temperature=0.7))
    assert len(student.requests) == 1
    expected = dense(batch, seed=0, temperature=0.7)
    entropy = -(expected.exp() * expected).sum(1)
    torch.testing.assert_close(table["student_entropy"].double(), entropy, atol=1e-5, rtol=1e-5)
    top = expected.topk(3)
    assert table.wide_column("student_top_k").ids.equal(top.indices)
    torch.testing.assert_close(table.wide_column("student_top_k").logprobs.double(), top.values, atol=1e-5, rtol=1e-5)
    assert drift is not None


def test_nobody_is_asked_when_nothing_of_the_student_is_needed() -> None:
    batch, student = tiny_batch(), policy()
    table, drift = with_student(batch.table, student, scoring(batch, Needs()))
    assert table is batch.table and drift is None and not student.requests


def test_a_teacher_answers_at_ids_that_stand_and_the_student_at_the_teachers_later() -> None:
    batch, student, teacher = tiny_batch(), policy(), Listening(LocalScorer(loaded(1)))
    needs = Needs(
        columns=frozenset({"teacher_logprob"}),
        top_k={"student": 2, "teacher": 3},
        at_ids=frozenset({("teacher", "student_top_k"), ("student", "teacher_top_k")}),
        hidden=frozenset({"teacher"}),
    )
    wanted = scoring(batch, needs)
    table, _ = with_student(batch.table, student, wanted)  # type: ignore[arg-type]
    table = with_scorer(table, "teacher", teacher, wanted)
    table = with_late_ids(table, {"student": student, "teacher": teacher}, wanted)
    assert (len(student.requests), len(teacher.requests)) == (2, 1)
    truth = {"student": dense(batch, seed=0), "teacher": dense(batch, seed=1)}
    for reader, chooser in (("teacher", "student"), ("student", "teacher")):
        column = table.wide_column(f"{reader}_at_{chooser}_top_k")
        chosen = table.wide_column(f"{chooser}_top_k").ids
        assert column.ids.equal(chosen)
        torch.testing.assert_close(column.logprobs.double(), truth[reader].gather(1, chosen), atol=1e-5, rtol=1e-5)
    hidden = table.hidden_column("teacher")
    projected = hidden.project(hidden.states).double().log_softmax(1)
    torch.testing.assert_close(projected, truth["teacher"], atol=1e-5, rtol=1e-5)


class ShortOfCandidates(Listening):
    """A teacher whose list has two tokens that the student knows; a third fills the row."""

    def score(self, request: ScoreRequest) -> Scores:
        scores = super().score(request)
        assert scores.top_logprobs is not None
        scores.top_logprobs[:, -1] = -torch.inf
        return scores


def test_a_token_that_only_fills_a_teachers_list_is_not_taken_for_forbidden() -> None:
    batch, student = tiny_batch(), policy()
    teacher = ShortOfCandidates(LocalScorer(loaded(1)))
    objective = objective_of(LocalSupport(top_k=3))
    wanted = scoring(batch, objective.needs)
    table = with_scorer(batch.table, "teacher", teacher, wanted)
    column = table.wide_column("teacher_top_k")
    assert column.valid is not None and column.valid.tolist() == [[True, True, False]] * table.num_tokens
    (plan,) = objective.plan(table, PlanContext())
    gradients = student.scorer.gradients(Batch(batch.contexts, table), plan)  # type: ignore[union-attr]

    (without,) = objective_of(LocalSupport(top_k=2)).plan(table, PlanContext())
    expected = student.scorer.gradients(Batch(batch.contexts, table), without)  # type: ignore[union-attr]
    assert all(torch.allclose(gradients[name], expected[name], atol=1e-7) for name in expected)
    assert any(bool(gradient.abs().max() > 1e-4) for gradient in expected.values())


def test_a_missing_teacher_is_refused_before_the_run_touches_anything(tmp_path: Path) -> None:
    parts = replace(parts_of(2), scorers={})
    with pytest.raises(CapabilityError, match=r"needs a teacher; expected teacher_logprob.*section 'teacher'"):
        go(tmp_path / "run", parts)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_teacher_without_hidden_states_is_refused_for_gkd() -> None:
    class Poor(Listening):
        @property
        def capabilities(self) -> Capabilities:
            return Capabilities(sampled=True)

    poor = Poor(LocalScorer(loaded(1)))
    with pytest.raises(CapabilityError, match="last hidden states"):
        check_needs(objective_of(GKD()), policy=poor, scorers={"teacher": poor})
    check_needs(objective_of(OPD()), policy=poor, scorers={"teacher": poor})
    check_needs(objective_of(SFT()), policy=poor, scorers={})


def test_a_top_k_above_the_limit_is_refused_and_one_above_the_vocabulary_is_all_of_it() -> None:
    needs = Needs(top_k={"teacher": 64})
    limited = Capabilities(top_k=20)
    with pytest.raises(CapabilityError, match=r"the top 64 tokens \(its limit: 20\) from the teacher"):
        needs.check("teacher", limited)
    batch, teacher = tiny_batch(), Listening(LocalScorer(loaded(1)))
    assert VOCAB < 64
    needs.check("teacher", teacher.capabilities)
    table = with_scorer(batch.table, "teacher", teacher, scoring(batch, needs))
    whole = table.wide_column("teacher_top_k")
    assert whole.ids.sort(1).values.tolist() == [list(range(VOCAB))] * batch.table.num_tokens
    assert torch.allclose(whole.logprobs.double().exp().sum(1), torch.ones(batch.table.num_tokens, dtype=torch.float64))


def test_more_chosen_ids_than_a_teacher_scores_are_refused_before_step_0() -> None:
    needs = Needs(top_k={"student": 256}, at_ids=frozenset({("teacher", "student_top_k")}))
    with pytest.raises(CapabilityError, match=r"log-probs at 256 chosen ids \(its limit: 128\) from the teacher"):
        needs.check("teacher", Capabilities(at_ids=128))
    with pytest.raises(CapabilityError, match="log-probs at 256 chosen ids"):
        needs.check("teacher", Capabilities(top_k=256))
    needs.check("teacher", Capabilities(at_ids=256))
    needs.check("teacher", Capabilities(at_ids=100, vocab_size=100))  # all there are


def test_a_teacher_may_read_other_contexts_than_the_student() -> None:
    """A view that puts a hint in front: the scores are those of the longer contexts."""
    hint = torch.tensor([9, 8, 7])

    def with_hint(_: object, contexts: Sequence[Context]) -> list[Viewed]:
        return [
            Viewed(torch.cat([hint, context.ids]), torch.arange(context.ids.numel()) + hint.numel())
            for context in contexts
        ]

    parts = parts_of(2)
    plain = run_step(parts, 0, clock=Clock(), progress=lambda count: None).batch
    hinted = replace(parts_of(2), views={"teacher": View("rollout", with_hint)})
    viewed = run_step(hinted, 0, clock=Clock(), progress=lambda count: None).batch
    assert viewed.table["student_logprob"].equal(plain.table["student_logprob"])
    reading = Reading(
        [one.ids for one in with_hint(None, viewed.contexts)],
        viewed.table["context"],
        viewed.table["position"] + hint.numel(),
    )
    truth = dense_logprobs(
        tiny_model(seed=1), reading.contexts, reading.context, reading.position, vocab_size=VOCAB
    ).gather(1, viewed.table["token_id"][:, None])
    torch.testing.assert_close(viewed.table["teacher_logprob"].double(), truth[:, 0], atol=1e-5, rtol=1e-5)
    assert (viewed.table["teacher_logprob"] - plain.table["teacher_logprob"]).abs().max() > 0.1


@pytest.mark.parametrize(
    "objective",
    [
        objective_of(GKD(lmbda=1.0)),
        Objective({"local": divergence(Divergence("reverse", support="renormalised"), support=student_top_k(4))}),
        Objective(
            {"local": divergence(Divergence("reverse", support="tail"), support=student_top_k(4))}, num_updates=2
        ),
    ],
)
def test_other_objectives_go_through_the_same_step(objective: Objective) -> None:
    parts = parts_of(2, objective=objective, params=SamplingParams(8, top_p=0.9, stop_ids=frozenset({1})))
    losses = [
        run_step(parts, 0, clock=Clock(), progress=lambda count: None).updates[0].loss for _ in range(12)
    ]  # the same step again and again: prompts and draws stay, the student moves
    assert losses[-1] < 0.8 * losses[0]
