"""``understudy compare``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among, results
from understudy.errors import UserMistakeError

if TYPE_CHECKING:
    from understudy.comparing import Terms
    from understudy.comparing.pairing import Missing
    from understudy.evaluation.statistics import Paired

_MOST_COUNTED = 1_000_000_000
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]


def compare(
    a: Annotated[
        Path | None, typer.Argument(help="Results: a file, a folder, a run, an office result.", autocompletion=results)
    ] = None,
    b: Annotated[Path | None, typer.Argument(help="What to compare them with.", autocompletion=results)] = None,
    counts: Annotated[str | None, typer.Option(metavar="W,T,L", help="Wins, ties and losses instead.")] = None,
    margin: Annotated[float | None, typer.Option(help="The largest loss that would not matter.")] = None,
    epsilon: Annotated[float, typer.Option(help="Scores at most so far apart are a tie.")] = 1e-9,
    missing: Annotated[
        str, typer.Option(help="A problem one side never answered: zero or drop.", autocompletion=among("zero", "drop"))
    ] = "zero",
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page of both, problem by problem.")] = None,
    regression: Annotated[bool, typer.Option("--regression", help="A is the base of B: what was lost?")] = False,
    as_json: Json = False,
) -> None:
    """Compare two models problem by problem.

    Wins, margin, exact tests, difference, and what was left out.
    """
    if counts is not None:
        if a is not None or b is not None:
            raise UserMistakeError("--counts stands for two results", remedy="Give either the counts or two results.")
        if margin is not None or page is not None or regression:
            raise UserMistakeError("--margin, --page and --regression need two results", remedy="Leave out --counts.")
        _show_counts(_counted(counts, confidence), as_json=as_json)
        return
    if a is None or b is None:
        raise UserMistakeError("two results are needed", expected="understudy compare A B, or --counts W,T,L")
    terms = _terms(margin=margin, epsilon=epsilon, missing=missing, confidence=confidence, seed=seed)
    (_show_regression if regression else _show_comparison)((a, b), terms, page, as_json=as_json)


def _show_comparison(sides: tuple[Path, Path], terms: Terms, page: Path | None, *, as_json: bool) -> None:
    from understudy.comparing import compare_results
    from understudy.comparing.page import default_page, write_comparison_page
    from understudy.comparing.words import comparison_text

    found = compare_results(*sides, terms)
    out = page or default_page(found)
    written = None if out is None else write_comparison_page(found, out)
    _show(found.to_json() if as_json else comparison_text(found), written)


def _show_regression(sides: tuple[Path, Path], terms: Terms, page: Path | None, *, as_json: bool) -> None:
    from understudy.comparing import regression
    from understudy.comparing.page import write_regression_page
    from understudy.comparing.regression_words import regression_text

    found = regression(*sides, terms)
    written = None if page is None else write_regression_page(found, page)
    _show(found.to_json() if as_json else regression_text(found), written)


def _show(content: dict[str, object] | str, page: Path | None) -> None:
    if isinstance(content, str):
        print("\n\n".join([content, *([] if page is None else [f"{page} shows it."])]), flush=True)
    else:
        print(json.dumps({**content, "page": None if page is None else str(page)}), flush=True)


def _show_counts(figures: Paired, *, as_json: bool) -> None:
    from understudy.comparing.words import counts_text

    print(json.dumps(figures.to_json()) if as_json else counts_text(figures), flush=True)


def _counted(text: str, confidence: float) -> Paired:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.removeprefix("-").isdecimal() for part in parts):
        raise UserMistakeError(
            "--counts takes wins, ties and losses with commas between them",
            got=repr(text),
            expected="such as 123,20,77",
        )
    from understudy.evaluation.statistics import paired

    wins, ties, losses = map(int, parts)
    if max(wins, ties, losses) > _MOST_COUNTED:
        most = f"each at most {_MOST_COUNTED:,}"
        raise UserMistakeError("--counts are beyond any comparison", got=text, expected=most)
    return paired(wins, ties, losses, confidence=confidence)


def _terms(*, margin: float | None, epsilon: float, missing: str, confidence: float, seed: int) -> Terms:
    from understudy.comparing import Terms

    if missing not in ("zero", "drop"):
        raise UserMistakeError("--missing", got=repr(missing), expected="zero or drop")
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise UserMistakeError("--epsilon", got=epsilon, expected="0 or more")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise UserMistakeError("--margin", got=margin, expected="above 0, such as 0.02")
    if not 0 < confidence < 1:
        raise UserMistakeError("--confidence", got=confidence, expected="between 0 and 1, such as 0.95")
    rule: Missing = "zero" if missing == "zero" else "drop"
    return Terms(epsilon=epsilon, missing=rule, margin=margin, confidence=confidence, seed=seed)
