"""Write docs/metrics.md from the glossary of figures: ``python -m benchmarks.glossary``."""

from __future__ import annotations

from pathlib import Path

from understudy.reports.glossary import glossary_page

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"

if __name__ == "__main__":
    PAGE.write_text(glossary_page(), encoding="utf-8")
    print(PAGE)
