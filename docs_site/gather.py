"""Gathers the documentation's site: the pages as they are, recipes and examples shown, the API, and a navigation.

python -m docs_site.gather build/site-source    # then: python -m mkdocs build --strict -f build/site-source/mkdocs.yml

The navigation is the map, docs/README.md: its headings and what stands below each; what it lacks stands under "More".
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_API = {
    "Train, evaluate, compare": "understudy.api understudy.evaluating understudy.comparing understudy.publishing",
    "The recipe": "understudy.recipe",
    "The seams": "understudy.protocols understudy.rollouts understudy.tokens understudy.plans",
    "Pieces of a method": "understudy.objectives.objective understudy.objectives.terms understudy.objectives.signals "
    "understudy.objectives.gates understudy.objectives.shapes understudy.objectives.turns "
    "understudy.objectives.rewards understudy.objectives.schedules understudy.objectives.reductions "
    "understudy.objectives.needs",
    "TRL's trainers": "understudy.trl understudy.trl.config understudy.trl.trainer",
    "Environments with tools": "understudy.environments.tools",
    "Sandbox": "understudy.sandbox",
    "Statistics": "understudy.evaluation.statistics",
    "Errors": "understudy.errors",
}
"""Titles of the API's pages and the modules on each."""
_FIRST = {"The recipe": "What each field takes and its default: [every field of a recipe](../docs/fields.md).\n\n"}
"""What stands above the modules of a page."""


@dataclass(frozen=True)
class Page:
    """A page of the site.

    Args:
        source: the file it is made of, relative to the repository. target: its path in the site. text: Markdown.
    """

    source: str
    target: str
    text: str


