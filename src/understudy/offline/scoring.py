"""Score fixed rollouts with a recipe's teacher, and keep the scores on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from understudy.build import Assembly, assemble
from understudy.build.offline import student_fingerprint
from understudy.build.writers import Keeping
from understudy.errors import RecipeError, RunDirectoryError
from understudy.offline.writing import ScoresFolder
from understudy.protocols import Scorer, ScoreRequest, View
from understudy.recipe import Recipe, StoredScores
from understudy.rollouts import Context, Rollout, contexts_of
from understudy.teachers.disk_scores_files import Manifest, Rows, context_digest
from understudy.tokens import TokenTable, batch_of
from understudy.training import rollout_files
from understudy.training.views import Reading, as_the_student, read_through
from understudy.written_whole import is_untouched

Say = Callable[[str], None]
ROLLOUTS_A_PART = 128


@dataclass(frozen=True)
class Scored:
    """What was written.

    Args:
        path: the folder. num_rollouts, num_rows: scored, earlier sessions included. num_without: tokens of the
            student's that the teacher has no row for. manifest: what the scores are of.
    """

    path: Path
    num_rollouts: int
    num_rows: int
    num_without: int
    manifest: Manifest


def score(
    recipe: Recipe, out: Path, *, rollouts: Path | None = None, top_k: int | None = None, say: Say = lambda _: None
) -> Scored:
    """Write the teacher's log-probs, entropies and top-k for every rollout; a folder that was begun is gone on with.

    Args:
        out: the folder, new or begun by the same command.
        rollouts: a folder of a run's rollouts; None lets the student write those of every step of the recipe, as it is
            before step 0.
        top_k: candidates a row, at least as many as the method needs; None takes these.
    Raises:
        UserMistakeError: the recipe cannot be used, or ``out`` holds other scores.
    """
    if isinstance(recipe.teacher, StoredScores):
        raise RecipeError("the teacher of this recipe is stored scores already", remedy="Name the model to score with.")
    _refuse_other_folder(out)
    assembly = assemble(recipe, keeping=Keeping(out))
    teacher = assembly.parts.scorers.get("teacher")
    if teacher is None:
        raise RecipeError("there is no teacher to score with", expected="a section 'teacher'")
    wanted = _manifest(recipe, assembly, teacher, top_k=top_k)
    folder = ScoresFolder(out, wanted)
    count = without = 0
    for some in _parts_of(recipe, assembly, rollouts):
        rows, missing = _scored(some, assembly, teacher, wanted, known=folder.known)
        folder.add(rows)
        count, without = count + len(some), without + missing
        say(f"{count:,} rollouts, {folder.num_rows:,} rows")
    return Scored(out, count, folder.num_rows, without, folder.finish())


def _refuse_other_folder(out: Path) -> None:
    """A folder with something in it that is none of ours stays as it is."""
    if out.exists() and not out.is_dir():
        raise RunDirectoryError(f"{out} is no folder", remedy="Choose another one with --out.")
    begun = ScoresFolder.began(out) or (out / "written").is_dir()
    if not begun and not is_untouched(out):
        raise RunDirectoryError(f"{out} exists and holds no stored scores", remedy="Choose another folder with --out.")


def _manifest(recipe: Recipe, assembly: Assembly, teacher: Scorer, *, top_k: int | None) -> Manifest:
    needs, can = assembly.parts.objective.needs, teacher.capabilities
    k = can.width(max(top_k or 0, needs.top_k.get("teacher", 0)))
    if k > can.top_k:
        raise RecipeError("the teacher gives fewer candidates a row", got=f"top_k {k}", expected=f"at most {can.top_k}")
    return Manifest(
        teacher=teacher.fingerprint,
        tokenizer=student_fingerprint(assembly.policy.loaded),
        temperature=recipe.rollout.temperature,
        top_k=k,
        entropy=can.entropy,
        vocab_size=can.vocab_size,
    )


def _parts_of(recipe: Recipe, assembly: Assembly, folder: Path | None) -> Iterator[Sequence[Rollout]]:
    """Rollouts, some at a time: stored ones, or those that each step of the recipe will meet."""
    if folder is not None:
        files = sorted(folder.glob("*.parquet"))
        if not files:
            raise RunDirectoryError(
                f"{folder} holds no rollouts",
                expected="the folder rollouts of a run, with files step-NNNNNN.parquet",
                remedy="Name it with --rollouts.",
            )
        for file in files:
            stored = rollout_files.read(file)
            for first in range(0, len(stored), ROLLOUTS_A_PART):
                yield stored[first : first + ROLLOUTS_A_PART]
        return
    if assembly.parts.objective.writing.weights != "initial":
        raise RecipeError(
            f"method {recipe.objective.method!r} learns from what the student writes at each step",
            expected="objective: {method: lightning}, whose rollouts are fixed, or stored rollouts",
            remedy="Name a run's rollouts with --rollouts, or use method lightning.",
        )
    for step in range(recipe.steps):
        yield assembly.parts.collect(step, lambda _: None)


def _scored(
    rollouts: Sequence[Rollout], assembly: Assembly, teacher: Scorer, wanted: Manifest, *, known: set[bytes]
) -> tuple[Rows, int]:
    """Rows of the contexts that are not known yet, and how many tokens have none."""
    contexts = contexts_of(rollouts)
    table = batch_of(rollouts, contexts).table
    reading = _read(assembly, rollouts, contexts, table)
    digests = [context_digest(context.ids) for context in contexts]
    fresh = _first_of_each(digests, known)
    seen = reading.position >= 1
    rows = (seen & torch.isin(table["context"], torch.tensor(fresh, dtype=torch.int64))).nonzero().squeeze(1)
    answer = teacher.score(_request(reading.keep_rows(rows), wanted))
    of = table["context"][rows].tolist()
    empty = [digests[number] for number in fresh if number not in set(of)]
    return _with_empty(
        Rows(
            contexts=[digests[number] for number in of],
            position=table["position"][rows],
            token_id=table["token_id"][rows],
            logprob=answer.sampled,
            entropy=answer.entropy,
            top_ids=answer.top_ids,
            top_logprobs=answer.top_logprobs,
        ),
        empty,
    ), int((~seen).sum())


def _first_of_each(digests: Sequence[bytes], known: set[bytes]) -> list[int]:
    """Contexts that are new, each text once."""
    first = {digest: number for number, digest in reversed(list(enumerate(digests)))}
    return sorted(number for digest, number in first.items() if digest not in known)


def _read(assembly: Assembly, rollouts: Sequence[Rollout], contexts: Sequence[Context], table: TokenTable) -> Reading:
    parts = assembly.parts
    routes = [parts.route(rollouts[context.rollout]) for context in contexts]
    view: View | None = parts.views.get("teacher")
    if view is None:
        return as_the_student(contexts, table, routes=routes)
    return read_through(view, rollouts, contexts, table, routes=routes)


def _request(reading: Reading, wanted: Manifest) -> ScoreRequest:
    return ScoreRequest(
        contexts=reading.contexts,
        context=reading.context,
        position=reading.position,
        top_k=wanted.top_k,
        entropy=wanted.entropy,
        temperature=wanted.temperature,
        routes=reading.routes,
    )


def _with_empty(rows: Rows, empty: Sequence[bytes]) -> Rows:
    """The rows, and one at position -1 for each context that has none: it was read, and nothing in it has a score."""
    count = len(empty)
    none = torch.full((count,), -1, dtype=torch.int64)
    return Rows(
        contexts=[*rows.contexts, *empty],
        position=torch.cat([rows.position, none]),
        token_id=torch.cat([rows.token_id, none]),
        logprob=torch.cat([rows.logprob, torch.zeros(count)]),
        entropy=None if rows.entropy is None else torch.cat([rows.entropy, torch.zeros(count)]),
        top_ids=None if rows.top_ids is None else _filled(rows.top_ids, count),
        top_logprobs=None if rows.top_logprobs is None else _filled(rows.top_logprobs, count),
    )


def _filled(wide: torch.Tensor, count: int) -> torch.Tensor:
    return torch.cat([wide, torch.zeros(count, wide.shape[1], dtype=wide.dtype)])
