"""A pickle is a program: none is loaded by the source, and files that hold one are refused without running it."""

from __future__ import annotations

import ast
import base64
import io
import json
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_files import save_model
from tests.training.tiny_run import go, parts_of
from understudy.errors import CheckpointError, ModelError, ServerAnswerError
from understudy.models.load import load_model
from understudy.servers.decoding import npy
from understudy.training.checkpoint import folder_of

SOURCE = Path(__file__).parents[2] / "src" / "understudy"
LOADERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@cache
def trees() -> tuple[tuple[str, ast.AST], ...]:
    files = sorted(SOURCE.rglob("*.py"))
    return tuple((str(file.relative_to(SOURCE)), ast.parse(file.read_text(encoding="utf-8"))) for file in files)


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls of ``name``, such as ``torch.load``, with their files."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield file, node


def test_no_module_of_ours_imports_a_loader_of_pickles() -> None:
    found = []
    for file, tree in trees():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(file, name) for name in names if name.split(".")[0] in LOADERS]
    assert found == []


@pytest.mark.parametrize("name", ["torch.load", "torch.package.PackageImporter", "np.fromfile", "yaml.unsafe_load"])
def test_no_such_call(name: str) -> None:
    assert list(calls(name)) == []


def test_every_numpy_file_is_read_without_pickles() -> None:
    options = {file: {one.arg: ast.unparse(one.value) for one in call.keywords} for file, call in calls("np.load")}
    assert options, "there is one, so that this test can fail"
    assert {file for file, given in options.items() if given.get("allow_pickle") != "False"} == set()


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    loaders = {(file, *(ast.unparse(one.value) for one in call.keywords)) for file, call in calls("yaml.load")}
    assert loaders == {("recipe/yaml_text.py", "_Loader")}


def test_code_of_models_is_trusted_nowhere_by_itself() -> None:
    trusting = []
    for file, tree in trees():
        for node in ast.walk(tree):
            defaults = []
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                defaults = [node.value]
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "trust_remote_code" and node.value:
                defaults = [node.value]
            if isinstance(node, ast.arguments):
                pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
                defaults = [value for given, value in pairs if given.arg == "trust_remote_code" and value is not None]
            trusting += [(file, ast.unparse(value)) for value in defaults if ast.unparse(value) == "True"]
    assert trusting == []


class _Payload:
    """What a hostile pickle does: it runs a program as soon as it is loaded."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.sign,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "pytorch_model.bin.index.json"])
def test_a_model_in_pickles_is_refused(tmp_path: Path, name: str) -> None:
    folder, sign = tmp_path / "model", tmp_path / "it ran"
    save_model(folder, seed=0)
    (folder / "model.safetensors").unlink()
    payload = pickle.dumps(_Payload(sign))
    (folder / name).write_bytes(payload if not name.endswith("json") else b'{"weight_map": {"a": "pytorch_model.bin"}}')
    (folder / "pytorch_model.bin").write_bytes(payload)
    with pytest.raises(ModelError, match=r"expected a folder or hub id with config\.json and \*\.safetensors"):
        load_model(folder)
    assert not sign.exists()


def test_an_adapter_in_pickles_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "base", seed=0)
    folder = tmp_path / "adapter"
    folder.mkdir()
    settings = {"base_model_name_or_path": str(tmp_path / "base"), "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(_Payload(tmp_path / "it ran")))
    with pytest.raises(ModelError, match=r"is not a complete adapter; expected .*adapter_model\.safetensors"):
        load_model(folder)
    assert not (tmp_path / "it ran").exists()


def test_an_optimiser_in_pickles_is_refused(tmp_path: Path) -> None:
    """Also where it bears the name of the file that is read."""
    go(tmp_path / "run", parts_of(2))
    folder = folder_of(tmp_path / "run" / "checkpoints", 2)
    buffer = io.BytesIO()
    torch.save({"state": _Payload(tmp_path / "it ran")}, buffer)
    (folder / "trainer.safetensors").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="the trainer state cannot be read"):
        parts_of(2).policy.load(folder)
    (folder / "trainer.safetensors").rename(folder / "trainer.pt")
    with pytest.raises(CheckpointError, match="the trainer state cannot be read"):
        parts_of(2).policy.load(folder)
    assert not (tmp_path / "it ran").exists()


def test_an_array_of_objects_from_a_server_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Payload(tmp_path / "it ran")], dtype=object), allow_pickle=True)
    with pytest.raises(ServerAnswerError, match="scores is malformed; got object"):
        npy(base64.b64encode(buffer.getvalue()).decode(), name="scores", dtype="<f4", shape=(1,))
    assert not (tmp_path / "it ran").exists()