def gather(out: Path) -> None:
    """Write the site's source and its ``mkdocs.yml`` into ``out``, anew.

    Raises:
        SystemExit: a link leads nowhere.
    """
    pages = [*_written(), *_shown("recipes", "yaml"), *_shown("examples", "python"), *_api()]
    places = {page.source: page.target for page in pages}
    shutil.rmtree(out, ignore_errors=True)
    for page in pages:
        file = out / "pages" / page.target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_for_the_site(page, places), encoding="utf-8")
    shutil.copytree(HERE / "assets", out / "pages" / "assets")
    for picture in (ROOT / "docs").rglob("*.png"):
        target = out / "pages" / picture.relative_to(ROOT / "docs")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, target)
    settings: dict[str, Any] = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    handler = next(each for each in settings["plugins"] if "mkdocstrings" in each)["mkdocstrings"]["handlers"]["python"]
    handler["options"]["extensions"] = [f"{HERE / 'docstring_extension.py'}:ReadableDocstrings"]
    settings |= {"nav": navigation(places), "docs_dir": "pages", "site_dir": os.path.relpath(ROOT / "site", out)}
    (out / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def navigation(places: Mapping[str, str]) -> list[Any]:
    """The map's headings with the pages below each, then what is generated; what the map lacks is under "More"."""
    sections: list[Any] = [{"Understudy": "index.md"}, {"All pages": "map.md"}]
    mapped = {heading: {file: words for file, words in rows if file in places} for heading, rows in _map()}
    known = {file for rows in mapped.values() for file in rows} | {"docs/README.md", "README.md"}
    rest = {file: Path(file).stem for file in sorted(places) if file.startswith("docs/") and file not in known}
    every = {file: name for file, name in rest.items() if file.startswith("docs/methods/reference/")}
    first = {file: name for file, name in rest.items() if file.startswith("docs/methods/") and file not in every}
    more = {file: name for file, name in rest.items() if file not in {*every, *first}}
    mapped |= {"Ten methods to begin with": first, "Every method": every, "More": more}
    sections += [
        {heading: [{name: places[file]} for file, name in rows.items()]} for heading, rows in mapped.items() if rows
    ]
    for title, folder in (("Recipes", "recipes/"), ("Examples", "examples/")):
        sections.append({title: _below(places, folder)})
    return [*sections, {"API": [{title: f"api/{_slug(title)}.md"} for title in _API]}]


def _map() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each heading of docs/README.md and what is linked below it: the file, relative to the repository, and its name.

    A name that is a number is told with the page's own heading.
    """
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        links = re.findall(r"\[([^\]]+)\]\(([^)#]+)\)", body)
        files = [(posixpath.normpath(posixpath.join("docs", link)), words) for words, link in links]
        yield heading, [(file, _heading(file) if words.isdigit() else words) for file, words in files]


def _heading(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _below(places: Mapping[str, str], folder: str) -> list[str]:
    return [target for source, target in sorted(places.items()) if source.startswith(folder)]


def _written() -> list[Page]:
    """README and its like at the root, and everything below docs/."""
    names = {"README.md": "index.md", "docs/README.md": "map.md"}
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    pages = []
    for source in sorted(file.relative_to(ROOT).as_posix() for file in files):
        target = names.get(source, source.removeprefix("docs/") if "/" in source else source.lower())
        pages.append(Page(source, target, (ROOT / source).read_text(encoding="utf-8")))
    return pages


def _shown(folder: str, language: str) -> list[Page]:
    """One page for each file, which holds its text."""
    pages = []
    for file in sorted((ROOT / folder).glob("*.yaml" if language == "yaml" else "*.py")):
        text = f"# {file.name}\n\n```{language}\n{file.read_text(encoding='utf-8').rstrip()}\n```\n"
        pages.append(Page(f"{folder}/{file.name}", f"files/{folder}/{file.stem}.md", text))
    return pages


def _api() -> list[Page]:
    pages = []
    for title, modules in _API.items():
        parts = [f"::: {module}\n" for module in modules.split()]
        text = f"# {title}\n\n{_FIRST.get(title, '')}" + "\n".join(parts)
        pages.append(Page(f"api/{_slug(title)}.md", f"api/{_slug(title)}.md", text))
    return pages


def _slug(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")


def _for_the_site(page: Page, places: Mapping[str, str]) -> str:
    """The page with its links led to the site's pages and its lists indented as Python-Markdown reads them."""
    pieces, last = [], 0
    for fence in _FENCED.finditer(page.text):
        pieces += [_prose(page, page.text[last : fence.start()], places), _block(page, fence)]
        last = fence.end()
    return "".join([*pieces, _prose(page, page.text[last:], places)])


def _prose(page: Page, text: str, places: Mapping[str, str]) -> str:
    text = _LINK.sub(lambda link: _led(page, link, places), text)
    text = re.sub(r"^\|.*\|$", _unbroken, text, flags=re.MULTILINE)
    text = re.sub(r"^(?![*|>\-\s\d<#])(.*\S)\n(?=[*-] )", r"\1\n\n", text, flags=re.MULTILINE)
    return _indented(text)


def _unbroken(row: re.Match[str]) -> str:
    """A table's row whose intervals stay in one line."""
    return re.sub(r"\[([+−-]?[\d.]+), ([+−-]?[\d.]+)\]", "[\\1,\N{NO-BREAK SPACE}\\2]", row[0])


def _indented(text: str) -> str:
    """Two or three spaces make an item's second line in CommonMark, four in Python-Markdown."""
    return re.sub(r"^( {2,3})(?=\S)", "    ", text, flags=re.MULTILINE)


def _block(page: Page, fence: re.Match[str]) -> str:
    """A block of code as it is; one that belongs to a list's item moves with the item; a method's formulas may wrap."""
    text = fence[0]
    if page.source.startswith("docs/methods/"):
        text = re.sub(r"^( *)```text$", r"\1``` { .text .formula }", text, count=1, flags=re.MULTILINE)
    shift = " " * (4 - len(fence[1])) if 2 <= len(fence[1]) < 4 else ""
    return re.sub("^(?=.)", shift, text, flags=re.MULTILINE)


def _led(page: Page, link: re.Match[str], places: Mapping[str, str]) -> str:
    """The link to where its target is on the site; of a file that the site does not show, its words alone."""
    mark, words, target = link.groups()
    path, _, anchor = target.partition("#")
    if "://" in target or not path:
        return link[0]
    source = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
    source = f"{source}/README.md" if f"{source}/README.md" in places else source
    if source.endswith(".png"):
        place = source.removeprefix("docs/")
    elif source in places:
        place = places[source]
    elif (ROOT / source).exists():
        return words
    else:
        sys.exit(f"{page.source}: the link to {target} leads nowhere")
    where = posixpath.relpath(place, posixpath.dirname(page.target) or ".")
    return f"{mark}[{words}]({where}{'#' + anchor if anchor else ''})"


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
