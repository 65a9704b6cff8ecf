"""Looks at a built site: links and anchors inside it lead somewhere, and no page asks another host for anything.

python -m docs_site.check site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse


class Links(HTMLParser):
    """Collects where a page leads, what it loads, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(given.get("href", ""))
        if tag in ("script", "img", "iframe", "source", "video", "audio"):
            self.loads.append(given.get("src", ""))


def faults_of(site: Path) -> Iterator[str]:
    """A sentence for each thing that is wrong."""
    read = {page: _links(page) for page in sorted(site.rglob("*.html")) if page.name != "404.html"}
    for page, links in read.items():
        for target in links.loads:
            if urlparse(target).netloc:
                yield f"{page.relative_to(site)} loads {target}"
        for target in [*links.leads, *links.loads]:
            fault = _dead(target, page, read)
            if fault:
                yield f"{page.relative_to(site)} leads to {target}: {fault}"


def _links(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def _dead(target: str, page: Path, read: dict[Path, Links]) -> str | None:
    """Why a link inside the site leads nowhere; nothing for other hosts, which are not asked."""
    parts = urlparse(target)
    if parts.scheme or parts.netloc or not target:
        return None
    path, anchor = urldefrag(target)
    file = (page.parent / unquote(path).partition("?")[0]).resolve() if path else page.resolve()
    file = file / "index.html" if file.is_dir() else file
    if not file.exists():
        return "there is no such file"
    known = {each.resolve(): links for each, links in read.items()}.get(file) if anchor else None
    missing = known is not None and unquote(anchor) not in known.anchors and not anchor.startswith("__")
    return "there is no such anchor" if missing else None


if __name__ == "__main__":
    found = list(faults_of(Path(sys.argv[1])))
    print("\n".join(found) or "every link leads somewhere, and no page loads anything from elsewhere")
    sys.exit(bool(found))
