"""Tables on a terminal, and of full width where nobody looks at one."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table


def print_table(rows: list, *, heading: bool = True) -> None:
    """Print rows of cells, the first of them a heading or not; nothing where there are none."""
    if not rows:
        return
    table = Table(show_header=heading, box=None, pad_edge=False)
    for cell in rows[0]:
        table.add_column(cell if heading else "", overflow="fold")
    for row in rows[1:] if heading else rows:
        table.add_row(*row)
    # Where nobody looks at a screen, lines are as long as they need to be.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(table)
