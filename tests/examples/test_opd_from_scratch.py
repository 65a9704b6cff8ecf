"""The whole idea in plain PyTorch is the package's: the same batch gives the same loss and the same gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from examples.opd_from_scratch import Rollouts, Settings, act, distil, main, mark, opd_loss

from tests.conformance.tiny import VOCAB, tiny_model, tiny_tokenizer
from tests.tiny_files import make_workplace
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.models.load import describe
from understudy.objectives.context import PlanContext
from understudy.objectives.methods.opd import OPD, opd
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, batch_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "opd_from_scratch.py"
EOS = 1
PROMPTS = [[3, 4, 5], [6], [7, 8], [2, 9, 3, 4, 5], [5]]


@pytest.fixture(scope="module")
def rollouts() -> Rollouts:
    generator = torch.Generator().manual_seed(5)
    return act(tiny_model(seed=0), PROMPTS * 3, max_tokens=7, eos=EOS, generator=generator)


def test_it_can_be_read_at_one_sitting() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert len(lines) <= 150
    imports = [line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))]
    assert set(imports) <= {"__future__", "sys", "dataclasses", "pathlib", "torch", "transformers"}


def test_loss_and_gradient_are_the_packages(rollouts: Rollouts) -> None:
    student, teacher = tiny_model(seed=0), tiny_model(seed=1)
    loss = opd_loss(student, teacher, rollouts)
    loss.backward()
    assert abs(loss.item()) > 0.1

    batch = as_the_package_has_it(rollouts, mark(teacher, rollouts).detach())
    (plan,) = opd(OPD()).plan(batch.table, PlanContext(step=0, total_steps=1, seed=0))
    loaded = describe(tiny_model(seed=0), tiny_tokenizer())
    policy = LocalPolicy(loaded, optimizer=OptimizerConfig(), total_updates=1, token_budget=64)
    gradients = policy.gradients(batch, plan)
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None
        # Either is within 2e-6 of float64, with sums in another order.
        torch.testing.assert_close(gradients[name], parameter.grad, atol=4e-6, rtol=0, msg=name)
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 1e-2
    assert sum(policy.update(batch, plan).sums.values()) == pytest.approx(loss.item(), abs=1e-6)


def as_the_package_has_it(rollouts: Rollouts, teacher_mark: torch.Tensor) -> Batch:
    """The same tokens in the package's tables, with the marks that the student and the teacher gave them."""
    written = []
    for key, (ids, mine, logprob) in enumerate(zip(rollouts.ids, rollouts.completion, rollouts.logprob, strict=True)):
        start, count = int(mine.int().argmax()), int(mine.sum())
        turn = Turn(
            prompt_ids=ids[:start],
            completion_ids=ids[mine],
            origin=torch.full((count,), Origin.STUDENT),
            behaviour_logprob=logprob[mine],
            weight_version=torch.zeros(count, dtype=torch.int64),
            finish_reason=FinishReason.STOP,
        )
        written.append(Rollout(key=key, group=key, problem=str(key), turns=(turn,), finish_reason=FinishReason.STOP))
    batch = batch_of(written, contexts_of(written))
    columns = {"student_logprob": rollouts.logprob, "teacher_logprob": teacher_mark}
    marks = {name: values[rollouts.completion] for name, values in columns.items()}
    return Batch(batch.contexts, batch.table.with_tokens(**marks))


def test_what_the_student_wrote_ends_where_it_ended(rollouts: Rollouts) -> None:
    for ids, mine in zip(rollouts.ids, rollouts.completion, strict=True):
        completion = ids[mine]
        assert EOS not in completion[:-1].tolist()
        assert completion[-1] == EOS or len(completion) == 7


def test_its_log_probabilities_are_those_of_one_forward_pass(rollouts: Rollouts) -> None:
    marks = mark(tiny_model(seed=0), rollouts)
    torch.testing.assert_close(marks[rollouts.completion], rollouts.logprob[rollouts.completion], atol=1e-5, rtol=0)


def test_the_student_comes_to_its_teacher() -> None:
    settings = Settings(steps=25, prompts_per_step=8, samples_per_prompt=2, max_completion_tokens=6, learning_rate=0.02)
    history = distil(tiny_model(seed=0), tiny_model(seed=1), PROMPTS, EOS, settings)
    assert sum(history[-5:]) < 0.7 * sum(history[:5])
    assert max(max(prompt) for prompt in PROMPTS) < VOCAB


def test_it_runs_on_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_workplace(tmp_path)
    (tmp_path / "prompts.txt").write_text("w3 w4\nw5\n")
    arguments = [str(tmp_path / "student"), str(tmp_path / "teacher"), str(tmp_path / "prompts.txt")]
    history = main(arguments, Settings(steps=2, prompts_per_step=2, samples_per_prompt=2, max_completion_tokens=5))
    assert len(history) == 2
    assert f"step 2/2  reverse KL {history[-1]:.3f}" in capsys.readouterr().out
