"""Writes the table of TRL's arguments into a page, between its two marks.

python -m benchmarks.trl_table docs/from-trl.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from understudy.trl.fields import table


def main(page: Path) -> None:
    """Replace what stands between ``<!-- trl-table -->`` and ``<!-- /trl-table -->``."""
    begin, end = "<!-- trl-table -->\n", "<!-- /trl-table -->"
    text = page.read_text(encoding="utf-8")
    page.write_text(
        re.sub(f"{begin}.*?{end}", lambda _: begin + table() + end, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
