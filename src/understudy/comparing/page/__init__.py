"""Two models side by side, task by task: one self-contained HTML file to leaf through."""

from understudy.comparing.page.regression_page import regression_figure, render_regression, write_regression_page
from understudy.comparing.page.writing import default_page, render, write_comparison_page

__all__ = [
    "default_page",
    "regression_figure",
    "render",
    "render_regression",
    "write_comparison_page",
    "write_regression_page",
]
