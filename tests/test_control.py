"""Controls: nothing to learn gives nothing, something to learn is learnt, and the wrong sign is noticed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

import understudy as us
from tests.tiny_files import PROBLEMS, Workplace, make_workplace, metrics_of, write_rows
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.tokens import TokenTable
from understudy.training.progress import Silent

EOS = 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path_factory.mktemp("control"))


def trained(place: Workplace, name: str, *overrides: str, objective: Objective | None = None) -> us.Run:
    return us.train(place.path / "tiny.yaml", [f"name={name}", *overrides], objective=objective, display=Silent())


# ------------------------------------------------------------------------------------------ nothing to learn


@pytest.mark.parametrize("lora", [[], ["student.lora={rank: 4}"]], ids=["full", "lora"])
def test_a_teacher_that_is_the_start_moves_nothing(place: Workplace, lora: list[str]) -> None:
    overrides = [f"teacher.model={place.path / 'student'}", "steps=10", *lora]
    run = trained(place, f"itself-{len(lora)}", *overrides)
    for line in metrics_of(run.path):
        assert line["loss"] == 0
        assert line["grad_norm"] == 0
        assert line["advantage/policy/abs_mean"] == 0
        assert abs(line["kl/reverse_k1"] or 0) < 1e-5
    for file in (run.path / "rollouts").iterdir():
        assert {value for row in pq.read_table(file).to_pylist() for value in row["policy/advantage"]} == {0.0}
    if lora:
        first, last = (run.path / "checkpoints" / f"step-{n:06d}" for n in (8, 10))
        moved = load_file(first / "adapter" / "adapter_model.safetensors")
        same = load_file(last / "adapter" / "adapter_model.safetensors")
        assert all(not value.any() for name, value in same.items() if "lora_B" in name)
    else:
        assert run.model is not None
        moved = load_file(place.path / "student" / "model.safetensors")
        same = load_file(run.model / "model.safetensors")
    assert moved.keys() == same.keys()
    assert all(moved[name].equal(same[name]) for name in same)

    summary = json.loads((run.path / "summary.json").read_text())
    paired = summary["suites"]["words"]["paired"]
    assert (paired["wins"], paired["ties"], paired["losses"]) == (0, 12, 0)
    assert paired["margin_low"] <= 0 <= paired["margin_high"]
    assert paired["p_value"] == 1
    assert summary["suites"]["words"]["before"] == summary["suites"]["words"]["after"]


def test_another_teacher_moves_every_matrix(place: Workplace) -> None:
    """The check above can fail."""
    run = trained(place, "moved", "steps=2", "evaluation.suites=[]")
    assert run.model is not None
    start, end = (load_file(f / "model.safetensors") for f in (place.path / "student", run.model))
    assert all(not start[name].equal(end[name]) for name in start)


# ------------------------------------------------------------------------------------------ something to learn


def drawn(model: PreTrainedModel, *, seed: int = 0, length: int = 8) -> list[Tensor]:
    """Texts that a model writes to prompts it was not trained on, ended by EOS or by their length."""
    generator = torch.Generator().manual_seed(seed)
    prompts = torch.randint(2, 19, (64, 3), generator=generator)
    texts = prompts
    with torch.no_grad():
        for _ in range(length):
            next_ids = model(input_ids=texts).logits[:, -1].softmax(1).multinomial(1, generator=generator)
            texts = torch.cat([texts, next_ids], 1)
    return [text[: 3 + ([*text[3:].tolist(), EOS].index(EOS) + 1)] for text in texts]


def divergence(of: PreTrainedModel, to: PreTrainedModel) -> float:
    """Mean KL(of || to) in nats a token, over the whole vocabulary, at the states that ``of`` visits."""
    total, count = 0.0, 0
    for text in drawn(of):
        with torch.no_grad():
            ours, theirs = (model(input_ids=text[None]).logits[0, 2:-1].log_softmax(1) for model in (of, to))
        total += float((ours.exp() * (ours - theirs)).sum())
        count += ours.shape[0]
    return total / count


def mean_nll(model: PreTrainedModel, problems: Sequence[dict[str, str]]) -> float:
    """Mean negative log-likelihood of the problems' solutions, the stop included, nats a token."""
    total, count = 0.0, 0
    for problem in problems:
        prompt, solution = ([int(word[1:]) for word in problem[key].split()] for key in ("question", "solution"))
        ids = torch.tensor([*prompt, *solution, EOS])
        with torch.no_grad():
            rows = model(input_ids=ids[None]).logits[0].log_softmax(1)
        picked = rows[len(prompt) - 1 : -1].gather(1, ids[len(prompt) :, None])
        total, count = total - float(picked.sum()), count + picked.numel()
    return total / count


def reverse_kl(place: Workplace, student: Path) -> float:
    return divergence(plain(student), plain(place.path / "teacher"))


def forward_kl(place: Workplace, student: Path) -> float:
    return divergence(plain(place.path / "teacher"), plain(student))


def data_nll(place: Workplace, student: Path) -> float:
    return mean_nll(plain(student), PROBLEMS)


def plain(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


BUDGET = ["steps=25", "rollout.prompts_per_step=12", "rollout.num_generations=4", "evaluation.suites=[]"]
METHODS = {
    "opd": ({"method": "opd"}, reverse_kl),
    "opd, discounted": ({"method": "opd", "discount": 0.5}, reverse_kl),
    "gkd": ({"method": "gkd"}, reverse_kl),
    "gkd, forward": ({"method": "gkd", "beta": 0, "lmbda": 1}, forward_kl),
    "gkd, reverse": ({"method": "gkd", "beta": 1, "lmbda": 1}, reverse_kl),
    "seq_kd": ({"method": "seq_kd"}, forward_kl),
    "sft": ({"method": "sft"}, data_nll),
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace with enough different prompts that a student learns a teacher, not twelve lines."""
    logging.disable_progress_bar()
    place = make_workplace(tmp_path_factory.mktemp("wide"))
    chosen = random.Random(0)
    questions = [" ".join(f"w{chosen.randrange(2, 19)}" for _ in range(3)) for _ in range(400)]
    rows = [{**PROBLEMS[n % 12], "question": question} for n, question in enumerate(questions)]
    write_rows(place.path / "wide.jsonl", rows)
    return place


def gain(place: Workplace, name: str, objective: Objective | None = None) -> float:
    """Share of its method's own measure that a run takes away."""
    config, measure = METHODS[name]
    label = name.replace(", ", "-").replace(" ", "-") + ("-own" if objective else "")
    data = [] if name == "sft" else [f"data.dataset={place.path / 'wide.jsonl'}"]
    run = trained(place, label, f"objective={json.dumps(config)}", *data, *BUDGET, objective=objective)
    assert run.model is not None
    return 1 - measure(place, run.model) / measure(place, place.path / "student")


@pytest.mark.parametrize("name", METHODS)
def test_a_student_moves_toward_its_teacher(wide: Workplace, name: str) -> None:
    assert gain(wide, name) > 0.2


def test_the_wrong_sign_moves_it_away(wide: Workplace) -> None:
    right = teacher_log_ratio()

    def wrong(table: TokenTable, context: PlanContext) -> Tensor:
        return -right(table, context)

    wrong.needs = right.needs  # type: ignore[attr-defined]
    flipped = replace(objective_of(OPD()), terms={"policy": policy_gradient(signal=wrong)})
    assert gain(wide, "opd", objective=flipped) < -0.2
