"""Figures of a hand-made step, worked out on paper."""

from __future__ import annotations

import math
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import torch

from tests.fake_world import on_ranks
from understudy.environments.agents import TALLY, Tally
from understudy.plans import LossPlan
from understudy.protocols import UpdateResult
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, Wide, batch_of
from understudy.training import metric_lines
from understudy.training.metrics import figures_of
from understudy.training.pooling import pooled
from understudy.training.step import StepResult
from understudy.world import World


def rollout(
    key: int, origins: list[Origin], *, domain: str, reward: float | None = None, correct: bool | None = None
) -> Rollout:
    count = len(origins)
    turn = Turn(
        prompt_ids=torch.tensor([1]),
        completion_ids=torch.arange(2, 2 + count),
        origin=torch.tensor(origins, dtype=torch.int64),
        behaviour_logprob=torch.full((count,), -1.0),
        weight_version=torch.zeros(count, dtype=torch.int64),
        finish_reason=FinishReason.LENGTH if count == 3 else FinishReason.STOP,
    )
    turns = (turn,) if count else ()
    reason = turn.finish_reason if count else FinishReason.FAILED
    return Rollout(key, 0, "p", turns, reason, reward=reward, correct=correct, domain=domain)


S, T, D = Origin.STUDENT, Origin.TEACHER, Origin.DATA


def result_of(batch: Batch, rollouts: list[Rollout], *, drift: float | None = None) -> StepResult:
    updates = [
        UpdateResult({"a": 1.0, "b": 2.0}, grad_norm=4.0, learning_rate=0.2, num_tokens=10),
        UpdateResult({"a": 3.0, "b": -1.0}, grad_norm=2.0, learning_rate=0.1, num_tokens=7),
    ]
    plans = [LossPlan([], statistics={"gate/a": 0.5}), LossPlan([], statistics={"gate/a": 1.0, "advantage/a/mean": 3})]
    return StepResult(3, rollouts, batch, plans, updates, drift, {"sample": 1.5})


def test_figures_of_a_step_by_hand() -> None:
    rollouts = [
        rollout(0, [S, S, S], domain="x", reward=1.0, correct=True),
        rollout(1, [], domain="x", reward=0.0, correct=False),
        rollout(2, [S], domain="y"),
        rollout(3, [T, T], domain="y", reward=5.0, correct=True),
        rollout(4, [D], domain="y", reward=100.0, correct=True),
    ]
    batch = batch_of(rollouts, contexts_of(rollouts))
    student = torch.tensor([-1.0, -2.0, -3.0, -1.0, -9.0, -9.0, -9.0])
    teacher = torch.tensor([-1.0, -1.0, -5.0, -31.0, -1.0, -1.0, -1.0])
    table = batch.table.with_tokens(
        student_logprob=student,
        teacher_logprob=teacher,
        student_entropy=torch.tensor([0.0, 1.0, 2.0, 3.0, 99.0, 99.0, 99.0]),
    )
    figures = figures_of(result_of(Batch(batch.contexts, table), rollouts, drift=0.002))
    k3 = lambda a: math.exp(a) - a - 1  # noqa: E731
    expected = {
        "loss": 2.5,  # (3 + 2) / 2
        "loss/a": 2.0,
        "loss/b": 0.5,
        "grad_norm": 3.0,
        "learning_rate": 0.1,
        "num_tokens": 17,
        "completions/mean_length": 7 / 5,
        "completions/min_length": 0,
        "completions/max_length": 3,
        "completions/clipped_ratio": 1 / 5,
        "rollouts/mean_turns": 4 / 5,
        "rollouts/failed": 1,
        "reward": 0.5,  # the student's graded rollouts: 0 and the failed one
        "accuracy": 0.5,
        "accuracy/x": 0.5,  # nothing decides the student's of y
        "gap/teacher_student": (0 + 1 + 2 + 30) / 4,
        "teacher/reward": 5.0,
        "teacher/accuracy": 1.0,
        "kl/reverse_k1": (0 - 1 + 2 + 30) / 4,
        "kl/reverse_k1/x": 1 / 3,
        "kl/reverse_k1/y": 30,
        "kl/k3/x": (k3(0) + k3(1) + k3(-2)) / 3,
        "kl/k3/y": k3(-20),
        "tokens/share/x": 3 / 4,
        "tokens/share/y": 1 / 4,
        "kl/k3": (k3(0) + k3(1) + k3(-2) + k3(-20)) / 4,  # the ratio of -30 is cut to -20
        "entropy": 1.5,
        "entropy/sampled": (1 + 2 + 3 + 1) / 4,
        "drift/trainer_vs_sampler": 0.002,
        "gate/a": 0.75,
        "advantage/a/mean": 3,
        "time/sample": 1.5,
    }
    assert figures == pytest.approx(expected)


