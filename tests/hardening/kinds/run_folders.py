"""Folders of runs: metrics, manifests, trainer states, checkpoints and rollouts that were cut short or bit-flipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from safetensors import SafetensorError
from safetensors.torch import load_file

from tests.hardening.mutating import broken, json_bytes, nested, twisted
from tests.hardening.target import Target
from tests.reports.hand_made import make_run
from tests.training.tiny_run import go, parts_of, record_of, weights_of
from understudy.errors import CheckpointError
from understudy.models.load import load_model
from understudy.reports.page import write_report
from understudy.training import checkpoint, metric_lines, rollout_files
from understudy.training.rollout_store import RolloutStore

STEPS = 4


def metrics(folder: Path) -> Target:
    """The bytes of ``metrics.jsonl``, read and cut as ``--resume`` does."""
    lines = [json.dumps({"step": n, "loss": 0.5, "reward": None}).encode() + b"\n" for n in range(5)]
    file = folder / "metrics.jsonl"

    def make(random: Random) -> bytes:
        if random.random() < 0.02:
            return random.choice((nested(), nested(b'{"step":', b"}"), b'{"step": 1' + b"0" * 5000 + b"}\n"))
        if random.random() < 0.4:
            return b"".join(json_bytes(twisted(random, json.loads(line))) + b"\n" for line in lines)
        return broken(random, b"".join(lines), others=lines)

    def attempt(content: bytes) -> None:
        file.write_bytes(content)
        kept = [line for line in metric_lines.read(file) if metric_lines.step_of(line) < 3]
        metric_lines.cut(file, below=3)
        if [metric_lines.step_of(line) for line in metric_lines.read(file)] != [metric_lines.step_of(k) for k in kept]:
            raise AssertionError("other lines were kept than those below the step")

    return Target("metric lines", make, attempt)


def _checkpoint_made(folder: Path) -> Path:
    """A folder with the two checkpoints of a run of four steps."""
    go(folder / "run", parts_of(STEPS))
    return folder / "run" / "checkpoints"


def manifests(folder: Path) -> Target:
    """A file of the newest checkpoint is replaced; what is loaded must be what was saved, or an older one."""
    good = _checkpoint_made(folder)
    newest = checkpoint.folder_of(good, STEPS)
    names = sorted(str(file.relative_to(newest)) for file in newest.rglob("*") if file.is_file())
    saved = {name: (newest / name).read_bytes() for name in names}
    work = folder / "work"

    def make(random: Random) -> bytes:
        number = random.randrange(len(names))
        if names[number].endswith("json") and random.random() < 0.5:
            return bytes([number]) + json_bytes(twisted(random, json.loads(saved[names[number]])))
        return bytes([number]) + broken(random, saved[names[number]])

    def load(found: Path) -> None:
        try:
            json.loads((found / "trainer.json").read_text())
            load_file(found / "trainer.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError("no", got=error) from error

    def attempt(content: bytes) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(good, work)
        (checkpoint.folder_of(work, STEPS) / name).write_bytes(content[1:])
        found = checkpoint.load_last(work, load)
        if name != checkpoint.MANIFEST and content[1:] != saved[name] and found is not None and found.step == STEPS:
            raise AssertionError(f"{name} was changed and taken all the same")

    return Target("checkpoint files", make, attempt)


def policies(folder: Path) -> Target:
    """A checkpoint whose manifest is right and whose content is hostile, loaded by a policy."""
    good = checkpoint.folder_of(_checkpoint_made(folder), STEPS)
    names = ["trainer.json", "trainer.safetensors", "model/config.json", "model/model.safetensors"]
    saved = {name: (good / name).read_bytes() for name in names}
    policy = parts_of(STEPS).policy

    def make(random: Random) -> bytes:
        number = random.randrange(len(names))
        if names[number].endswith("json") and random.random() < 0.6:
            return bytes([number]) + json_bytes(twisted(random, json.loads(saved[names[number]])))
        return bytes([number]) + broken(random, saved[names[number]])

    def attempt(content: bytes) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        try:
            (good / name).write_bytes(content[1:])
            policy.load(good)
        finally:
            (good / name).write_bytes(saved[name])

    return Target("policy checkpoint", make, attempt)


def models(folder: Path) -> Target:
    """A model's folder as ``student.model`` names it: configuration, weights, tokenizer."""
    from tests.tiny_files import save_model

    place = folder / "model"
    save_model(place, seed=0)
    names = sorted(file.name for file in place.iterdir())
    saved = {name: (place / name).read_bytes() for name in names}

    def make(random: Random) -> bytes:
        number = random.randrange(len(names))
        if names[number].endswith("json") and random.random() < 0.7:
            return bytes([number]) + json_bytes(twisted(random, json.loads(saved[names[number]])))
        return bytes([number]) + broken(random, saved[names[number]])

    def attempt(content: bytes) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        try:
            (place / name).write_bytes(content[1:])
            load_model(place)
        finally:
            (place / name).write_bytes(saved[name])

    return Target("model folder", make, attempt)


