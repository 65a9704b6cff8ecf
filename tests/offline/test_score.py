"""Scores that are written once: a run reads them in place of a teacher, and refuses those that are not its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel
from typer.testing import CliRunner

import understudy as us
from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_batch, tiny_model
from tests.teachers import families
from tests.teachers.members import local
from tests.tiny_files import SUITE, Workplace, make_workplace, metrics_of, save_model
from tests.training.test_loop import Heard
from understudy import offline
from understudy.cli import app
from understudy.errors import (
    CapabilityError,
    DataError,
    RecipeError,
    RunDirectoryError,
    TokenizerMismatchError,
    UserMistakeError,
)
from understudy.offline.writing import ScoresFolder
from understudy.protocols import Scorer, ScoreRequest
from understudy.recipe import recipe_from
from understudy.teachers.disk_scores import DiskScorer
from understudy.teachers.disk_scores_files import Manifest, Rows, context_digest, files_of

LIGHTNING = {"objective": {"method": "lightning"}, "evaluation": {}}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    return make_workplace(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of a workplace, which is the same whoever makes it."""
    return scored(make_workplace(tmp_path_factory.mktemp("made")))


def scored(
    place: Workplace, out: str = "scores", *, top_k: int | None = None, rollouts: Path | None = None, **changes: Any
) -> Path:
    recipe = recipe_from(place.recipe(**{**LIGHTNING, **changes}))
    return offline.score(recipe, place.path / out, top_k=top_k, rollouts=rollouts).path


def train(place: Workplace, name: str, **changes: Any) -> us.Run:
    return us.train(recipe_from(place.recipe(name=name, **{**LIGHTNING, **changes})), display=Heard())


def test_a_run_on_stored_scores_is_the_run_with_the_teacher(place: Workplace) -> None:
    folder = scored(place)
    live = train(place, "live")
    (place.path / "teacher" / "model.safetensors").unlink()  # nobody asks it
    stored = train(place, "stored", teacher={"scores": str(folder)})
    assert metrics_of(stored.path) == metrics_of(live.path)
    assert list((stored.path / "written" / "initial").iterdir())
    assert f"scores in {folder}" in (stored.path / "report.html").read_text()
    assert not any(line.get("rollouts/unaligned_tokens") for line in metrics_of(stored.path))


