"""``understudy shop-goals CATALOGUE``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def shop_goals(
    catalogue: Annotated[str, typer.Argument(help="A folder of WebShop's published files, or synthetic.")],
    out: Annotated[Path, typer.Option(help="Folder of the files.")] = Path("data"),
) -> None:
    """Write a shop's goals as files that recipes read.

    They are webshop-train.jsonl, webshop-valid.jsonl and webshop-test.jsonl.
    """
    from understudy.build.shops import write_goals

    for path, count in write_goals(catalogue, out).items():
        print(f"{count:,} goals in {path}", flush=True)
