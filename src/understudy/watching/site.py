"""What is shown at which address: the state that the pages are made of, made anew as the folders change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from understudy.reports.page import page_script, render
from understudy.reports.saved_rollouts import read_step, step_files
from understudy.reports.secrets import without_secrets
from understudy.reports.templating import asset, script_hash
from understudy.reports.token_text import decoder_of
from understudy.watching.finding import FoundPage, FoundRun, pages_below, runs_below, strays_of
from understudy.watching.following import Follower
from understudy.watching.overlay import MOST_RUNS, Runner
from understudy.watching.overview import Choice, Kept, Row, chosen, rows_of
from understudy.watching.rendering import Comparison, Section, compare_page, index_page, rollouts_page
from understudy.watching.settings import Settings
from understudy.watching.states import standing_of

_FRESH_SECONDS = 1.0
"""So long the table is the same for all who ask."""
_REPORTS_KEPT = 8
_LARGEST_PAGE = 64 << 20
"""Bytes of a page that another command wrote."""


class NotHereError(LookupError):
    """There is nothing at that address; says why."""


@dataclass(frozen=True)
class Shown:
    """A page as text, and the policy that it needs where that is not the watcher's own."""

    text: str
    policy: str | None = None


_REPORTED = ("metrics.jsonl", "rollouts", "evaluation", "summary.json", "ending.json")
"""What of a run's folder its report is made of."""


@dataclass
class Site:
    """Everything that is shown; several threads may ask.

    Args:
        settings: which folders.
    """

    settings: Settings
    _follower: Follower = field(default_factory=Follower)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rendering: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))
    _seen: tuple[float, dict[str, FoundRun], dict[str, FoundPage], list[Row]] | None = None
    _rows: Kept = field(default_factory=dict)
    _reports: OrderedDict[str, tuple[object, str]] = field(default_factory=OrderedDict)

    def index(self, choice: Choice, *, part: bool) -> Shown:
        """The table of runs."""
        _, _, pages, rows = self._now()
        listed = sorted(pages.values(), key=lambda page: page.place)
        return Shown(index_page(chosen(rows, choice), choice, total=len(rows), pages=listed, part=part))

    def compare(self, asked: Comparison, *, part: bool) -> Shown:
        """Curves of the chosen runs; with none chosen, of the newest."""
        _, runs, _, rows = self._now()
        ordered = chosen(rows, Choice())
        keys = asked.keys or tuple(row.key for row in ordered[:4])
        keys = tuple(row.key for row in ordered if row.key in keys)[:MOST_RUNS][::-1]  # oldest first: colours stay
        named = {row.key: row.name for row in ordered}
        same = [name for name in named.values() if list(named.values()).count(name) > 1]
        runners = [
            Runner(runs[key].place if named[key] in same else named[key], self._follower.record(runs[key].path), slot)
            for slot, key in enumerate(keys)
        ]
        return Shown(compare_page(ordered, runners, Comparison(keys, asked.metrics, asked.view), part=part))

    def report(self, key: str) -> Shown:
        """The report of a run, as its command writes it, made of what is there now."""
        run = self._run(key)
        is_going = standing_of(run.path).state == "running"
        stamp = (is_going, *(_changed(run.path / name) for name in _REPORTED))
        with self._rendering:
            kept = self._reports.get(key)
            if kept is None or kept[0] != stamp:
                links = [("/", "All runs"), (f"/compare?run={key}", "Curves, live")]
                links += [(f"/runs/{key}/rollouts", "Every saved step")] if step_files(run.path) else []
                kept = (stamp, without_secrets(render(self._follower.record(run.path), links=links, is_going=is_going)))
            self._reports[key] = kept
            self._reports.move_to_end(key)
            while len(self._reports) > _REPORTS_KEPT:
                self._reports.popitem(last=False)
        return Shown(kept[1], _policy([script_hash(page_script())]))

    def rollouts(self, key: str, asked: Section) -> Shown:
        """A saved step of a run under the microscope; the newest for a negative number."""
        run = self._run(key)
        files = step_files(run.path)
        number = asked.step if asked.step >= 0 else max(files, default=-1)
        if number not in files:
            raise NotHereError("The rollouts of that step were not saved.")
        with self._rendering:
            step = read_step(files[number])
            if step is None:
                raise NotHereError("The rollouts of that step cannot be read.")
            section = Section(number, asked.sort, asked.page)
            record, decode = self._follower.record(run.path), decoder_of(run.path)
            return Shown(rollouts_page(record, step, section, key=key, steps=list(files), decode=decode))

    def page(self, key: str) -> Shown:
        """A page that another command wrote. Of its scripts only those run that are ours, to the letter."""
        found = self._now()[2].get(key)
        if found is None or found.path.stat().st_size > _LARGEST_PAGE:
            raise NotHereError("No such page is in the watched folders.")
        # By name and not by import: what compares models stands beside this package, not below it.
        ours = [
            page_script(),
            asset("understudy.reports", "theme.js") + asset("understudy.comparing.page", "side_by_side.js"),
        ]
        text = found.path.read_text(encoding="utf-8", errors="replace")
        return Shown(without_secrets(text), _policy([script_hash(script) for script in ours]))

    def _run(self, key: str) -> FoundRun:
        run = self._now()[1].get(key)
        if run is None:
            raise NotHereError("No such run is in the watched folders.")
        strays = strays_of(run)
        if strays:
            raise NotHereError(f"{run.place} is not shown: {', '.join(strays[:3])} leads out of the watched folders.")
        return run

    def _now(self) -> tuple[float, dict[str, FoundRun], dict[str, FoundPage], list[Row]]:
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > _FRESH_SECONDS:
                runs = runs_below(self.settings.folders)
                rows = rows_of(runs.values(), self._follower, self._rows)
                self._seen = (time.monotonic(), runs, pages_below(self.settings.folders), rows)
            return self._seen


def _policy(hashes: list[str]) -> str:
    scripts = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {scripts}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


def _changed(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_mtime_ns, status.st_size
