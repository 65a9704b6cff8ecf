"""The HTML page of a run: one self-contained file with curves, tables and the token microscope."""

from understudy.reports.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
