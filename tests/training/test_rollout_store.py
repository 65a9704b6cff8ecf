"""Rollouts that are made once: found again by problem and attempt, in memory and from the disk, and by their maker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.test_rollout_files import assert_equal
from understudy.environments.episode import Episode
from understudy.errors import UnderstudyError
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Origin, Rollout, Turn
from understudy.training.rollout_store import RolloutStore
from understudy.training.written_once import standing, world_of, written_once

WRITER = {"fingerprint": "a", "seed": 1}


def episode(problem: str, *, attempt: int = 0, key: int = 0, domain: str = "d", prompt: object = "ask") -> Episode:
    return Episode(Task(problem, prompt, {"n": problem}, domain), key, key // 2, attempt)  # type: ignore[arg-type]


def rollout_of(one: Episode) -> Rollout:
    """A completion that tells which key it was drawn with."""
    ids = torch.tensor([one.key % 1000, one.attempt, 7])
    turn = Turn(
        prompt_ids=torch.tensor([1, 2]),
        completion_ids=ids,
        origin=torch.tensor([int(Origin.TEACHER), int(Origin.STUDENT), int(Origin.STUDENT)]),
        behaviour_logprob=torch.tensor([math.nan, -1 / 3, -1e-7]),
        weight_version=torch.tensor([-1, 0, 0]),
        finish_reason=FinishReason.LENGTH,
        reward=0.1,
        shown=one.task.prompt,
    )
    return Rollout(
        key=one.key,
        group=one.group,
        problem=one.task.problem,
        turns=(turn,),
        finish_reason=FinishReason.LENGTH,
        reward=0.1,
        correct=False,
        domain=one.task.domain,
        extra=one.task.columns,
        parsed=True,
        num_given=1,
    )


def store(folder: Path | None, *, notices: list[str] | None = None, writer: dict[str, object] = WRITER) -> RolloutStore:  # type: ignore[assignment]
    return RolloutStore(folder, writer=writer, notice=(notices if notices is not None else []).append)


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_kept_is_found_as_the_episode_asks(on_disk: bool, tmp_path: Path) -> None:
    folder = tmp_path / "written" if on_disk else None
    kept = store(folder)
    first = [episode("p", attempt=n, key=10 + n) for n in range(2)]
    kept.add(first, [rollout_of(one) for one in first])
    second = episode("q", key=20, prompt=[{"role": "user", "content": "ü"}])
    kept.add([second], [rollout_of(second)])
    for found in (kept, store(folder)) if on_disk else (kept,):
        for one in [*first, second]:
            asked = replace(one, key=99, group=7)
            rollout = found.find(asked)
            assert rollout is not None
            expected = replace(rollout_of(one), key=99, group=7)
            assert_equal(rollout, expected)
            assert (rollout.parsed, rollout.num_given) == (True, 1)
            assert rollout.turns[0].shown == one.task.prompt
        assert found.find(episode("p", attempt=2)) is None
        assert found.find(episode("p", domain="other")) is None
    if on_disk:
        assert sorted(file.name for file in (tmp_path / "written").iterdir()) == ["000000.parquet", "000001.parquet"]
    else:
        assert list(tmp_path.iterdir()) == []


def test_files_of_another_writer_are_passed_over_and_stay(tmp_path: Path) -> None:
    one, notices = episode("p"), []
    store(tmp_path).add([one], [rollout_of(one)])
    before = (tmp_path / "000000.parquet").read_bytes()
    other = store(tmp_path, notices=notices, writer={**WRITER, "fingerprint": "b"})
    assert other.find(one) is None
    assert len(notices) == 1 and "another writer" in notices[0]
    other.add([one], [rollout_of(replace(one, key=5))])
    assert (tmp_path / "000000.parquet").read_bytes() == before
    assert store(tmp_path).find(one).turns[0].completion_ids[0] == 0  # type: ignore[union-attr]
    assert other.find(one).turns[0].completion_ids[0] == 5  # type: ignore[union-attr]


def test_a_prompt_that_changed_is_told_once_and_written_anew(tmp_path: Path) -> None:
    one, notices = episode("p"), []
    store(tmp_path).add([one], [rollout_of(one)])
    kept, changed = store(tmp_path, notices=notices), episode("p", prompt="ask more")
    assert kept.find(changed) is None and kept.find(changed) is None
    assert len(notices) == 1 and "prompt of problem p has changed" in notices[0]
    assert kept.find(one) is not None
    kept.add([changed], [rollout_of(changed)])
    assert store(tmp_path).find(changed) is not None, "the newest file counts"


def test_a_broken_file_costs_itself_only(tmp_path: Path) -> None:
    one, two, notices = episode("p"), episode("q"), []
    kept = store(tmp_path)
    for each in (one, two):
        kept.add([each], [rollout_of(each)])
    (tmp_path / "000000.parquet").write_bytes(b"PAR1 nonsense")
    again = store(tmp_path, notices=notices)
    assert (again.find(one), again.find(two) is None) == (None, False)
    assert len(notices) == 1 and "000000.parquet cannot be read" in notices[0]
    again.add([one], [rollout_of(one)])
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"00000{n}.parquet" for n in range(3)]


def test_a_failed_rollout_is_tried_again(tmp_path: Path) -> None:
    one, kept = episode("p"), store(tmp_path)
    kept.add([one], [Rollout(0, 0, "p", (), FinishReason.FAILED)])
    assert kept.find(one) is None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "written").write_text("in the way")
    one = episode("p")
    with pytest.raises(UnderstudyError, match="cannot be written"):
        store(tmp_path / "written").add([one], [rollout_of(one)])


# ------------------------------------------------------------------------------------------ written once


class Writing:
    """A writer that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Episode] = []
        self.failing: set[str] = set()

    def __call__(self, episodes: Sequence[Episode], step: int, progress: Callable[[int], None] | None) -> list[Rollout]:
        assert step == 0, "what does not depend on the step is drawn as in step 0"
        self.asked += episodes
        if progress:
            progress(len(episodes))
        made = [rollout_of(one) for one in episodes]
        return [
            replace(r, turns=(), finish_reason=FinishReason.FAILED) if r.problem in self.failing else r for r in made
        ]