def test_the_command_says_what_it_wrote_and_what_a_recipe_needs(place: Workplace) -> None:
    recipe = place.write_recipe(**LIGHTNING)
    done = CliRunner().invoke(app, ["score", str(recipe), "steps=2", "--out", "scores", "--top-k", "3", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    scorer = DiskScorer(Path("scores"))
    assert told["teacher"] == scorer.fingerprint and told["num_rollouts"] == 16 and told["top_k"] == 3
    assert scorer.capabilities.top_k == 3 and scorer.capabilities.entropy


def test_scoring_goes_on_where_it_was_stopped(place: Workplace) -> None:
    whole, folder = scored(place, "whole"), scored(place, "begun")
    reference = (folder / "scores.json").read_text()
    content = json.loads(reference)
    assert len(content["parts"]) == 3  # four steps of four of twelve problems: the last one repeats
    last = files_of(folder, 2)[0]
    last.write_bytes(last.read_bytes()[:-20])
    (folder / "scores.json").write_text(json.dumps({**content, "complete": False, "rollouts": ""}))
    with pytest.raises(DataError, match="not complete"):
        DiskScorer(folder)
    kept = files_of(folder, 0)[0].stat().st_mtime_ns
    scored(place, "begun")
    assert (folder / "scores.json").read_text() == reference == (whole / "scores.json").read_text()
    assert files_of(folder, 0)[0].stat().st_mtime_ns == kept


def test_an_aligned_teacher_keeps_its_missing_rows(place: Workplace) -> None:
    tokenizer = families.byte_level()
    tiny_model(vocab_size=len(tokenizer), layers=1, seed=3).save_pretrained(place.path / "foreign")
    tokenizer.save_pretrained(place.path / "foreign")
    teacher = {"model": str(place.path / "foreign"), "align": True}
    folder = scored(place, teacher=teacher)
    live, stored = train(place, "live", teacher=teacher), train(place, "stored", teacher={"scores": str(folder)})
    assert metrics_of(live.path) == metrics_of(stored.path)
    assert sum(line.get("rollouts/unaligned_tokens") or 0 for line in metrics_of(stored.path)) > 0


def test_a_runs_own_rollouts_can_be_scored(place: Workplace) -> None:
    run = train(place, "live", objective={"method": "opd"})
    folder = scored(place, rollouts=run.path / "rollouts", objective={"method": "opd"})
    again = train(place, "again", objective={"method": "opd"}, teacher={"scores": str(folder)})
    assert [line["kl/reverse_k1"] for line in metrics_of(again.path)] == pytest.approx(
        [line["kl/reverse_k1"] for line in metrics_of(run.path)], abs=1e-6
    )


# ------------------------------------------------------------------------------------------------ refusals


def _other_rollouts(place: Workplace, folder: Path) -> None:
    train(place, "r", teacher={"scores": str(folder)}, seed=4)


def _other_teacher(place: Workplace, folder: Path) -> None:
    train(place, "r", teacher={"scores": str(folder), "fingerprint": "0123456789abcdef"})


def _other_tokenizer(place: Workplace, folder: Path) -> None:
    save_model(place.path / "student", seed=0, swapped=True)
    train(place, "r", teacher={"scores": str(folder)})


def _fewer_candidates(place: Workplace, folder: Path) -> None:
    train(place, "r", teacher={"scores": str(folder)}, objective={"method": "topk_fkl", "top_k": 4})


def _other_temperature(place: Workplace, folder: Path) -> None:
    run = train(place, "opd", objective={"method": "opd"})
    folder = scored(place, "warm", rollouts=run.path / "rollouts", rollout={"temperature": 0.7})
    train(place, "r", teacher={"scores": str(folder)}, objective={"method": "opd"})


def _cut_short(place: Workplace, folder: Path) -> None:
    file = files_of(folder, 1)[0]
    file.write_bytes(file.read_bytes()[:-9])
    train(place, "r", teacher={"scores": str(folder)})


def _half_a_manifest(place: Workplace, folder: Path) -> None:
    file = folder / "scores.json"
    file.write_text(file.read_text()[:60])
    train(place, "r", teacher={"scores": str(folder)})


def _nothing_there(place: Workplace, _: Path) -> None:
    train(place, "r", teacher={"scores": str(place.path / "nothing")})


def _parts_of_others(place: Workplace, folder: Path) -> None:
    content = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps({**content, "parts": content["parts"][:-1]}))
    train(place, "r", teacher={"scores": str(folder)})


def _another_teacher_into_it(place: Workplace, _: Path) -> None:
    save_model(place.path / "other", seed=9)
    scored(place, teacher={"model": str(place.path / "other")})


def _a_folder_of_something_else(place: Workplace, _: Path) -> None:
    scored(place, "student")


def _rollouts_that_change(place: Workplace, _: Path) -> None:
    scored(place, "other", objective={"method": "opd"})


def _no_rollouts(place: Workplace, _: Path) -> None:
    (place.path / "empty").mkdir()
    scored(place, "other", rollouts=place.path / "empty")


def _going_on_with_half_a_manifest(place: Workplace, folder: Path) -> None:
    file = folder / "scores.json"
    file.write_text(file.read_text()[:60])
    scored(place)


def _the_scores_of_scores(place: Workplace, folder: Path) -> None:
    scored(place, "other", teacher={"scores": str(folder)})


def _whole_vocabularies(place: Workplace, folder: Path) -> None:
    suite = {key: value for key, value in SUITE.items() if key != "verifier"}
    suite = {**suite, "dataset": str(place.path / "held-out.jsonl"), "kind": "reverse_kl"}
    train(place, "r", teacher={"scores": str(folder)}, evaluation={"suites": [suite]})


@pytest.mark.parametrize(
    ("mistake", "kind", "says"),
    [
        (_other_rollouts, DataError, "of other rollouts"),
        (_other_teacher, RecipeError, "of another teacher; got .* expected 0123456789abcdef"),
        (_other_tokenizer, TokenizerMismatchError, "of another tokenizer"),
        (_fewer_candidates, CapabilityError, r"the top 4 tokens \(its limit: 0\)"),
        (_other_temperature, DataError, "of another temperature"),
        (_cut_short, DataError, "part 1 .* cut short"),
        (_half_a_manifest, DataError, "cannot be read"),
        (_nothing_there, DataError, "holds no stored scores"),
        (_parts_of_others, DataError, "other rollouts than they say"),
        (_another_teacher_into_it, RunDirectoryError, "holds scores of another teacher"),
        (_a_folder_of_something_else, RunDirectoryError, "exists and holds no stored scores"),
        (_rollouts_that_change, RecipeError, "learns from what the student writes at each step"),
        (_no_rollouts, RunDirectoryError, "holds no rollouts"),
        (_going_on_with_half_a_manifest, DataError, "cannot be read.* Choose another folder with --out, or delete"),
        (_the_scores_of_scores, RecipeError, "stored scores already"),
        (_whole_vocabularies, RecipeError, "cannot ask"),
    ],
)
def test_each_mistake_is_one_sentence(
    place: Workplace, made: Path, mistake: Callable[[Workplace, Path], None], kind: type[UserMistakeError], says: str
) -> None:
    folder = Path(shutil.copytree(made, place.path / "scores"))
    with pytest.raises(kind, match=says) as raised:
        mistake(place, folder)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------------------------ conformance


class TestConformance(ScorerSuite):
    """Stored scores answer as the scorer that gave them."""

    @pytest.fixture
    def make_scorer(self, tmp_path: Path) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int) -> Scorer:
            return AsWritten(tmp_path, local(model, vocab_size=vocab_size), vocab_size)

        return make


