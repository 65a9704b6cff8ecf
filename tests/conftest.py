"""The suite's surroundings: shapes checked at run time, no network, a home of its own, one thread.

This file is imported before any test, so the import hook sees the modules it checks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import jaxtyping
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
# The user's cache is neither read nor written. Where tests are dealt to several processes, these share the first one's.
_IS_FIRST = "PYTEST_XDIST_WORKER" not in os.environ
if _IS_FIRST:
    os.environ["UNDERSTUDY_HOME"] = tempfile.mkdtemp(prefix="understudy-tests-")
_HOME = Path(os.environ["UNDERSTUDY_HOME"])
for _secret in ("HF_TOKEN", "WANDB_API_KEY"):
    os.environ.pop(_secret, None)

jaxtyping.install_import_hook(["understudy.objectives", "understudy.models.head"], "beartype.beartype")

import torch  # noqa: E402  (after OMP_NUM_THREADS)

torch.set_num_threads(1)  # sums in one order on every machine; tiny models gain nothing from a second thread


def pytest_unconfigure(config: pytest.Config) -> None:
    if _IS_FIRST and _HOME.name.startswith("understudy-tests-"):
        shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed_torch() -> None:
    """Every test starts from the same state of torch's own generator."""
    torch.manual_seed(0)
