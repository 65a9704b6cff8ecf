"""Programs made wrong by one small change, and whether tests run in the plainest way notice."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterator
from pathlib import Path

from understudy.sandbox import Limits, run

_SWAPS: dict[type, type] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(program: str, function: str) -> list[str]:
    """All programs that differ from one in one operator, constant or return of one function."""
    tree = ast.parse(program)
    places = [
        (number, change)
        for number, node in enumerate(_nodes(tree, function))
        for change in ("swap", "constant", "return")
        if _changed(node, change) is not None
    ]
    found = []
    for number, change in places:
        mutant = copy.deepcopy(tree)
        node = list(_nodes(mutant, function))[number]
        new = _changed(node, change)
        for name, value in ast.iter_fields(new):
            setattr(node, name, value)
        found.append(ast.unparse(mutant))
    return found


def _nodes(tree: ast.Module, function: str) -> Iterator[ast.AST]:
    for outer in tree.body:
        if isinstance(outer, ast.FunctionDef) and outer.name == function:
            for statement in outer.body[1:]:  # after the docstring
                yield from ast.walk(statement)


def _changed(node: ast.AST, change: str) -> ast.AST | None:
    if change == "swap" and isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        return ast.Compare(node.left, [_SWAPS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    if change == "swap" and isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
        return ast.BinOp(node.left, _SWAPS[type(node.op)](), node.right)
    if change == "swap" and isinstance(node, ast.BoolOp):
        return ast.BoolOp(_SWAPS[type(node.op)](), node.values)
    if change == "constant" and isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            return ast.Constant(not node.value)
        if isinstance(node.value, int):
            return ast.Constant(node.value + 1)
        if isinstance(node.value, str):
            return ast.Constant(node.value + "x")
    if change == "return" and isinstance(node, ast.Return) and node.value is not None:
        return ast.Return(ast.Constant(None))
    return None


_PLAINLY = """
import json, os, signal
for problem in json.load(open("problems.json")):
    for program in problem["programs"]:
        child = os.fork()
        if child == 0:
            signal.alarm(3)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                names = {}
                exec(program + "\\n" + problem["test"], names)
                names["check"](names[problem["entry_point"]])
                os._exit(0)
            except BaseException:
                os._exit(1)
        print(int(os.waitpid(child, 0)[1] == 0), end="", flush=True)
    print()
"""


def pass_plainly(problems: list[dict[str, object]], folder: Path) -> list[list[bool]]:
    """For each problem's ``programs``, whether its own tests pass, all in one process and with nothing in between."""
    (folder / "problems.json").write_text(json.dumps(problems))
    limits = Limits(wall_seconds=300, cpu_seconds=300)
    outcome = run(["python3", "-S", "-c", _PLAINLY], folder=folder, limits=limits)
    assert outcome.exit_status == 0, outcome
    return [[mark == "1" for mark in line] for line in outcome.stdout.splitlines()]
