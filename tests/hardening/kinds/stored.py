"""What earlier runs stored: a teacher's scores, samples of an evaluation, votes of graders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save

from tests.hardening.mutating import broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from understudy.evaluation.grading import stored_votes
from understudy.evaluation.grading.votes import Vote, majority
from understudy.evaluation.journal import FORMAT, journal_at
from understudy.evaluation.samples import SampleRecord
from understudy.protocols import ScoreRequest
from understudy.rollouts import FinishReason
from understudy.teachers.disk_scores import DiskScorer
from understudy.teachers.disk_scores_files import (
    MANIFEST,
    NARROW,
    Manifest,
    PartRecord,
    context_digest,
    digest_of,
    files_of,
    rollouts_digest,
)

_IDS = torch.tensor([2, 3, 4, 5])


def scores(folder: Path) -> Target:
    """A folder of stored scores: one of its files broken, with or without a digest that is right for it."""
    good = _scores_made(folder / "good")
    files = {file.name: file.read_bytes() for file in sorted(good.iterdir())}
    work = folder / "work"
    names = [*sorted(files), MANIFEST, "rows", "rows"]

    def make(random: Random) -> bytes:
        name = random.choice(names)
        if name == "rows":
            content = _rows_twisted(random)
        elif name == MANIFEST and random.random() < 0.7:
            content = json_bytes(twisted(random, json.loads(files[name])))
        else:
            content = broken(random, files[name])
        return json.dumps([name, random.random() < 0.7]).encode() + b"\n" + content

    def attempt(content: bytes) -> None:
        head, _, body = content.partition(b"\n")
        name, is_right = json.loads(head)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(good, work)
        (work / (files_of(work, 0)[0].name if name == "rows" else name)).write_bytes(body)
        if name != MANIFEST and is_right:
            said = json.loads((work / MANIFEST).read_text())
            said["parts"][0]["digest"] = digest_of(work, 0)
            (work / MANIFEST).write_text(json.dumps(said))
        scorer = DiskScorer(work)
        wishes: dict[str, Any] = {"top_k": scorer.capabilities.top_k, "entropy": scorer.capabilities.entropy}
        place = torch.tensor([1, 2, 3])
        answered = scorer.score(ScoreRequest([_IDS], torch.zeros(3, dtype=torch.long), place, **wishes))
        if answered.sampled.shape != (3,) or bool(answered.sampled.isnan().any()):
            raise AssertionError("other rows than were asked for")

    return Target("stored scores", make, attempt)


def _scores_made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    narrow, wide = files_of(folder, 0)
    pq.write_table(_table(), narrow)
    wide.write_bytes(save({"top_ids": torch.tensor([[3, 4]] * 3), "top_logprobs": torch.full((3, 2), -0.7)}))
    part = PartRecord(0, 3, digest_of(folder, 0))
    contexts = rollouts_digest([context_digest(_IDS)])
    manifest = Manifest("teacher", "tokens", 1.0, 2, True, 32, contexts, (part,), complete=True)
    (folder / MANIFEST).write_text(json.dumps(manifest.to_json()))
    return folder


def _table(**columns: list[Any]) -> pa.Table:
    good: dict[str, list[Any]] = {
        "context": [context_digest(_IDS)] * 3,
        "position": [1, 2, 3],
        "token_id": [3, 4, 5],
        "logprob": [-0.5, -1.0, -0.1],
        "entropy": [0.5, 0.6, 0.7],
    }
    return pa.table({**good, **columns}, schema=NARROW)


def _rows_twisted(random: Random) -> bytes:
    odd: dict[str, list[Any]] = {
        "position": [0, -1, 2**31 - 1, None, 7],
        "token_id": [-1, 2**62, None, 99],
        "logprob": [float("nan"), float("inf"), float("-inf"), None, 5.0],
        "entropy": [float("nan"), float("-inf"), None],
        "context": [bytes(16), None],
    }
    name = random.choice(list(odd))
    column = _table().column(name).to_pylist()
    column[random.randrange(3)] = random.choice(odd[name])
    sink = pa.BufferOutputStream()
    pq.write_table(_table(**{name: column}), sink)
    return bytes(sink.getvalue().to_pybytes())


def _lines(file: Path, head: Any, lines: list[Any], read: Callable[[], None], *, name: str) -> Target:
    """A file of JSON lines, the first of which says what it is."""
    whole = [json_bytes(line) + b"\n" for line in (head, *lines)]

    def make(random: Random) -> bytes:
        if random.random() < 0.03:
            return random.choice((whole[0] + nested() + b"\n", nested(b'{"attempt":', b"}"), whole[0] * 3))
        if random.random() < 0.6:
            return b"".join([whole[0], *(json_bytes(twisted(random, line, times=1)) + b"\n" for line in lines)])
        return broken(random, b"".join(whole), others=whole)

    def attempt(content: bytes) -> None:
        file.write_bytes(content)
        read()

    return Target(name, make, attempt)


def journals(folder: Path) -> Target:
    """The samples of an evaluation that was stopped; what is kept must be samples, and the journal goes on."""
    about = {"suite": "s", "seed": 1}
    record = SampleRecord("p", ("a", "b"), 1.0, True, FinishReason.STOP, 3, True, "7", {"x": (1, 2)})
    lines = [{"attempt": n, **json.loads(json.dumps(record.to_json()))} for n in range(3)]
    file = folder / "s.jsonl"

    def read() -> None:
        with journal_at(file, about) as journal:
            before = dict(journal.samples)
            journal.add({9: record})
        if sum(sample.score + sample.num_tokens + len("".join(sample.completions)) for sample in before.values()) < 0:
            raise AssertionError("no samples")
        with journal_at(file, about) as journal:
            if journal.samples != {**before, 9: record}:
                raise AssertionError("another journal than was written")

    return _lines(file, {"format": FORMAT, "about": about}, lines, read, name="evaluation journal")


def votes(folder: Path) -> Target:
    """What a grader said before; it stands with kinds and counts that a report can use, or is asked again."""
    given = [vars(Vote(True, "seen")), vars(Vote(None, "", "left out")), vars(Vote(False, "no"))]
    good = {"fingerprint": "f", "votes": given, "input_tokens": 5, "output_tokens": 6, "num_cut": 0}
    file = folder / "votes.json"

    def make(random: Random) -> bytes:
        if random.random() < 0.02:
            return random.choice((nested(), nested(b'{"votes":', b"}")))
        return json_bytes(twisted(random, good)) if random.random() < 0.8 else broken(random, json_bytes(good))

    def attempt(content: bytes) -> None:
        file.write_bytes(content)
        marked = stored_votes.stored(file, "f")
        if marked is not None:
            majority([vote.met for vote in marked.votes])
            sum((marked.input_tokens, marked.output_tokens, marked.num_cut))
            " ".join(vote.why for vote in marked.votes)
            if not {vote.met for vote in marked.votes} <= {True, False, None}:
                raise AssertionError("a vote that is none")

    return Target("stored votes", make, attempt)
