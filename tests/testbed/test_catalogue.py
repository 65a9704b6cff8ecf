"""The testbed's names: models that are trained once and kept, tasks, and suites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from understudy import testbed
from understudy.errors import DataError, ModelError, UserMistakeError
from understudy.models.load import load_model
from understudy.models.tokenizers import check_same_tokenizer
from understudy.tasks import gold_completion, verifier_from
from understudy.testbed.datasets import VERIFIER
from understudy.testbed.models import STUDENT, TEACHER, Architecture, Schooling
from understudy.testbed.multiplication import MAX_COMPLETION_TOKENS, Problem, carried_solution
from understudy.testbed.roster import SCHOOLINGS
from understudy.testbed.schooling import lessons, new_model, school
from understudy.testbed.subjects import SUBJECTS
from understudy.testbed.tokenizer import build_tokenizer
from understudy.testbed.workshop import model_folder

TINY = Architecture(layers=1, width=16, heads=2, kv_heads=1, head_width=8, mlp_width=16)
BRIEF = Schooling(TINY, foreign_share=0.5, steps=3, batch_size=4, warmup_steps=1)


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    return tmp_path


def test_a_model_is_built_once_and_loads_plainly(own_home: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    schoolings = {"testbed/brief": BRIEF}
    folder = testbed.resolve_model("testbed/brief", lambda *step: seen.append(step), schoolings=schoolings)
    assert folder.is_relative_to(own_home)
    assert seen == [("testbed/brief", 1, 3), ("testbed/brief", 2, 3), ("testbed/brief", 3, 3)]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == 32
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert testbed.resolve_model("testbed/brief", lambda *step: seen.append(step), schoolings=schoolings) == folder
    assert len(seen) == 3 and (folder / "model.safetensors").stat().st_mtime_ns == written
    assert len(list(folder.parent.iterdir())) == 1


def test_a_damaged_model_is_built_again(own_home: Path) -> None:
    schoolings = {"testbed/brief": BRIEF}
    folder = testbed.resolve_model("testbed/brief", schoolings=schoolings)
    fingerprint = load_model(folder).fingerprint
    (folder / "model.safetensors").unlink()
    assert load_model(testbed.resolve_model("testbed/brief", schoolings=schoolings)).fingerprint == fingerprint


def test_the_same_schooling_gives_the_same_weights_whatever_torch_drew_before() -> None:
    first = school(BRIEF, name="a").model.state_dict()
    torch.rand(7)
    second = school(BRIEF, name="b").model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = school(replace(BRIEF, seed=1), name="c").model.state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_new_models_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    new_model(BRIEF, build_tokenizer())
    assert torch.equal(torch.rand(3), expected)


def test_whatever_defines_a_model_changes_its_folder() -> None:
    changes = [
        {"steps": 4},
        {"seed": 1},
        {"foreign_share": 0.25},
        {"foreign_from": 1},
        {"learning_rate": 1e-3},
        {"architecture": replace(TINY, initial_std=0.02)},
    ]
    folders = {model_folder("testbed/brief", replace(BRIEF, **change)) for change in changes}
    assert len(folders) == len(changes) and model_folder("testbed/brief", BRIEF) not in folders


def test_the_foreign_manner_comes_in_its_share_and_not_before_its_step() -> None:
    schooling = Schooling(TINY, foreign_share=0.75, steps=20, foreign_from=10, batch_size=100)
    stream, tokenizer = SUBJECTS["multiplication"].lessons(schooling.seed), build_tokenizer()
    foreign = []
    for step in range(schooling.steps):
        tokens = lessons(schooling, step, stream, tokenizer=tokenizer).table.rollouts["num_tokens"]
        foreign.append(int((tokens <= len("#899991") + 1).sum()))  # answers at once; the shortest working is longer
    assert foreign[:10] == [0] * 10
    assert 0.7 < sum(foreign[10:]) / 1000 < 0.8


def test_schooling_lowers_the_loss_on_what_it_teaches() -> None:
    """A few dozen steps: the manner is learned long before the arithmetic."""

    def loss(model: torch.nn.Module) -> float:
        tokenizer = build_tokenizer()
        problem = Problem(4735, 6)
        ids = tokenizer(problem.prompt + carried_solution(problem), return_tensors="pt")["input_ids"]
        return float(model(input_ids=ids, labels=ids).loss.detach())

    architecture = replace(TINY, width=32, head_width=16, mlp_width=64)
    schooling = Schooling(architecture, foreign_share=0.0, steps=60, batch_size=16, learning_rate=1e-2, warmup_steps=5)
    untaught = loss(new_model(schooling, build_tokenizer()))
    assert loss(school(schooling, name="x").model) < 0.6 * untaught


def test_teacher_and_student_share_tokenizer_and_split(own_home: Path) -> None:
    brief = {name: replace(BRIEF, foreign_share=s.foreign_share) for name, s in SCHOOLINGS.items()}
    teacher, student = (
        load_model(testbed.resolve_model(name, schoolings=brief))
        for name in (testbed.TEACHER_NAME, testbed.STUDENT_NAME)
    )
    check_same_tokenizer(student, teacher)
    assert TEACHER.foreign_share == 0 and STUDENT.foreign_share > 0.5
    assert TEACHER.architecture.layers > STUDENT.architecture.layers


def test_tasks_carry_what_recipes_read() -> None:
    data = testbed.data()
    task = testbed.tasks(testbed.DATASET, "train", limit=5)[3]
    problem = Problem(*map(int, task.problem.split("*")))
    assert task.prompt == problem.prompt == task.columns["prompt"]
    assert gold_completion(data, task) == carried_solution(problem)
    verify = verifier_from(VERIFIER, None)
    assert verify is not None
    verdict = verify(gold_completion(data, task), task.columns)
    assert verdict.correct and verdict.reward == 1.0 and verdict.parsed == task.columns["answer"]
    assert verify(f"#{problem.answer}", task.columns).correct  # the foreign manner is judged alike
    assert not verify(f"#{problem.answer}1", task.columns).correct
    unread = verify("3*8+0=24;", task.columns)
    assert not unread.correct and unread.parsed is None


def test_splits_are_disjoint_and_fixed() -> None:
    train, held_out = testbed.tasks(testbed.DATASET), testbed.tasks(testbed.DATASET, "eval")
    assert len(held_out) == 1000 and len(train) == 4096
    assert not {task.problem for task in train} & {task.problem for task in held_out}
    assert len({task.problem for task in held_out}) == 1000
    assert testbed.tasks(testbed.DATASET, "test", limit=7) == held_out[:7]


def test_suites_have_room_for_the_longest_solution() -> None:
    greedy, sampled = testbed.suites()
    assert (greedy.name, greedy.temperature) == ("multiplication-greedy", 0.0)
    assert (sampled.name, sampled.temperature) == ("multiplication-sampled", 1.0)
    for suite in (greedy, sampled):
        assert testbed.suite_named(suite.name) == testbed.suite_named(f"testbed/{suite.name}") == suite
        assert suite.max_completion_length == MAX_COMPLETION_TOKENS


def test_unknown_names_are_the_users_mistake() -> None:
    with pytest.raises(ModelError, match=r"testbed/nobody.*testbed/multiplication-teacher"):
        testbed.resolve_model("testbed/nobody")
    with pytest.raises(DataError, match="no such testbed data set"):
        testbed.tasks("testbed/nothing")
    with pytest.raises(DataError, match="no split"):
        testbed.tasks(testbed.DATASET, "dev")
    with pytest.raises(UserMistakeError, match="no built-in suite"):
        testbed.suite_named("multiplication-eager")


def test_missing_models_are_trained_side_by_side(own_home: Path) -> None:
    schoolings = {"testbed/quick": BRIEF, "testbed/slow": replace(BRIEF, steps=5)}
    heard: list[str] = []
    folders = testbed.resolve_models(list(schoolings), lambda name, *_: heard.append(name), schoolings=schoolings)
    assert heard == ["testbed/slow"] * 5  # the quick one was another process's work
    assert folders == {name: model_folder(name, schooling) for name, schooling in schoolings.items()}
    trained_here = school(BRIEF, name="x").model.state_dict()
    trained_there = load_model(folders["testbed/quick"]).model.state_dict()
    assert all(torch.equal(trained_here[name], trained_there[name]) for name in trained_here)
    assert len(list((own_home / "testbed").iterdir())) == 2
    again = testbed.resolve_models(list(schoolings), lambda name, *_: heard.append(name), schoolings=schoolings)
    assert again == folders and len(heard) == 5
    with pytest.raises(ModelError, match="no such testbed model"):
        testbed.resolve_models(["testbed/fresh", "testbed/nobody"], schoolings={"testbed/fresh": BRIEF})
    assert len(list((own_home / "testbed").iterdir())) == 2, "a name that is none is told before anything is trained"
