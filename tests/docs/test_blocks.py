"""Every block of code in the pages runs, or is what it says it is; what cannot run here says why, and is counted."""

from __future__ import annotations

import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from transformers.utils import logging

from tests.docs import commands, recipes, stage
from tests.docs.pages import LANGUAGES, Block, blocks_of, indented_code_of, pages

PAGES = [page for page in pages() if blocks_of(page)]
NOT_RUN_AT_MOST = 12
"""A new block that cannot run here raises this, in the open."""


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, in one folder; its Python shares one namespace."""
    logging.disable_progress_bar()
    stage.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    faults: list[str] = []
    namespace: dict[str, object] = {"__name__": "__page__"}
    runnable: set[str] = set()
    for block in blocks_of(page):
        if block.not_run is None:
            faults += [f"{block.place}: {fault}" for fault in _faults(block, namespace, runnable)]
    assert not faults, "\n".join(faults)


def _faults(block: Block, namespace: dict[str, object], runnable: set[str]) -> list[str]:
    if block.language == "python":
        return _python_faults(block, namespace)
    if block.language == "bash":
        with redirect_stderr(StringIO()):
            return commands.faults_of(block.code, runnable=runnable)
    if block.language == "yaml":
        named = re.match(r"# (\S+\.yaml)\n", block.code)
        if named is not None:
            stage.write_small(named[1], block.code)
            runnable.add(named[1])
        return recipes.faults_of(block.code)
    if block.language == "json":
        return recipes.json_faults_of(block.code)
    return []


def _python_faults(block: Block, namespace: dict[str, object]) -> list[str]:
    """Run it; its lines have their numbers of the page in a traceback."""
    code = "\n" * (block.line - 1) + block.code
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            exec(compile(code, str(block.page), "exec"), namespace)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def test_every_block_says_what_it_is() -> None:
    unnamed = [block.place for page in PAGES for block in blocks_of(page) if block.language not in LANGUAGES]
    assert not unnamed, f"fenced without one of {LANGUAGES}: {unnamed}"
    indented = [place for page in pages() for place in indented_code_of(page)]
    assert not indented, f"code by its indentation alone; fence it with a language: {indented}"


def test_what_is_not_run_here_says_why_and_is_counted() -> None:
    skipped = [block for page in PAGES for block in blocks_of(page) if block.not_run is not None]
    for block in skipped:
        print(f"{block.place} ({block.language}) does not run here: {block.not_run}")
        assert len((block.not_run or "").split()) >= 3, f"{block.place} gives no reason"
    assert len(skipped) <= NOT_RUN_AT_MOST


def test_the_pages_are_found() -> None:
    """The checks above check nothing where no page is read."""
    every = [block for page in PAGES for block in blocks_of(page)]
    assert {"README.md", "docs/methods/opd.md", "docs/household.md"} <= {str(page) for page in PAGES}
    assert {"python", "bash", "yaml"} <= {block.language for block in every}
    assert sum(block.language == "python" for block in every) >= 8


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import understudy as us\nus.trian\n"),
        ("bash", "understudy train recipes/nowhere.yaml\n"),
        ("bash", "understudy train recipe.yaml --rseume\n"),
        ("bash", "understudy train recipe.yaml rollout.temprature=1\n"),
        ("bash", "python -m benchmarks.serving --siez B32\n"),
        ("bash", "make deom\n"),
        ("bash", "pip install 'understudy[nothing]'\n"),
        ("bash", "some-program --here\n"),
        ("yaml", "objective: {method: odp}\n"),
        ("yaml", "rollout: {temperature: 1}\nrollout: {temperatur: 1}\n"),
        ("yaml", "graders:\n- {nam: one}\n"),
        ("json", "{'a': 1}\n"),
    ],
)
def test_a_wrong_block_is_found(language: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(_faults(Block(Path("made-up.md"), 1, language, code, None), {}, set())) == 1