def test_what_a_teacher_began_and_what_could_not_be_read_by_hand() -> None:
    rollouts = [
        replace(rollout(0, [T, T, S], domain=""), num_given=2, parsed=True),
        replace(rollout(1, [T, T], domain=""), num_given=2, parsed=False),  # the teacher's alone
        replace(rollout(2, [S, S], domain=""), num_given=0, parsed=False),
        replace(rollout(3, [], domain=""), num_given=0, parsed=None),
        replace(rollout(4, [S], domain=""), parsed=False),
        rollout(5, [T, T, T], domain=""),  # nobody was to begin it
    ]
    rollouts[4] = replace(rollouts[4], turns=rollouts[4].turns * 2)
    figures = figures_of(result_of(batch_of(rollouts, contexts_of(rollouts)), rollouts))
    assert figures["prefix/share"] == pytest.approx(4 / 7)
    assert figures["prefix/mean_length"] == 1.0
    assert figures["prefix/only"] == 1.0
    assert figures["rollouts/mean_turns"] == 1.0  # 1 + 1 + 1 + 0 + 2 + 1 of six
    assert figures["parse_failure_rate"] == pytest.approx(2 / 3)  # of rollouts 0, 2 and 4
    plain = [rollout(0, [S], domain=""), rollout(1, [T], domain="")]
    names = figures_of(result_of(batch_of(plain, contexts_of(plain)), plain))
    assert not any(name.startswith("prefix/") for name in names) and "parse_failure_rate" not in names


def test_masses_and_agreement_by_hand() -> None:
    rollouts = [rollout(0, [S, S], domain="")]
    batch = batch_of(rollouts, contexts_of(rollouts))
    at = lambda *rows: torch.tensor(rows).log()  # noqa: E731
    ids = torch.tensor([[1, 2], [3, 4]])
    table = batch.table.with_wide(
        student_top_k=Wide(ids, at([0.5, 0.25], [0.75, 0.125])),
        teacher_top_k=Wide(torch.tensor([[1, 9], [4, 3]]), at([0.9, 0.1], [0.6, 0.4])),
        teacher_at_student_top_k=Wide(ids, at([0.9, 0.05], [0.4, 0.0])),
    )
    figures = figures_of(result_of(Batch(batch.contexts, table), rollouts))
    assert figures["support/student_mass"] == pytest.approx((0.75 + 0.875) / 2)
    assert figures["support/teacher_mass"] == pytest.approx((0.95 + 0.4) / 2)  # at the student's ids
    assert figures["agreement/top1"] == 0.5
    assert "kl/reverse_k1" not in figures and "entropy" not in figures and "drift/trainer_vs_sampler" not in figures


def test_a_step_without_rollouts_has_no_nan() -> None:
    figures = figures_of(result_of(batch_of([], []), []))
    assert figures["rollouts/failed"] == 0
    assert all(math.isfinite(value) for value in figures.values())


