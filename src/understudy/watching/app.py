"""The ASGI application: addresses and their questions, the guard before them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse

from understudy.errors import UnderstudyError
from understudy.watching.guard import Guard
from understudy.watching.overlay import MOST_RUNS, Across, View
from understudy.watching.overview import Choice
from understudy.watching.rendering import Comparison, Section, files, missing_page, stamp_of
from understudy.watching.settings import Settings
from understudy.watching.site import NotHereError, Shown, Site

Key = Annotated[str, Query(max_length=12)]
Name = Annotated[str, Query(max_length=200)]


def app_of(settings: Settings) -> FastAPI:
    """The application; nothing in it writes."""
    site = Site(settings)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    def index(
        request: Request,
        words: Name = "",
        state: Name = "",
        sort: Name = "started",
        falling: bool = True,
        part: bool = False,
    ) -> Response:
        return _answer(request, site.index(Choice(words, state, sort, falling), part=part))

    @app.get("/compare")
    def compare(
        request: Request,
        run: Annotated[tuple[Key, ...], Query(max_length=4 * MOST_RUNS)] = (),
        metric: Annotated[tuple[Name, ...], Query(max_length=200)] = (),
        x: Across = "step",
        smooth: Annotated[float, Query(ge=0, le=0.99)] = 0.0,
        part: bool = False,
    ) -> Response:
        return _answer(request, site.compare(Comparison(run, metric, View(x, smooth)), part=part))

    @app.get("/runs/{key}/")
    def report(request: Request, key: str) -> Response:
        return _answer(request, site.report(key))

    @app.get("/runs/{key}/rollouts")
    def rollouts(
        request: Request,
        key: str,
        step: int = -1,
        sort: Literal["kl", "reward", "length"] = "kl",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> Response:
        return _answer(request, site.rollouts(key, Section(step, sort, page)))

    @app.get("/pages/{key}")
    def page(request: Request, key: str) -> Response:
        return _answer(request, site.page(key))

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in files():
            raise NotHereError("No such file is part of this page.")
        content, kind = files()[name]
        return Response(content, media_type=f"{kind}; charset=utf-8")

    app.add_exception_handler(NotHereError, _missing)
    app.add_exception_handler(404, _missing)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(UnderstudyError, _missing)
    app.add_exception_handler(OSError, _missing)
    app.add_middleware(Guard, settings=settings)
    return app


def _answer(request: Request, shown: Shown) -> Response:
    """The page, or 304 where the asker has it already."""
    stamp = stamp_of(shown.text)
    headers = {"etag": stamp} | ({} if shown.policy is None else {"content-security-policy": shown.policy})
    if request.headers.get("if-none-match") == stamp:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(shown.text, headers=headers)


async def _missing(_: Request, error: Exception) -> Response:
    why = str(error) if isinstance(error, NotHereError | UnderstudyError) else "There is nothing at this address."
    return HTMLResponse(missing_page(why), status_code=404)


async def _not_understood(_: Request, __: Exception) -> Response:
    return HTMLResponse(missing_page("A part of the address is not of its kind."), status_code=400)
