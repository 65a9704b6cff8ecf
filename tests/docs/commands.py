"""A block of shell: every command is one that exists, with options that it has; the cheap ones are run."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from torch.distributed.run import get_args_parser

from tests.docs.pages import ROOT
from understudy import cli
from understudy.errors import UnderstudyError
from understudy.recipe import load_recipe

_CHEAP = {"--help", "-h", "--list", "--print-recipe", "--dry-run", "--counts", "--show-completion"}
_CHEAP_VERBS = {("methods",), ("recipes",), ("office", "new")}
_VERBS_WITH_RECIPE = ("train", "doctor", "score", "plan", "launch")
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*=\S*$")


def faults_of(code: str, *, runnable: set[str]) -> list[str]:
    """What is wrong with the commands of the block, run in the working directory.

    Args:
        runnable: recipes small enough to train from.
    """
    return [f"`{' '.join(words)}`: {fault}" for words in commands(code) if (fault := _fault(words, runnable))]


def commands(code: str) -> list[list[str]]:
    """The words of each command, without comments, a prompt, variables before it, and the brackets of a synopsis."""
    lines = code.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        line = re.sub(r"\[(-[^]]*?)(?: \.\.\.)?\]", r"\1", line.strip().removeprefix("$ "))
        line = re.sub(r" > [\w./-]+(?=\s*(?:#|$))", "", line)  # into a file: what is asked for is the same
        words = [word for word in shlex.split(line, comments=True) if word not in ("...", "&")]
        while words and _VARIABLE.match(words[0]):
            words = words[1:]
        if words:
            found.append(words)
    return found


def _fault(words: list[str], runnable: set[str]) -> str | None:
    """Nothing, or why the command is wrong."""
    if words[0] == "torchrun" or words[:3] == ["python", "-m", "understudy.torchrun"]:
        words = ["understudy", *words[words.index("understudy") + 1 :]]
    if words[:3] == ["python", "-m", "understudy"]:
        words = words[2:]
    program, rest = words[0], words[1:]
    if program == "understudy":
        return _understudy_fault(rest, runnable)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return None if rest[0] in targets else "no such target"
    if program == "pip":
        return _extras_fault(rest)
    if words[:2] == ["python", "-m"]:
        return _module_fault(rest[1], rest[2:])
    if program in ("python", "pytest", "bash"):
        missing = [word for word in rest if "/" in word and not word.startswith("-") and not (ROOT / word).exists()]
        return f"there is no {missing[0]}" if missing else None
    if program in ("cd", "export", "source", "git"):
        return None
    return f"nothing here knows {program}; is the block marked <!-- not run: why -->?"


def _understudy_fault(arguments: list[str], runnable: set[str]) -> str | None:
    if arguments == ["--install-completion"]:
        return None  # it would change the files of whoever runs the tests
    try:
        path, given = _parsed(typer.main.get_command(cli.app), (), arguments)
    except typer.Exit:
        return None  # --help, which says its own
    except Exception as error:  # the parser's own classes are not exported
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    recipe, overrides = str(given.get("recipe")), given.get("overrides") or []
    runs = path in _CHEAP_VERBS or bool(_CHEAP & set(arguments)) or (path == ("train",) and recipe in runnable)
    if path[0] in _VERBS_WITH_RECIPE:
        try:
            load_recipe(recipe, list(overrides))
        except UnderstudyError as error:
            return str(error)
    return _run_fault(arguments) if runs else None


def _parsed(command: Any, path: tuple[str, ...], arguments: list[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The verb and its parameters, as the command line reads them; nothing is called."""
    context = command.make_context(path[-1] if path else "understudy", list(arguments))
    if not hasattr(command, "commands"):
        return path, context.params
    rest = [*getattr(context, "_protected_args", []), *context.args]
    name, found, rest = command.resolve_command(context, rest)
    return _parsed(found, (*path, name), rest)


def _run_fault(arguments: list[str]) -> str | None:
    written = StringIO()
    with mock.patch.object(sys, "argv", ["understudy", *arguments]), redirect_stdout(written):
        try:
            cli.main()
        except SystemExit as ended:
            return f"ended with {ended.code}" if ended.code else None
        except UnderstudyError as error:
            return str(error)
    return None


def _extras_fault(words: list[str]) -> str | None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [name for word in words for found in re.findall(r"\[(.+)\]", word) for name in found.split(",")]
    missing = [name for name in named if name not in extras]
    return f"there is no extra {missing[0]}" if missing else None


def _module_fault(module: str, arguments: list[str]) -> str | None:
    """Whether a benchmark's module is there and knows the options; others are looked up only."""
    if module == "understudy.torchrun":
        known = get_args_parser()._option_string_actions
        unknown = [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in known]
        return f"torchrun has no option {unknown[0]}" if unknown else None
    file = ROOT / Path(*module.split("."))
    source = next((each for each in (file.with_suffix(".py"), file / "__main__.py") if each.is_file()), None)
    if source is None:
        return None if module in ("pytest", "http.server") else f"there is no module {module}"
    unknown = [word for word in arguments if word.startswith("--") and f'"{word}"' not in source.read_text()]
    return f"{module} has no option {unknown[0]}" if unknown else None
