"""The ASGI application: routes, the guard before them, and the form of every error."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from understudy.errors import UnderstudyError
from understudy.serving.chat import chat_routes
from understudy.serving.completions import completion_routes
from understudy.serving.generate import generate_routes
from understudy.serving.guard import Guard
from understudy.serving.information import information_routes
from understudy.serving.refusal import Refusal, refusal_of
from understudy.serving.service import Service
from understudy.serving.transfers import transfer_routes
from understudy.serving.updates import update_routes

_log = logging.getLogger(__name__)


def app_of(service: Service) -> FastAPI:
    """The application of a running service."""
    # No pages that describe the server: whoever may use it has docs/serving.md.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    makers = [information_routes, generate_routes, completion_routes, chat_routes]
    if service.settings.allow_updates:
        makers += [update_routes, transfer_routes]
    paths = set()
    for make in makers:
        router = make(service)
        paths |= {path for route in router.routes if (path := getattr(route, "path", None))}
        app.include_router(router)
    for kind in (Refusal, UnderstudyError, ValidationError, RequestValidationError, 404, 405):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(
        Guard,
        api_key=service.settings.api_key,
        names=service.settings.names,
        max_body_bytes=service.settings.max_body_bytes,
        metrics=service.metrics,
        routes=paths,
    )
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    if (status := getattr(error, "status_code", None)) in (404, 405):  # of the router
        return Refusal(status, f"{request.method} {request.url.path} is not a route of this server").response()
    if isinstance(error, RequestValidationError):
        return Refusal(400, "a parameter of the request is not of its kind").response()
    return (refusal_of(error) or Refusal(500, type(error).__name__)).response()


async def _fail(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Refusal(500, f"the server failed ({type(error).__name__}); its log says why").response()