class AsWritten:
    """Writes the scores of the suite's batch for each temperature and weights that it meets, and reads them back."""

    def __init__(self, path: Path, inner: Scorer, vocab_size: int) -> None:
        self.path, self.inner, self.vocab_size = path, inner, vocab_size
        self.fingerprint, self.capabilities = inner.fingerprint, self._disk(1.0).capabilities

    def score(self, request: ScoreRequest) -> Any:
        return self._disk(request.temperature).score(request)

    def _disk(self, temperature: float) -> DiskScorer:
        batch = tiny_batch(vocab_size=self.vocab_size)
        table, contexts = batch.table, [context.ids for context in batch.contexts]
        manifest = Manifest(self.inner.fingerprint, "tokens", temperature, 6, True, vocab_size=self.vocab_size)
        request = ScoreRequest(contexts, table["context"], table["position"], None, 6, True, temperature=temperature)
        said = self.inner.score(request)
        folder = ScoresFolder(self.path / str(len(list(self.path.iterdir()))), manifest)
        digests = [context_digest(ids) for ids in contexts]
        folder.add(
            Rows(
                [digests[number] for number in table["context"].tolist()],
                table["position"],
                table["token_id"],
                said.sampled,
                said.entropy,
                said.top_ids,
                said.top_logprobs,
            )
        )
        folder.finish()
        return DiskScorer(folder.path)


def test_a_context_without_any_row_is_known_all_the_same(tmp_path: Path) -> None:
    folder = ScoresFolder(tmp_path / "scores", Manifest("t", "s", 1.0, 0, False))
    ids = torch.tensor([3, 4, 5])
    none = torch.tensor([-1])
    folder.add(Rows([context_digest(ids)], none, none, torch.zeros(1)))
    folder.finish()
    from understudy.rollouts import Context

    column = torch.zeros(3, dtype=torch.int64)
    (viewed,) = DiskScorer(folder.path).view().read([], [Context(ids, column, column, torch.zeros(3), column, 0)])
    assert viewed.position.tolist() == [-1, -1, -1]
