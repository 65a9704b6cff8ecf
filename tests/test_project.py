"""What a stranger relies on: the files that ship, the pins, and a README that tells the truth about the commands."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from understudy.objectives.methods import entries
from understudy.recipe.loading import recipe_from

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "understudy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
MODULES = sorted(SOURCE.rglob("*.py"))


def committed_files() -> list[Path]:
    """What git tracks or would track; everything outside caches where this is no checkout."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout, so nothing says which files are committed")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_make_command_in_the_docs_is_a_target():
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", ".ci/run")] + sorted(
        (ROOT / "docs").rglob("*.md")
    )
    used = {
        name
        for page in pages
        for name in re.findall(r"(?:^|`|\s{4})make ([a-z]+(?:-[a-z]+)*)", page.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "check"} <= used
    assert used <= make_targets()


def test_the_makefile_has_every_promised_target():
    assert {"setup", "demo", "test", "check", "bench", "wheel", "clean"} <= make_targets()


def test_every_direct_dependency_is_pinned_and_the_pin_satisfies_it():
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] not in "#"]
    pinned = {canonicalize_name(pin.name): next(iter(pin.specifier)) for pin in pins}
    assert all(spec.operator == "==" for spec in pinned.values())
    for text in [
        *PROJECT["dependencies"],
        *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
    ]:
        wanted = Requirement(text)
        if wanted.name == "triton":  # torch's CUDA builds bring the one they need; see constraints.txt
            continue
        pin = pinned.get(canonicalize_name(wanted.name))
        assert pin is not None, f"{wanted.name} has no pin"
        assert wanted.specifier.contains(pin.version), f"{wanted} excludes its own pin {pin}"
    assert str(pinned["torch"]) == "==2.13.0", "no local build label: the pin must match CPU and CUDA builds"


def test_every_third_party_import_is_a_declared_dependency():
    modules_of = {
        "pyyaml": "yaml",
        "math-verify": "math_verify",
        "huggingface-hub": "huggingface_hub",
        "prometheus-client": "prometheus_client",
        "python-docx": "docx",
        "python-pptx": "pptx",
        "inspect-ai": "inspect_ai",
        "lm-eval": "lm_eval",
    }
    # pydantic's other half, one release of it for each of pydantic; what torch's CUDA builds bring along.
    twins = {"pydantic_core", "triton"}
    extras = [text for name, extra in PROJECT["optional-dependencies"].items() if name != "dev" for text in extra]
    declared = {canonicalize_name(Requirement(text).name) for text in [*PROJECT["dependencies"], *extras]}
    allowed = {modules_of.get(name, name) for name in declared} | twins | sys.stdlib_module_names | {"understudy"}
    undeclared = {(str(path.relative_to(ROOT)), name) for path in MODULES for name in _imported_roots(path) - allowed}
    assert not undeclared


def _imported_roots(path: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots


def test_licence_and_type_marker_ship():
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["license"] == "Apache-2.0"
    assert (SOURCE / "py.typed").is_file()


def test_one_version_everywhere():
    import understudy

    assert understudy.__version__ == PROJECT["version"] == version("understudy")
    assert re.search(rf"^## (Unreleased|{re.escape(understudy.__version__)}\b)", CHANGELOG, re.MULTILINE)


def test_no_committed_text_names_a_machine_path_or_a_registry():
    bad = re.compile(
        "|".join([r"(?<![\w.-])/(?:wo" r"rk|ro" r"ot|ho" r"me/\w+)/", r"pypi\.o" r"rg", r"/op" r"t/(?:pypi|wheels)"])
    )
    found = []
    for path in committed_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a binary fixture
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in bad.finditer(text)]
    assert not found


def test_no_source_file_outgrows_a_readers_patience():
    limits = {"protocols.py": 350}  # every seam on one page, mostly docstrings
    lengths = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert not {str(path): count for path, count in lengths.items() if count > limits.get(path.name, 300)}


def test_no_pickle_is_ever_read():
    """`torch.load` and `pickle` run whatever a file tells them to; `pickletools` only reads."""
    calls = re.compile(r"\b(?:import (?:pickle|dill|joblib|shelve)\b|torch\.load\(|allow_pickle=True)")
    assert not [str(path.relative_to(ROOT)) for path in MODULES if calls.search(path.read_text())]