def test_lines_are_strict_json_and_survive_half_a_line(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    metric_lines.append(file, 0, {"loss": 0.1, "bad": float("nan"), "worse": float("-inf")})
    metric_lines.append(file, 1, {"loss": 1 / 3})
    assert "NaN" not in file.read_text() and "Infinity" not in file.read_text()
    with file.open("ab") as out:
        out.write(b'{"step": 2, "lo\xff')
    expected = [{"step": 0, "loss": 0.1, "bad": None, "worse": None}, {"step": 1, "loss": 1 / 3}]
    assert metric_lines.read(file) == expected
    assert metric_lines.cut(file, below=1) == 1
    metric_lines.append(file, 1, {"loss": 2.0})
    assert metric_lines.read(file) == [expected[0], {"step": 1, "loss": 2.0}]
    assert file.read_text().count("\n") == 2


def test_what_only_fills_a_row_has_no_mass() -> None:
    rollouts = [rollout(0, [S], domain="")]
    batch = batch_of(rollouts, contexts_of(rollouts))
    ids, valid = torch.tensor([[1, 2]]), torch.tensor([[True, False]])
    table = batch.table.with_wide(
        teacher_top_k=Wide(ids, torch.tensor([[0.5, 0.0]]).log(), valid),
        student_at_teacher_top_k=Wide(ids, torch.tensor([[0.25, 0.5]]).log(), valid),
    )
    figures = figures_of(result_of(Batch(batch.contexts, table), rollouts))
    assert figures["support/student_mass"] == pytest.approx(0.25)
    assert figures["support/teacher_mass"] == pytest.approx(0.5)


def seen(*kept: int, rollouts: list[Rollout], **columns: list[float]) -> StepResult:
    """A step whose table has these rows only, those that every scorer can read."""
    batch = batch_of(rollouts, contexts_of(rollouts))
    table = batch.table.keep_rows(torch.tensor(kept, dtype=torch.int64))
    table = table.with_tokens(**{name: torch.tensor(values) for name, values in columns.items()})
    return result_of(Batch(batch.contexts, table), rollouts)


@dataclass
class Threads:
    """Ranks that gather once, as threads of one process."""

    rank: int
    board: list[bytes]
    barrier: threading.Barrier

    @property
    def size(self) -> int:
        return len(self.board)

    def gather(self, content: bytes) -> list[bytes]:
        self.board[self.rank] = content
        self.barrier.wait(timeout=30)
        return list(self.board)


def pooled_over(*results: StepResult) -> list[dict[str, float]]:
    """The figures of these results, one of each rank, as every rank tells them."""
    board, barrier = [b""] * len(results), threading.Barrier(len(results))

    def work(rank: int, world: World) -> dict[str, float]:
        figures = figures_of(results[rank], world=world, domains=["", "x"])
        return pooled(Threads(rank, board, barrier), figures)

    return on_ranks(work, len(results))


def test_the_share_of_unread_tokens_is_of_all_ranks_also_where_one_read_everything() -> None:
    whole = seen(0, 1, 2, 3, 4, rollouts=[rollout(0, [S] * 5, domain="x")])
    partial = seen(0, 2, rollouts=[rollout(1, [S] * 3, domain="x")])
    nothing = seen(rollouts=[rollout(2, [], domain="x")])
    for figures in pooled_over(whole, partial, nothing):
        assert figures["rollouts/unaligned_tokens"] == 1
        assert figures["rollouts/unaligned_share"] == pytest.approx(1 / 8)
    assert "rollouts/unaligned_share" not in pooled_over(whole, whole)[0]


def test_a_rollout_of_which_nothing_can_be_read_is_counted_and_an_empty_one_is_not() -> None:
    rollouts = [rollout(0, [S, S], domain=""), rollout(1, [S, S], domain=""), rollout(2, [], domain="")]
    assert figures_of(seen(0, 1, 3, rollouts=rollouts))["rollouts/unaligned"] == 0
    assert figures_of(seen(0, rollouts=rollouts))["rollouts/unaligned"] == 1


def test_the_figures_of_two_ranks_are_those_of_one_with_all_rollouts() -> None:
    first = [
        replace(rollout(0, [T, S, S], domain="x", reward=1.0, correct=True), num_given=1, parsed=True),
        replace(rollout(1, [S], domain="", reward=0.25, correct=False), parsed=False),
        replace(rollout(2, [S, S, S, S], domain="x", correct=False), num_given=0, parsed=True),
    ]
    second = [replace(rollout(3, [T, T, T, S, S], domain="", reward=4.0, correct=True), num_given=3, parsed=False)]
    tallies = [Tally(steps=6, malformed=3, penalties=0.5), None, Tally(steps=1, cut=1), Tally(steps=2, inadmissible=1)]
    for one, tally in zip([*first, *second], tallies, strict=True):
        object.__setattr__(one, "extra", {} if tally is None else {TALLY: asdict(tally)})

    def result(rollouts: list[Rollout], values: torch.Tensor) -> StepResult:
        batch = batch_of(rollouts, contexts_of(rollouts))
        columns = {"student_logprob": -values, "teacher_logprob": -values.flip(0), "student_entropy": values}
        return result_of(Batch(batch.contexts, batch.table.with_tokens(**columns)), rollouts)

    values = torch.arange(1.0, 14.0)
    mine = [result(first, values[:8]), result(second, values[8:])]
    teacher = torch.cat([one.batch.table["teacher_logprob"] for one in mine])
    together = result([*first, *second], values)
    table = together.batch.table.with_tokens(teacher_logprob=teacher)
    whole = figures_of(replace(together, batch=Batch(together.batch.contexts, table)), domains=["", "x"])
    assert {"actions/invalid_rate", "prefix/share", "accuracy/x", "completions/min_length", "reward"} <= set(whole)
    for figures in pooled_over(*mine):
        assert figures == pytest.approx(whole)


def test_the_entropy_of_several_ranks_is_of_the_student_s_tokens_where_any_rank_has_some() -> None:
    own = seen(0, 1, rollouts=[rollout(0, [S, S], domain="x")], student_entropy=[1.0, 2.0])
    given = seen(0, 1, rollouts=[rollout(1, [D, D], domain="x")], student_entropy=[50.0, 50.0])
    assert [figures["entropy"] for figures in pooled_over(own, given)] == [1.5, 1.5]
    assert pooled_over(given, given)[0]["entropy"] == 50.0


def test_a_token_without_mass_counts_as_in_the_loss_and_blots_nothing_out() -> None:
    result = seen(
        *(0, 1),
        rollouts=[rollout(0, [S, S], domain="")],
        student_logprob=[-1.0, -2.0],
        teacher_logprob=[-1.5, -math.inf],
    )
    figures = figures_of(result)
    assert figures["kl/reverse_k1"] == pytest.approx((0.5 + 98) / 2)
    assert figures["gap/teacher_student"] == pytest.approx((0.5 + 98) / 2)
    assert math.isfinite(figures["kl/k3"])
