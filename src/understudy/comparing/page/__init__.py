"""Two models side by side, task by task: one self-contained HTML file to leaf through."""

from understudy.comparing.page.writing import default_page, render, write_comparison_page

__all__ = ["default_page", "render", "write_comparison_page"]
