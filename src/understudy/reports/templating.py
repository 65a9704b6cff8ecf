"""What every page of ours shares: escaping, its script's hash, the switch of the theme, and the writing of the file."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from understudy.reports.visible_text import visible
from understudy.written_whole import write_whole


def environment(*packages: str) -> Environment:
    """Templates in the folders ``templates`` of packages; every text that is not markup of our own is escaped."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every text that is not markup of our own passes here, whoever wrote it.
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )


@cache
def asset(package: str, name: str) -> str:
    """A file of a package's ``templates``, as text."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """What a page's policy names so that its own script, and no other, may run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def writable(page: str) -> str:
    """The page without half surrogate pairs, which could not be written."""
    return page.encode("utf-8", "replace").decode("utf-8")


def write_page(page: str, out: Path, *, remedy: str) -> Path:
    """Write beside and rename, so that no reader meets half a page; folders are made.

    Raises:
        UnderstudyError: the file cannot be written.
    """
    write_whole(out, page, remedy=remedy)
    return out
