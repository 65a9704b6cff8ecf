"""``tokenizer.json`` of a run: what its ids mean, for those who look while no checkpoint is there."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from understudy.training.durable import write_text


def keep_tokenizer(run: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the student's tokenizer into a run's folder where none is; one written in Python alone has no such file.

    Raises:
        DiskError: the disk refuses.
    """
    inner = getattr(tokenizer, "backend_tokenizer", None)
    file = run / "tokenizer.json"
    if inner is not None and not file.exists():
        write_text(file, inner.to_str())
