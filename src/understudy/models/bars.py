"""Which progress bars of libraries are shown beside our own."""

from __future__ import annotations

from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
from transformers.utils import logging


def hide_bars_of_weights() -> None:
    """Switch off transformers' bar at each save and load, which stands in logs and across ours.

    Downloads keep theirs, which transformers would switch off as well: they take minutes, and only a terminal shows it.
    """
    downloads_shown = not are_progress_bars_disabled()
    logging.disable_progress_bar()
    if downloads_shown:
        enable_progress_bars()
