"""What runs beside a model's program inside a sandbox: as text after ``python3 -c``, the standard library alone.

Three parts, by the first argument; what follows it is where packages may be imported from. ``answer`` loads
``program.py`` and calls its functions as it is asked to, a line a question. ``check`` runs tests whose functions are
stand-ins that ask the other side. ``script`` runs ``program.py`` with nothing beside it. Values cross as JSON in which
every container says what it is, so that no object of the program's, equal to everything by its own account, ever meets
a test.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
from collections.abc import Callable
from typing import IO, Any

PASSED, FAILED, SILENT, UNREADABLE, UNUSABLE = 0, 1, 3, 4, 5
"""Exit status of ``check``: ``SILENT`` the program is gone, ``UNREADABLE`` it is no Python, ``UNUSABLE`` the tests."""

_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_PLAIN_KINDS = "biufcSU"
_MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "sys", "json", "typing"),
)
"""LiveCodeBench's programs may use all names of these without importing them."""
_RECURSION = 50_000  # LiveCodeBench's


class Opaque:
    """A value that does not cross: equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def packed(value: Any) -> Any:
    """A value as JSON can hold it."""
    if type(value).__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in _PLAIN_KINDS:
        return {"array": [value.dtype.str, list(value.shape), value.tobytes().hex()]}
    if value is None or isinstance(value, bool | str):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, complex):
        return {"complex": [packed(value.real), packed(value.imag)]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {"dict": [[packed(key), packed(one)] for key, one in value.items()]}
    for name, kind in _CONTAINERS.items():
        if isinstance(value, kind):
            return {name: [packed(one) for one in value]}
    return {"opaque": repr(value)[:200]}


def unpacked(value: Any) -> Any:
    """The value again, of Python's own types."""
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    readers: dict[str, Callable[[Any], Any]] = {
        "int": lambda text: int(text, 16),
        "float": float.fromhex,
        "complex": lambda parts: complex(unpacked(parts[0]), unpacked(parts[1])),
        "bytes": bytes.fromhex,
        "dict": lambda pairs: {unpacked(key): unpacked(one) for key, one in pairs},
        "array": array,
        "opaque": lambda _: Opaque(),
    }
    if kind in readers:
        return readers[kind](inner)
    return _CONTAINERS[kind](unpacked(one) for one in inner)


def array(parts: Any) -> Any:
    """An array of numpy's, or a scalar where it has no shape; raises ValueError unless its elements are plain."""
    import numpy

    order, shape, content = parts
    kind = numpy.dtype(str(order))
    if kind.kind not in _PLAIN_KINDS:
        raise ValueError(f"elements of type {order}")
    return numpy.frombuffer(bytes.fromhex(content), kind).reshape(shape)[()].copy()


def quietly() -> tuple[IO[str], IO[str]]:
    """The two pipes, under numbers of their own; what is printed from now on goes nowhere."""
    hear, say = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return hear, say


def answer() -> None:
    """Say ``ready``, then answer each question ``[name, arguments, named arguments]``."""
    hear, say = quietly()
    try:
        namespace = loaded("program")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        say.write(json.dumps(["unreadable", str(error)]) + "\n")
        return
    say.write(json.dumps(["ready"]) + "\n")
    for line in hear:
        name, given, named = json.loads(line)
        say.write(reply(namespace, name, unpacked(given), unpacked(named)) + "\n")


def reply(namespace: dict[str, Any], name: str, given: Any, named: Any) -> str:
    """``["value", V]`` or ``["raised", name of the error, its text]``."""
    try:
        holder = namespace.get("Solution")
        function = namespace[name] if holder is None or name in namespace else getattr(holder(), name)
        return json.dumps(["value", packed(function(*given, **named))])
    except BaseException as error:
        return json.dumps(["raised", type(error).__name__, str(error)[:200]])


def loaded(name: str) -> dict[str, Any]:
    """The program's names, after it ran; raises SyntaxError where it is none."""
    sys.setrecursionlimit(_RECURSION)
    namespace: dict[str, Any] = {"__name__": name}
    with open("prelude.py") as file:
        exec(file.read(), namespace)
    with open("program.py") as file:
        code = compile(file.read(), "program.py", "exec")
    try:
        exec(code, namespace)
    except SystemExit:
        pass
    except BaseException as error:
        if name == "__main__":
            raise
        sys.stderr.write(f"{type(error).__name__}: {error}\n")  # what it defined until then may do
    return namespace


def check() -> None:
    """Run the tests of ``problem.json`` and end with one of the statuses above."""
    hear, say = quietly()
    first = json.loads(hear.readline() or '["silent"]')[0]
    if first != "ready":
        os._exit(UNREADABLE if first == "unreadable" else SILENT)
    with open("problem.json") as file:
        problem = json.load(file)

    def stand_in(name: str) -> Callable[..., Any]:
        def ask(*given: Any, **named: Any) -> Any:
            say.write(json.dumps([name, packed(given), packed(named)]) + "\n")
            line = hear.readline()
            if not line:
                os._exit(SILENT)
            kind, *rest = json.loads(line)
            if kind == "value":
                return unpacked(rest[0])
            error = getattr(builtins, rest[0], RuntimeError)
            raise error(rest[1]) if isinstance(error, type) and issubclass(error, Exception) else RuntimeError(rest[1])

        return ask

    try:
        namespace: dict[str, Any] = {"__name__": "tests"}
        exec(problem["before"], namespace)
        code = compile(problem["tests"], "tests", "exec")
        asked = {problem["entry_point"]} if problem["entry_point"] else unknown_names(problem["tests"], namespace)
        namespace.update({name: stand_in(name) for name in asked})
        if problem["entry_point"]:
            exec(code, namespace)
            code = compile("check(" + problem["entry_point"] + ")", "tests", "exec")
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(UNUSABLE)
    try:
        exec(code, namespace)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(FAILED)
    os._exit(PASSED)


def unknown_names(tests: str, namespace: dict[str, Any]) -> set[str]:
    """Names that tests use and nobody has given a meaning: the program's functions."""
    names = [node for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    given = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            given |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.arg):
            given.add(node.arg)
    return used - given - set(namespace) - set(dir(builtins))


def script() -> None:
    """Run the program as one that is run by its file's name; ``sys.exit`` ends it well, as LiveCodeBench has it."""
    loaded("__main__")


def prelude() -> str:
    """The lines that give LiveCodeBench's programs their names."""
    stars = [f"from {name} import *\nimport {name}\n" for name in _MODULES]
    return "".join([*stars, "from builtins import *\nimport datetime\n"])


if __name__ == "__main__":
    sys.path += sys.argv[2:]
    {"answer": answer, "check": check, "script": script}[sys.argv[1]]()
