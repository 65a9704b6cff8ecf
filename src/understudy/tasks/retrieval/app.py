"""Search-R1's ``POST /retrieve`` over any retriever. Source: the server of Search-R1, arXiv:2503.09516."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.tasks.retrieval.documents import Hit, Retriever

MAX_QUERIES, MAX_TOP_K = 4096, 100


class Wanted(BaseModel):
    """What a client asks.

    Args:
        queries: several; or ``query``: a single one. topk: documents a query. return_scores: with their scores.
    """

    model_config = ConfigDict(extra="ignore")
    queries: list[str] | None = Field(default=None, max_length=MAX_QUERIES)
    query: str | None = None
    topk: int = Field(default=3, ge=1, le=MAX_TOP_K)
    return_scores: bool = False

    @model_validator(mode="after")
    def _asks_something(self) -> Wanted:
        if (self.queries is None) == (self.query is None):
            raise ValueError("give queries, a list of strings, or query, one string")
        return self

    @property
    def all_queries(self) -> list[str]:
        """In order."""
        return self.queries if self.queries is not None else [self.query or ""]


def app_of(retriever: Retriever) -> FastAPI:
    """The application: ``POST /retrieve`` and ``GET /health``; a request that cannot be used is answered 422."""
    app = FastAPI(title="understudy retrieve", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"detail": f"{place}: {first['msg']}" if place else first["msg"]}, status_code=422)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/retrieve")
    def retrieve(wanted: Wanted) -> dict[str, Any]:
        found = retriever.retrieve(wanted.all_queries, top_k=wanted.topk)
        return {"result": [[_shown(hit, with_score=wanted.return_scores) for hit in hits] for hits in found]}

    return app


def _shown(hit: Hit, *, with_score: bool) -> dict[str, Any]:
    document = {"id": hit.document.id, "contents": hit.document.contents}
    return {"document": document, "score": hit.score} if with_score else document
