"""Pages in a real browser, as an audit would have it: ``python -m benchmarks.pages`` makes a sample of each and looks.

Of every page: no error in the console, no request to elsewhere, a language, a title, one h1 and headings in order,
tables with headers, contrast of at least 4.5 by the computed colours in light and dark, every control reachable by Tab
with a visible focus and a name, nothing that scrolls sideways at 390 px, and no motion where none is wanted.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.chromium import Browser, browser

CHECKS = Path(__file__).with_name("page_checks.js").read_text()
PHONE, DESK = 390, 1280
_MOST_TABS = 400
_FOCUS = """(() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
  const isShown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest("[hidden], dialog:not([open])");
  const groups = new Set();
  window.wanted = all.filter((e) => {
    if (e.disabled || e.tabIndex < 0 || e.type === "hidden" || !isShown(e)) return false;
    if (e.type !== "radio") return true;
    const group = e.form?.id + e.name;
    const isFirst = !groups.has(group);
    groups.add(group);
    return isFirst; // arrow keys go through the others
  });
  return window.wanted.length;
})()"""
_HERE = """(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const shown = e.matches("input") && e.nextElementSibling?.matches("span") ? [e, e.nextElementSibling] : [e];
  const visible = shown.some((one) => {
    const s = getComputedStyle(one);
    return (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0);
  });
  const same = (one) => one === e || (one.type === "radio" && e.type === "radio" && one.name === e.name);
  const index = window.wanted.findIndex(same);
  const classes = typeof e.className === "string" && e.className ? "." + e.className.split(" ").join(".") : "";
  const mark = e.id ? "#" + e.id : classes;
  return [index, visible, e.tagName.toLowerCase() + mark, (e.textContent || "").trim().slice(0, 30)];
})()"""
_NAMELESS = {"RootWebArea", "main", "article", "generic", "none", "MenuListPopup", "menuListOption", "option", "dialog"}


def complaints_of(found: Browser, address: str) -> list[str]:
    """Everything that is wrong with the page at an address, each a sentence with where it was seen."""
    complaints = []
    for width, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "light")):
        found.look(width=width, scheme=scheme)  # type: ignore[arg-type]
        found.open(address)
        found.pause(0.15)
        complaints += [f"{one} ({scheme}, {width} px)" for one in found.run(CHECKS)]
        complaints += [f"{one} ({scheme}, {width} px)" for one in _told(found, address)]
        if (width, scheme) == (DESK, "light"):
            complaints += [*_names(found), *_tabs(found)]
    return list(dict.fromkeys(complaints))


def _told(found: Browser, address: str) -> Iterator[str]:
    """Errors of the console, and requests to elsewhere."""
    origin = "/".join(address.split("/")[:3])
    for event in found.events:
        parameters = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            yield f"exception: {parameters['exceptionDetails'].get('text')}"
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            if parameters["entry"].get("url") == address:
                continue  # the page itself: a browser calls an honest 404 an error
            yield f"console: {parameters['entry']['text']}"
        elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            yield f"console: {parameters['args']}"
        elif event["method"] == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            is_own = url.startswith(("data:", "about:")) or (
                url == address if origin == "file://" else url.startswith(origin)
            )
            if not is_own:
                yield f"asks for {url}"


def _names(found: Browser) -> Iterator[str]:
    """Controls without a name for those who cannot see them."""
    for node in found.call("Accessibility.getFullAXTree")["nodes"]:
        properties = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
        role = node.get("role", {}).get("value")
        name = str(node.get("name", {}).get("value", "")).strip()
        if properties.get("focusable") and not node.get("ignored") and role not in _NAMELESS and not name:
            yield f"a {role} without a name"


def _tabs(found: Browser) -> Iterator[str]:
    """Controls that Tab does not reach, and those whose focus cannot be seen."""
    count = found.run(_FOCUS)
    found.run("document.body.focus(); window.getSelection().removeAllRanges(); window.scrollTo(0, 0)")
    reached: set[int] = set()
    unseen: dict[str, None] = {}
    for _ in range(min(count, _MOST_TABS) + 3):
        found.press("Tab", 9)
        here = found.run(_HERE)
        if here is None:
            break
        index, visible, mark, text = here
        reached.add(index)
        if not visible:
            unseen[f"focus of {mark} “{text}” cannot be seen"] = None
    yield from unseen
    missing = [number for number in range(min(count, _MOST_TABS)) if number not in reached]
    for number in missing[:5]:
        yield f"Tab does not reach {found.run(f'window.wanted[{number}].outerHTML.slice(0, 80)')}"


@contextmanager
def watching(folder: Path) -> Iterator[str]:
    """A watcher of a folder; gives its address."""
    from understudy.watching import Settings
    from understudy.watching.running import address_of, bound_socket, server_of

    settings = Settings((folder,))
    listening = bound_socket(settings)
    server = server_of(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield address_of(listening)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()


@dataclass(frozen=True)
class Sample:
    """A page to look at: what it is called, and its address."""

    name: str
    address: str


def main() -> int:
    """Look at every page; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    chosen = parser.parse_args().only
    from benchmarks.page_samples import samples

    number = 0
    with TemporaryDirectory() as place, samples(Path(place)) as found, browser() as seen:
        for sample in found:
            if chosen not in sample.name:
                continue
            complaints = complaints_of(seen, sample.address)
            number += len(complaints)
            print(
                f"{sample.name}: {'good' if not complaints else len(complaints)}", *complaints, sep="\n  ", flush=True
            )
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
