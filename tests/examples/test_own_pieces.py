"""The examples of own methods, teachers and environments run, and do what they print."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples import from_trl, own_environment, own_method, own_teacher
from tests.tiny_files import Workplace, make_workplace, metrics_of, write_rows
from understudy.training.rollout_files import file_of, read


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    return make_workplace(tmp_path)


def test_own_method(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    run = own_method.main(["tiny.yaml", "steps=2", "evaluation.suites=[]"])
    assert "2 steps of a method of our own" in capsys.readouterr().out
    for line in metrics_of(run.path):
        assert {"loss/taught", "loss/rewarded"} <= set(line)
    rows = pq.read_table(file_of(run.path / "rollouts", 0)).to_pylist()
    pairs = [pair for row in rows for pair in zip(row["taught/advantage"], row["student_entropy"], strict=True)]
    quiet = [advantage for advantage, entropy in pairs if entropy <= own_method.THRESHOLD_NATS]
    assert quiet == [0.0] * len(quiet)
    assert any(advantage for advantage, entropy in pairs if entropy > own_method.THRESHOLD_NATS)


def test_own_teacher(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    place.write_recipe("alone.yaml", teacher=None, rollout={"prompts_per_step": 8, "max_completion_length": 3})
    word = commonest_first_word(place)
    before, after = own_teacher.main([word, "alone.yaml", "name=ruled", "steps=12"])
    assert before > 0.2
    assert after < before / 2
    assert f"Answers that begin with {word!r}" in capsys.readouterr().out


def commonest_first_word(place: Workplace) -> str:
    """What the untrained student likes to begin with."""
    run = own_method.main(["tiny.yaml", "name=look", "steps=1", "evaluation.suites=[]", "rollout.prompts_per_step=12"])
    firsts = [int(rollout.turns[0].completion_ids[0]) for rollout in read(file_of(run.path / "rollouts", 0))]
    token = max(set(firsts), key=firsts.count)
    return {0: "<pad>", 1: "<eos>"}.get(token, f"w{token}")


def test_own_environment(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(place.path / "digits.jsonl", [{"id": f"d{digit}", "digit": digit} for digit in range(5)])
    place.write_recipe(
        "guess.yaml",
        data={"dataset": "digits.jsonl", "prompt": "{digit}"},
        rollout={"prompts_per_step": 5, "num_generations": 2, "max_completion_length": 2, "max_turns": 3},
    )
    run = own_environment.main(["guess.yaml", "steps=1"])
    assert "1 steps in a world of our own" in capsys.readouterr().out
    turns = [len(rollout.turns) for rollout in read(file_of(run.path / "rollouts", 0))]
    assert len(turns) == 10
    assert max(turns) == own_environment.TRIES


def test_a_trl_script_with_its_import_changed_improves_its_student(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Intervals before and after are apart; the model given is the one that was trained, and is what was saved."""
    write_rows(place.path / "rows.jsonl", [{"prompt": f"w{2 + n % 9} w{3 + n % 7}"} for n in range(48)])
    before, after = from_trl.main(
        ["student", "teacher", "rows.jsonl"],
        per_device_train_batch_size=16,
        max_steps=30,
        learning_rate=0.02,
        max_completion_length=6,
        disable_tqdm=True,
    )
    assert after["eval_reverse_kl_high"] < before["eval_reverse_kl_low"]
    assert f"reverse KL after: {after['eval_reverse_kl']:.3f}" in capsys.readouterr().out
    assert (place.path / "runs" / "from-trl-model" / "model.safetensors").is_file()