def test_each_attempt_is_written_once_whatever_the_step(tmp_path: Path) -> None:
    writing = Writing()
    write = written_once(writing, store(tmp_path), purpose="x")
    first = write([episode("p", attempt=n, key=n) for n in range(2)], 3, None)
    later = write([episode("p", attempt=n, key=50 + n) for n in range(2)] + [episode("q", key=52)], 9, None)
    assert len(writing.asked) == 3
    assert [r.key for r in later] == [50, 51, 52], "rollouts have the keys of their step"
    for one, other in zip(first, later, strict=False):
        assert one.turns[0].completion_ids.tolist() == other.turns[0].completion_ids.tolist()
    again = Writing()
    resumed = written_once(again, store(tmp_path), purpose="x")([episode("q", key=4)], 11, None)
    assert again.asked == []
    assert resumed[0].turns[0].completion_ids.tolist() == later[2].turns[0].completion_ids.tolist()


def test_attempts_that_share_a_text_ask_for_it_once() -> None:
    writing, phases, told = Writing(), [], []
    write = written_once(writing, store(None), purpose="text", begin=lambda *phase: phases.append(phase))
    asked = [episode("p", key=n) for n in range(4)] + [episode("q", key=4)]
    assert [r.key for r in write(asked, 0, told.append)] == [0, 1, 2, 3, 4]
    assert [one.task.problem for one in writing.asked] == ["p", "q"]
    assert phases == [("text", 2), ("sample", 5)]
    assert sum(told) == 2
    write(asked, 1, told.append)
    assert len(phases) == 2 and sum(told) == 2, "nothing is made, nothing is shown"


def test_as_the_steps_own_sampling_every_rollout_counts() -> None:
    told: list[int] = []
    write = written_once(Writing(), store(None), purpose="x")
    for _ in range(2):
        write([episode("p"), episode("q", key=1)], 0, told.append)
    assert sum(told) == 4


def test_failed_rollouts_are_passed_on_and_tried_again() -> None:
    writing = Writing()
    writing.failing = {"p"}
    write = written_once(writing, store(None), purpose="x")
    found = write([episode("p", key=3), episode("q", key=4)], 0, None)
    assert [(r.key, r.finish_reason) for r in found] == [(3, FinishReason.FAILED), (4, FinishReason.LENGTH)]
    writing.failing = set()
    assert write([episode("p", key=5)], 1, None)[0].finish_reason is FinishReason.LENGTH
    assert len(writing.asked) == 3


def test_keys_tell_problems_attempts_and_purposes_apart() -> None:
    others = [
        standing(episode("p"), "x"),
        standing(episode("p"), "y"),
        standing(episode("p", attempt=1), "x"),
        standing(episode("q"), "x"),
        standing(episode("p", domain="e"), "x"),
    ]
    assert len({one.key for one in others}) == 5
    assert all(0 <= one.key < 2**63 for one in others)
    assert standing(episode("p", key=8), "x").key == others[0].key
    worlds = [one.world for one in others]
    assert worlds[0] == worlds[1] == worlds[2] == world_of(episode("p").task)
    assert len(set(worlds)) == 3
