"""A run's model card as a hub shows it: Markdown as HTML, in one column, the curves beside it."""

from __future__ import annotations

from pathlib import Path

from markdown_it import MarkdownIt

from understudy.reports.model_card import CARD, pages_of
from understudy.reports.reading import read_run

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 860px; margin: 1.5rem auto; padding: 0 1rem; color: #1d2126; }
table { border-collapse: collapse; } td, th { border: 1px solid #ddd; padding: .3rem .7rem; text-align: left; }
pre { background: #f4f4f4; padding: .8rem; overflow: auto; font-size: 13px; } code { font-size: .9em; }
img { max-width: 100%; }
"""


def write_card_page(run: Path, folder: Path) -> Path:
    """Write the card of a finished run's last weights and its picture into ``folder``; gives the page."""
    record = read_run(run)
    pages = pages_of(record, form="model", step=len(record.metrics))
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    body = MarkdownIt().enable("table").render(pages[CARD].split("---\n", 2)[2])
    page = folder / "card.html"
    meta = "<meta charset=utf-8><meta name=viewport content='width=device-width'>"
    head = f"<!doctype html>{meta}<style>{_STYLE}</style>"
    page.write_text(head + body, encoding="utf-8")
    return page