def resumed(folder: Path) -> Target:
    """Any file of a run that was cut after its last checkpoint; it goes on to the same weights, or says why not."""
    whole, work = folder / "whole", folder / "work"
    parts = parts_of(STEPS + 2)
    go(whole, parts)
    expected = weights_of(parts)
    shutil.rmtree(checkpoint.folder_of(whole / "checkpoints", STEPS + 2))
    names = sorted(str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file() and file.stat().st_size)
    saved = {name: (whole / name).read_bytes() for name in names}

    def attempt(content: bytes) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(whole, work)
        (work / name).write_bytes(content[1:])
        again = parts_of(STEPS + 2)
        go(work, again, resume=True)
        record_of(work)
        if any(not one.equal(other) for one, other in zip(weights_of(again), expected, strict=True)):
            raise AssertionError(f"with another {name} the run came to other weights")

    def make(random: Random) -> bytes:
        number = random.randrange(len(names))
        content = saved[names[number]]
        if names[number].endswith(".json") and random.random() < 0.4:
            return bytes([number]) + json_bytes(twisted(random, json.loads(content)))
        return bytes([number]) + broken(random, content)

    return Target("resumed run", make, attempt)


def rollouts(folder: Path) -> Target:
    """A file of rollouts, read back, and found by a store that may pass over it."""
    parts = parts_of(1)
    made = parts.collect(0, lambda _: None)
    store = folder / "store"
    file = store / "000000.parquet"
    rollout_files.write_plain(file, made, about={"writer": "{}"})
    good = file.read_bytes()

    def attempt(content: bytes) -> None:
        file.write_bytes(content)
        RolloutStore(store, writer={})
        rollout_files.read(file)

    return Target("rollout file", lambda random: broken(random, good, others=[good]), attempt)


def reports(folder: Path) -> Target:
    """Any file of a run that is reported on; whatever is broken is told in the page."""
    run = make_run(folder / "run")
    names = sorted(str(file.relative_to(run)) for file in run.rglob("*") if file.is_file())
    saved = {name: (run / name).read_bytes() for name in names}

    def make(random: Random) -> bytes:
        number = random.randrange(len(names))
        content = saved[names[number]]
        if names[number].endswith(".json") and random.random() < 0.6:
            return bytes([number]) + json_bytes(twisted(random, json.loads(content)))
        if names[number].endswith(".jsonl") and random.random() < 0.6:
            rows = [json_bytes(twisted(random, json.loads(line))) for line in content.splitlines()]
            return bytes([number]) + b"\n".join(rows)
        return bytes([number]) + broken(random, content, others=[content])

    def attempt(content: bytes) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        try:
            (run / name).write_bytes(content[1:])
            write_report(run, out=folder / "report.html")
        finally:
            (run / name).write_bytes(saved[name])

    return Target("reported run", make, attempt)
