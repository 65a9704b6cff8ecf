"""What a run leaves is a plain model: transformers and PEFT load it, and it says what the trainer said."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

import understudy as us
from tests.tiny_files import Workplace, make_workplace
from understudy.build import assemble
from understudy.protocols import ScoreRequest
from understudy.recipe import load_recipe
from understudy.training.progress import Silent
from understudy.training.rollout_files import file_of

LORA = "student.lora={rank: 4}"
OVERRIDES = ["steps=6", "checkpoint.every=1", "checkpoint.keep_last=9", "evaluation.suites=[]"]
TOLERANCE = 1e-5
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path_factory.mktemp("loads"))


@pytest.fixture(scope="module")
def full(place: Workplace) -> us.Run:
    return us.train(place.path / "tiny.yaml", [*OVERRIDES, "name=full"], display=Silent())


@pytest.fixture(scope="module")
def adapted(place: Workplace) -> us.Run:
    return us.train(place.path / "tiny.yaml", [*OVERRIDES, LORA, "name=lora"], display=Silent())


def plain(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def logprobs_of(model: torch.nn.Module, prompt: Tensor, completion: Tensor) -> Tensor:
    """[C] nats of the completion's tokens, by one plain forward pass."""
    ids = torch.cat([prompt, completion])
    with torch.no_grad():
        rows = model(input_ids=ids[None]).logits[0].float().log_softmax(1)
    return rows[prompt.numel() - 1 : -1].gather(1, completion[:, None]).squeeze(1)


def worst_difference(model: torch.nn.Module, rollouts: Path, column: str = "student_logprob") -> float:
    """Largest |plain forward - what the trainer wrote down| over all tokens of a file of rollouts."""
    worst = 0.0
    for row in pq.read_table(rollouts).to_pylist():
        prompt, completion = (torch.tensor(row[name]) for name in ("prompt_ids", "completion_ids"))
        difference = logprobs_of(model, prompt, completion) - torch.tensor(row[column])
        worst = max(worst, float(difference.abs().max()))
    return worst


@pytest.mark.parametrize("step", [1, 5])
def test_a_full_checkpoint_gives_the_trainers_logprobs(full: us.Run, step: int) -> None:
    """The rollouts of a step were made by the weights of the checkpoint of that step."""
    rollouts = file_of(full.path / "rollouts", step)
    assert worst_difference(plain(full.path / "checkpoints" / f"step-{step:06d}" / "model"), rollouts) < TOLERANCE
    before = plain(full.path / "checkpoints" / f"step-{step - 1:06d}" / "model") if step > 1 else None
    if before is not None:
        assert worst_difference(before, rollouts) > 100 * TOLERANCE, "one step earlier it said something else"


@pytest.mark.parametrize("step", [1, 5])
def test_an_adapter_gives_the_trainers_logprobs(adapted: us.Run, place: Workplace, step: int) -> None:
    rollouts = file_of(adapted.path / "rollouts", step)
    folder = adapted.path / "checkpoints" / f"step-{step:06d}" / "adapter"
    model = PeftModel.from_pretrained(plain(place.path / "student"), folder).eval()
    assert worst_difference(model, rollouts) < TOLERANCE
    assert worst_difference(model.merge_and_unload(), rollouts) < TOLERANCE
    assert worst_difference(plain(place.path / "student"), rollouts) > 100 * TOLERANCE
    assert worst_difference(plain(folder), rollouts) < TOLERANCE, "transformers alone finds the base through PEFT"


def test_the_teacher_said_what_plain_transformers_says(full: us.Run, place: Workplace) -> None:
    rollouts = file_of(full.path / "rollouts", 3)
    assert worst_difference(plain(place.path / "teacher"), rollouts, "teacher_logprob") < TOLERANCE


@pytest.mark.parametrize("lora", [[], [LORA]])
def test_the_final_model_is_the_one_that_the_trainer_holds(
    lora: list[str], full: us.Run, adapted: us.Run, place: Workplace
) -> None:
    run = adapted if lora else full
    assert run.model is not None
    recipe = load_recipe(place.path / "tiny.yaml", [*OVERRIDES, *lora])
    policy = assemble(recipe).policy
    policy.load(run.path / "checkpoints" / "step-000006")
    ids = torch.arange(2, 19)
    positions = torch.arange(1, ids.numel())
    held = policy.score(ScoreRequest([ids], torch.zeros_like(positions), positions)).sampled
    model = PeftModel.from_pretrained(plain(place.path / "student"), run.model) if lora else plain(run.model)
    assert logprobs_of(model.eval(), ids[:1], ids[1:]).sub(held).abs().max() < TOLERANCE


def test_the_tokenizer_is_beside_the_weights(full: us.Run, adapted: us.Run, place: Workplace) -> None:
    text = "w2 w5 w18"
    expected = AutoTokenizer.from_pretrained(place.path / "student")(text).input_ids
    for run in (full, adapted):
        assert run.model is not None
        assert AutoTokenizer.from_pretrained(run.model)(text).input_ids == expected


def test_an_adapter_is_evaluated_without_a_word_of_warning(
    adapted: us.Run, place: Workplace, recwarn: pytest.WarningsRecorder
) -> None:
    suite = place.path / "words.yaml"
    suite.write_text(json.dumps(place.recipe()["evaluation"]["suites"][0]))
    (result,) = us.evaluate(str(adapted.model), [str(suite)], display=Silent())
    assert result.estimate.n == 12
    assert [str(warning.message) for warning in recwarn] == []


def test_a_run_can_start_from_what_another_left(full: us.Run, adapted: us.Run, place: Workplace) -> None:
    """Full models and adapters are students, too: the next run's first rollouts are drawn from them."""
    for run in (full, adapted):
        overrides = [f"student.model={run.model}", f"name=after-{run.path.name}", "steps=1", "evaluation.suites=[]"]
        following = us.train(place.path / "tiny.yaml", overrides, display=Silent())
        assert run.model is not None
        assert worst_difference(plain(run.model), file_of(following.path / "rollouts", 0)) < TOLERANCE
