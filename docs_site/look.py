"""Looks at a built site in Chromium, on a phone and on a desk, in light and dark: what scrolls sideways, what fails.

python -m docs_site.look site [--only NAME,NAME] [--shots FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.chromium import Browser, browser

PHONE, DESK = 390, 1280
_SIDEWAYS = """(() => {
  const room = document.documentElement.clientWidth;
  const scrolls = (e) => { for (; e && e !== document.body; e = e.parentElement) {
    const s = getComputedStyle(e);
    if (/auto|scroll|hidden/.test(s.overflowX) || s.position === "fixed" || e.closest(".md-nav")) return true;
  } return false; };
  const wide = [...document.querySelectorAll("article *")].filter((e) =>
    e.checkVisibility() && e.getBoundingClientRect().right > room + 1 && !scrolls(e));
  const told = wide.slice(0, 3).map((e) => `${e.tagName.toLowerCase()} “${e.textContent.trim().slice(0, 40)}”`);
  if (document.documentElement.scrollWidth > room + 1) told.push("the page itself");
  return told;
})()"""
_THIN = """[...document.querySelectorAll("article td, article th")].filter((e) => e.checkVisibility()
  && e.textContent.trim().length > 12 && e.getBoundingClientRect().width < 60)
  .map((e) => `a cell of ${Math.round(e.getBoundingClientRect().width)} px: “${e.textContent.trim().slice(0, 40)}”`)
  .slice(0, 2)"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The site behind HTTP, as its search wants it; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def faults_of(seen: Browser, address: str, origin: str) -> Iterator[str]:
    """What is wrong with a page, each with where it was seen."""
    for width, scheme in ((DESK, "light"), (PHONE, "dark")):
        seen.look(width=width, height=900, scheme=scheme)  # type: ignore[arg-type]
        seen.open(address)
        seen.run("localStorage.clear()")  # the theme remembers the first scheme it met
        seen.open(address)
        place = f"({width} px, {scheme})"
        yield from (f"{one} goes past the edge {place}" for one in seen.run(_SIDEWAYS))
        yield from (f"{one} {place}" for one in seen.run(_THIN))
        for event in seen.events:
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                yield f"exception: {parameters['exceptionDetails'].get('text')} {place}"
            elif event["method"] == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith((origin, "data:", "blob:", "about:")):
                    yield f"asks for {url} {place}"


def main() -> int:
    """Look at every page; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--only", default="", help="pages whose path has one of these in it, with commas between")
    parser.add_argument("--shots", type=Path, help="pictures of each page at both widths go here")
    chosen = parser.parse_args()
    every = sorted(page.relative_to(chosen.site).as_posix() for page in chosen.site.rglob("*.html"))
    pages = [page for page in every if not chosen.only or any(name in page for name in chosen.only.split(","))]
    number = 0
    with served(chosen.site) as origin, browser() as seen:
        for page in pages:
            found = list(dict.fromkeys(faults_of(seen, f"{origin}/{page}", origin)))
            number += len(found)
            if found:
                print(page, *found, sep="\n  ", flush=True)
            if chosen.shots:
                chosen.shots.mkdir(parents=True, exist_ok=True)
                for width in (PHONE, DESK):
                    seen.look(width=width, height=1400, scheme="dark" if width == PHONE else "light")
                    seen.pause(0.3)
                    (chosen.shots / f"{page.replace('/', '-')}-{width}.png").write_bytes(seen.picture())
    print(f"{len(pages)} pages, {number} faults")
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
