"""Understudy as a library: own objective, own environment, own teacher."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

import understudy as us
from tests.conformance.tiny import VOCAB, tiny_model
from tests.tiny_files import Workplace, files_of, make_workplace, metrics_of, write_rows
from understudy.environments.toy import CHARACTERS, RememberDigit
from understudy.errors import CapabilityError, RecipeError, RunDirectoryError, UserMistakeError
from understudy.objectives.context import PlanContext
from understudy.objectives.needs import requires
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import token_sum
from understudy.objectives.rewards import group_advantage
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.protocols import Capabilities, Observation, Scorer, ScoreRequest, Scores, Task
from understudy.tokens import TokenTable
from understudy.training.progress import Silent
from understudy.training.rollout_files import file_of, read


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path)


def train(place: Workplace, *overrides: str, **own: object) -> us.Run:
    return us.train(place.path / "tiny.yaml", overrides, display=Silent(), **own)  # type: ignore[arg-type]


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import understudy, sys; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_has_what_it_lists() -> None:
    assert all(hasattr(us, name) for name in us.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        us.trian  # noqa: B018


def test_train_takes_a_file_or_a_recipe(place: Workplace) -> None:
    recipe = us.load_recipe(place.path / "tiny.yaml", ["name=record", "steps=2"])
    by_record, by_file = us.train(recipe, display=Silent()), train(place, "name=file", "steps=2")
    assert metrics_of(by_record.path) == metrics_of(by_file.path)
    assert by_record.recipe == recipe
    assert by_record.summary == json.loads((by_record.path / "summary.json").read_text())
    assert by_record.outcome.step == 2
    assert by_record.model is not None
    assert by_record.model.name == "model"


def test_mistakes_are_exceptions(place: Workplace) -> None:
    train(place, "steps=1")
    before = files_of(place.run)
    with pytest.raises(RunDirectoryError, match="exists"):
        train(place, "steps=1")
    with pytest.raises(RecipeError, match="steps") as raised:
        us.train(place.path / "tiny.yaml", "steps=0")
    assert isinstance(raised.value, ValueError)
    assert files_of(place.run) == before


def test_evaluate_gives_the_numbers_of_a_run(place: Workplace) -> None:
    suite = place.path / "words.yaml"
    suite.write_text(json.dumps(place.recipe()["evaluation"]["suites"][0]))
    run = train(place)
    (result,) = us.evaluate(str(run.model), [str(suite)], seed=3, display=Silent())
    (alone,) = us.evaluate(run.model or "", str(suite), seed=3, out=str(place.path / "out"), display=Silent())
    assert alone == result and (place.path / "out" / "words.json").is_file()
    assert run.summary is not None
    after = run.summary["suites"]["words"]["after"]  # type: ignore[index]
    assert result.estimate.to_json() == after


def test_an_error_ends_the_display_all_the_same() -> None:
    class Listening(Silent):
        is_ended = False

        def end(self) -> None:
            self.is_ended = True

    display = Listening()
    with pytest.raises(UserMistakeError, match="no-such-suite"):
        us.evaluate("testbed/multiplication-student", ["no-such-suite"], display=display)
    assert display.is_ended


# ------------------------------------------------------------------------------------------ own objective


def test_own_objective(place: Workplace) -> None:
    """One written down here, on two terms; the plan and the metrics carry its names."""

    @requires("teacher_logprob", "student_entropy")
    def confident(table: TokenTable, _: PlanContext) -> Tensor:
        return (table["student_entropy"] < 2.0).float()

    mine = Objective(
        terms={
            "mine": policy_gradient(signal=teacher_log_ratio(), weight=confident),
            "reward": policy_gradient(signal=group_advantage(), coefficient=0.25),
        },
        reduction=token_sum(),
    )
    run = train(place, "evaluation.suites=[]", objective=mine)
    for line in metrics_of(run.path):
        assert line["loss"] == pytest.approx((line["loss/mine"] or 0) + (line["loss/reward"] or 0), abs=1e-6)
        assert {"advantage/mine/mean", "advantage/reward/mean", "entropy"} <= set(line)
    rows = pq.read_table(file_of(run.path / "rollouts", 0)).to_pylist()
    tokens = [
        token
        for row in rows
        for token in zip(
            *(row[name] for name in ("mine/advantage", "teacher_logprob", "student_logprob", "student_entropy")),
            strict=True,
        )
    ]
    for advantage, teacher, student, entropy in tokens:
        assert advantage == pytest.approx((teacher - student) * (entropy < 2.0), abs=2e-5)
    assert 0 < sum(entropy < 2.0 for *_, entropy in tokens) < len(tokens)


def test_own_objective_that_needs_no_teacher(place: Workplace) -> None:
    place.write_recipe(teacher=None, evaluation={"suites": []})
    rewarded = Objective(terms={"reward": policy_gradient(signal=group_advantage())})
    run = train(place, objective=rewarded)
    assert len(metrics_of(run.path)) == 4
    assert not any(name.startswith("kl/") for line in metrics_of(run.path) for name in line)


# ------------------------------------------------------------------------------------------ own teacher


class Prefers:
    """A scorer without a model: one distribution everywhere, most of its mass on one word."""

    capabilities = Capabilities()
    fingerprint = "prefers"

    def __init__(self, word: int) -> None:
        self.logprobs = torch.zeros(VOCAB).index_fill(0, torch.tensor([word]), 5.0).log_softmax(0)

    def score(self, request: ScoreRequest) -> Scores:
        pairs = zip(request.context.tolist(), request.position.tolist(), strict=True)
        ids = torch.tensor([int(request.contexts[c][p]) for c, p in pairs])
        return Scores(sampled=self.logprobs[ids], fingerprint=self.fingerprint, version=0)


def test_own_teacher_is_followed(place: Workplace) -> None:
    place.write_recipe(teacher=None)
    assert isinstance(Prefers(7), Scorer)
    run = train(place, "steps=30", "checkpoint.every=30", "evaluation.suites=[]", teacher=Prefers(7))
    shares = [share_of(7, run, step) for step in (0, 29)]
    assert shares[0] < 0.3
    assert shares[1] > 0.6
    first = pq.read_table(file_of(run.path / "rollouts", 0)).to_pylist()
    for row in first:
        expected = Prefers(7).logprobs[torch.tensor(row["completion_ids"])].tolist()
        assert row["teacher_logprob"] == pytest.approx(expected, abs=1e-6)


def share_of(word: int, run: us.Run, step: int) -> float:
    ids = [id for rollout in read(file_of(run.path / "rollouts", step)) for id in rollout.turns[0].completion_ids]
    return sum(int(id) == word for id in ids) / len(ids)


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        ("{method: gkd}", "last hidden states"),
        ("{method: tropd, guidance: false}", r"the top 64 tokens \(its limit: 0\) from the teacher.*Use a teacher"),
        ("{method: eopd}", "exact entropies and the top 16 tokens"),
    ],
)
def test_own_teacher_that_gives_too_little_is_refused_before_the_start(
    objective: str, missing: str, place: Workplace
) -> None:
    place.write_recipe(teacher=None)
    with pytest.raises(CapabilityError, match=missing):
        train(place, f"objective={objective}", teacher=Prefers(7))
    assert not place.run.exists()


@pytest.mark.parametrize("method", ["seq_kd", "tropd"])
def test_own_teacher_cannot_write(method: str, place: Workplace) -> None:
    place.write_recipe(teacher=None, objective={"method": method})
    with pytest.raises(RecipeError, match="a teacher that writes"):
        train(place, teacher=Prefers(7))
    assert not place.run.exists()


# ------------------------------------------------------------------------------------------ own environment


def character_tokenizer() -> PreTrainedTokenizerFast:
    vocab = {"<pad>": 0, "<eos>": 1, **{character: n for n, character in enumerate(CHARACTERS, start=2)}}
    backend = Tokenizer(WordLevel(vocab, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")


@pytest.fixture
def digits(place: Workplace) -> Workplace:
    """The workplace with models and problems of the two-turn toy."""
    for role, seed in (("student", 0), ("teacher", 1)):
        tiny_model(seed=seed, vocab_size=2 + len(CHARACTERS), layers=1).save_pretrained(place.path / role)
        character_tokenizer().save_pretrained(place.path / role)
    write_rows(place.path / "digits.jsonl", [{"id": f"digit-{d}", "digit": d} for d in range(10)])
    source = {"dataset": str(place.path / "digits.jsonl"), "prompt": "{digit}"}
    place.write_recipe(
        data=source,
        rollout={"prompts_per_step": 5, "num_generations": 2, "max_completion_length": 2, "max_turns": 2},
        evaluation={"suites": [{"name": "digits", **source, "num_samples": 2, "max_completion_length": 2}]},
    )
    return place


def test_own_environment_of_two_turns_with_fresh_prompts(digits: Workplace) -> None:
    run = train(digits, environment=RememberDigit)
    tokenizer = character_tokenizer()
    rewards: set[float] = set()
    for step in range(4):
        rollouts = read(file_of(run.path / "rollouts", step))
        assert len(rollouts) == 10
        for rollout in rollouts:
            first, second = rollout.turns
            digit = str(rollout.extra["digit"])
            assert spoken(tokenizer, first.prompt_ids) == f"digit {digit}:"
            said = spoken(tokenizer, first.completion_ids)[:1]
            verdict = "ok" if said == digit else "no"
            assert spoken(tokenizer, second.prompt_ids) == f"said {said} {verdict}:"
            again = spoken(tokenizer, second.completion_ids)[:1]
            assert [first.reward, second.reward] == [0.5 * (said == digit), 0.5 * (again == digit)]
            assert rollout.reward == first.reward + second.reward
            assert rollout.correct == (said == again == digit)
            rewards.add(rollout.reward)
    assert rewards > {0.0}
    assert {line["rollouts/failed"] for line in metrics_of(run.path)} == {0.0}
    assert run.summary is not None
    figures = run.summary["suites"]["digits"]  # type: ignore[index]
    assert figures["after"]["n"] == 10
    kept = json.loads((run.path / "evaluation" / "step-000004-digits.json").read_text())
    assert {len(sample["completions"]) for sample in kept["samples"]} == {2}


def spoken(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int] | Tensor) -> str:
    words = [tokenizer.convert_ids_to_tokens(int(id)) for id in ids]
    return "".join(word for word in words if not word.startswith("<"))


def test_both_turns_are_scored(digits: Workplace) -> None:
    """Every token that the student wrote, in either turn, has the teacher's mark."""
    run = train(digits, "steps=1", "evaluation.suites=[]", environment=RememberDigit)
    rows = pq.read_table(file_of(run.path / "rollouts", 0)).to_pylist()
    assert {row["turn"] for row in rows} == {0, 1}
    assert all(value is not None and value < 0 for row in rows for value in row["teacher_logprob"])


class Fragile(RememberDigit):
    """Breaks on the digit 3."""

    def reset(self, task: Task, seed: int) -> Observation:
        if task.columns["digit"] == 3:
            raise RuntimeError("the bridge is closed")
        return super().reset(task, seed)


def test_an_environment_that_fails_costs_its_own_rollouts_only(digits: Workplace) -> None:
    run = train(digits, "steps=2", "rollout.prompts_per_step=10", "evaluation.suites=[]", environment=Fragile)
    assert {line["rollouts/failed"] for line in metrics_of(run.path)} == {2.0}
    failed = [r for r in read(file_of(run.path / "rollouts", 0)) if r.finish_reason == "failed"]
    assert {rollout.problem for rollout in failed} == {"digit-3"}
    assert all("the bridge is closed" in str(rollout.extra["environment_error"]) for rollout in failed)
