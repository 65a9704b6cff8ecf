"""Make the pictures in docs/images: ``python -m benchmarks.screenshots [--runs DIR]`` trains three runs and looks.

Runs that are in DIR already are not trained again, so that a page can be looked at anew in seconds; the picture of the
table then shows none that is going on.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.card_page import write_card_page
from benchmarks.chromium import Browser, Scheme, browser
from benchmarks.pages import DESK, PHONE, watching

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
METHODS = ("opd", "tropd", "local_support")
STEPS = 24
LARGEST = 150_000
"""Bytes of a picture that is committed."""
_COLOURS = 256
_SUITE = {
    "name": "products",
    "dataset": "testbed/multiplication",
    "split": "eval",
    "limit": 100,
    "temperature": 0.0,
    "verifier": {"kind": "numeric", "extract": r"#(\d+)\s*$"},
}


def main() -> None:
    """Train what is missing, then take every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/screenshots"))
    parser.add_argument("--out", type=Path, default=IMAGES)
    chosen = parser.parse_args()
    chosen.runs.mkdir(parents=True, exist_ok=True)
    for method in METHODS[:-1]:
        training(method, chosen.runs).wait()
    last = training(METHODS[-1], chosen.runs)
    with watching(chosen.runs) as address, browser() as seen:
        await_step(chosen.runs / METHODS[-1], STEPS // 2, last)
        shoot(seen, address, chosen.out / "watch-runs.png", height=390)
        shoot(seen, f"{address}/compare?smooth=0.3", chosen.out / "watch-curves.png", height=860)
        shoot(seen, f"{address}/compare?x=time", chosen.out / "watch-curves-dark.png", height=860, scheme="dark")
        last.wait()
        key = first_key(seen, address)
        shoot(seen, f"{address}/runs/{key}/", chosen.out / "report.png", height=860)
        microscope = f"{address}/runs/{key}/"
        shoot(seen, microscope, chosen.out / "microscope.png", height=800, keys=[*"jjj", "ArrowRight"])
        phone = chosen.out / "microscope-phone.png"
        shoot(seen, microscope, phone, width=PHONE, height=844, keys=[*"jjj", "ArrowRight"])
        with TemporaryDirectory() as place:
            card = write_card_page(chosen.runs / METHODS[0], Path(place))
            shoot(seen, card.as_uri(), chosen.out / "model-card.png", width=900, height=1500)


def training(method: str, runs: Path) -> subprocess.Popen[bytes]:
    """A run of this method in a process of its own; one that ends at once where it is there already."""
    if (runs / method / "summary.json").is_file():
        return subprocess.Popen([sys.executable, "-c", ""])
    changes = {
        "name": method,
        "output": str(runs),
        "objective.method": method,
        "steps": STEPS,
        "rollout.prompts_per_step": 16,
        "evaluation.every": 6,
        "evaluation.suites": json.dumps([_SUITE]),
    }
    overrides = [f"{name}={value}" for name, value in changes.items()]
    recipe = ROOT / "recipes" / "testbed-opd.yaml"
    return subprocess.Popen([sys.executable, "-m", "understudy", "train", str(recipe), *overrides])


def await_step(run: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has done so many steps, or has ended."""
    metrics = run / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and len(metrics.read_text().splitlines()) >= step):
        time.sleep(0.5)


def first_key(seen: Browser, address: str) -> str:
    """The key of the run of the first method, as the table has it."""
    seen.open(f"{address}/?words={METHODS[0]}&sort=name&falling=0")
    return str(seen.run("document.querySelector('[name=run]').value"))


def shoot(
    seen: Browser,
    address: str,
    file: Path,
    *,
    height: int,
    width: int = DESK,
    scheme: Scheme = "light",
    keys: list[str] | None = None,
) -> None:
    """One picture of what is seen in a window of this size, after some keys.

    Raises:
        SystemExit: the picture is too large to be committed.
    """
    seen.look(width=width, height=height, scheme=scheme)
    seen.open(address)
    if keys:
        seen.run("document.querySelector('#rollouts').scrollIntoView()")
    for key in keys or ():
        seen.press(key)
    seen.pause(0.5)
    small = with_few_colours(seen.picture())
    if len(small) > LARGEST:
        raise SystemExit(f"{file.name} has {len(small):,} bytes, more than {LARGEST:,}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(small)
    print(f"{file}: {len(small):,} bytes", flush=True)


def with_few_colours(picture: bytes) -> bytes:
    """The same PNG with a palette: a fourth of the size, and nothing that the eye would miss."""
    from PIL import Image

    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    # Rare colours count as much as common ones: the shades of a scale have a few pixels each.
    reduced = whole.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    reduced.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