def test_init_files_only_export():
    for path in SOURCE.rglob("__init__.py"):
        kinds = {type(node).__name__ for node in ast.parse(path.read_text()).body}
        # The package itself exports by name and imports on demand, so that `--help` need not wait for torch.
        lazy = {"If", "FunctionDef"} if path.parent == SOURCE else set()
        assert kinds - lazy <= {"Expr", "ImportFrom", "Import", "Assign"}, path


def test_links_between_the_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_recipes_shown_in_the_readme_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        assert recipe_from(yaml.safe_load(block)).objective.method in {"sft", "seq_kd", "opd", "gkd"}


def test_the_readme_and_the_index_list_methods_there_are():
    listed = set(re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE))
    assert {"opd", "gkd", "sft"} <= listed <= {entry.name for entry in entries()}
    index = (ROOT / "docs" / "methods" / "reference" / "README.md").read_text()
    assert re.findall(r"^\| \[`(\w+)`\]", index, flags=re.MULTILINE) == [entry.name for entry in entries()]


def test_the_list_of_recipes_names_every_one():
    page = (ROOT / "docs" / "recipes.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", page, flags=re.MULTILINE)
    listed = {name for row in rows for name in _spelled_out(row)}
    assert listed == {path.stem for path in (ROOT / "recipes").glob("*.yaml")}


def _spelled_out(row: str) -> list[str]:
    """``a-{b,c}-d`` and the endings after it, as names."""
    first, *endings = re.findall(r"`([^`]+)`", row)
    names = [first, *(first[: first.rindex("-")] + ending for ending in endings)]
    braces = re.search(r"\{(.*?)\}", first)
    choices = braces.group(1).split(",") if braces else [""]
    return [re.sub(r"\{.*?\}", choice, name) for name in names for choice in choices]


def test_pages_that_the_code_cites_exist():
    cited = {name for path in MODULES for name in re.findall(r"docs/[\w/.-]+\.md", path.read_text())}
    assert not {name for name in cited if not (ROOT / name).is_file()}


def test_no_page_or_source_cites_a_page_that_the_repository_lacks():
    """Notes that only its writer has are no source for a reader."""
    files = committed_files()
    made = {"index.md", "map.md", "note.md", "NNN-title.md"}  # of the site, by an agent, by a contributor
    known = {path.name for path in files} | made
    read = [path for path in files if path.suffix in (".md", ".py", ".yaml") and "tests" not in path.parts]
    names = re.compile(r"[\w-]+\.md\b|\bMETHODS (?:\d|names|section)")  # notes of the project's makers
    cited = {(path, name) for path in read for name in names.findall(path.read_text())}
    assert not sorted(f"{path.relative_to(ROOT)}: {name}" for path, name in cited if name not in known)


needs_cli = pytest.mark.skipif(not (SOURCE / "cli.py").is_file(), reason="the command line is not written yet")


def understudy_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "understudy", *arguments]
    plain = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env=plain)


@needs_cli
def test_help_lists_every_verb_the_readme_names():
    shown = understudy_command("--help")
    assert shown.returncode == 0, shown.stderr
    verbs = set(re.findall(r"understudy (demo|train|evaluate|methods)\b", README))
    assert verbs == {"demo", "train", "evaluate", "methods"}
    for verb in verbs:
        assert re.search(rf"\b{verb}\b", shown.stdout)
        assert understudy_command(verb, "--help").returncode == 0


@needs_cli
def test_an_unknown_verb_is_the_users_mistake():
    shown = understudy_command("distil-everything")
    assert shown.returncode == 2
    assert "Traceback" not in shown.stdout + shown.stderr


@needs_cli
def test_python_shown_in_the_readme_uses_names_that_exist():
    import understudy

    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    used = {name for block in blocks for name in re.findall(r"\bus\.(\w+)", block)}
    assert used
    assert not {name for name in used if not hasattr(understudy, name)}


@needs_cli
def test_recipes_and_files_in_the_readme_exist():
    named = set(re.findall(r"\b(recipes/[\w.-]+\.yaml)", README))
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
