"""A small application with the web shell around it: enough routes to see every kind of answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import httpx
from fastapi import FastAPI, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, field_validator

from app.settings import Settings
from app.web import errors, gallery, security, theme
from app.web.errors import Forbidden, NotFound, Problem, SignInNeeded
from app.web.forms import read_form
from app.web.pages import Pages

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 21, 14, 32, 8, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8000"
SECRET = "Zx9-very-secret-value"


class Entered(BaseModel):
    kind: Literal["a", "b"]
    secrets: dict[str, int] = {}
    label: str = ""

    @field_validator("label")
    @classmethod
    def check_label(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError("must have at most 5 characters")
        return value


async def stream_ticks() -> AsyncIterator[bytes]:
    for number in range(3):
        yield f"data: {number}\n\n".encode()
        await asyncio.sleep(0)


async def stream_and_fail() -> AsyncIterator[bytes]:
    yield b"data: 0\n\n"
    raise RuntimeError(SECRET)


def make_pages(settings: Settings) -> Pages:
    return Pages(settings=settings, clock=lambda: NOW, templates_dir=ROOT / "templates", static_dir=ROOT / "static")


def make_app(public_url: str = ORIGIN) -> FastAPI:
    settings = Settings(public_url=public_url)
    app = FastAPI()
    app.state.settings = settings
    app.state.pages = make_pages(settings)
    for router in (gallery.router, theme.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=ROOT / "static"), name="static")
    add_pages(app)
    add_api(app)
    errors.install_error_handlers(app)
    security.install_middlewares(app, settings=settings)
    return app


def add_pages(app: FastAPI) -> None:
    raising: dict[str, Exception] = {
        "missing": NotFound("credential"),
        "forbidden": Forbidden("the operator role"),
        "private": SignInNeeded(),
        "teapot": Problem(
            "rate_limited", status=429, title="Too many attempts", extra={"retry_after_seconds": 30, "code": "forged"}
        ),
        "boom": RuntimeError(f"could not sign with {SECRET}"),
    }

    @app.get("/fail/{name}")
    @app.post("/fail/{name}")
    @app.get("/api/v1/fail/{name}")
    async def fail(name: str) -> None:
        raise raising[name]

    @app.get("/as/{role}/fail/{name}")
    async def fail_signed_in(request: Request, role: str, name: str) -> None:
        request.state.viewer = SimpleNamespace(email="t@example.org", roles=frozenset({role}))
        raise raising[name]

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        entered = await read_form(request)
        return {"fields": dict(entered), "choices": entered.list_values("choice")}

    @app.get("/stream")
    @app.post("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(stream_ticks(), media_type="text/event-stream")

    @app.get("/stream/broken")
    async def broken_stream() -> StreamingResponse:
        return StreamingResponse(stream_and_fail(), media_type="text/event-stream")


def add_api(app: FastAPI) -> None:
    @app.post("/api/v1/things")
    async def create_thing(entered: Entered) -> dict[str, str]:
        return {"kind": entered.kind}

    @app.get("/api/v1/things")
    async def list_things(limit: Annotated[int, Query(le=100)] = 10) -> dict[str, int]:
        return {"limit": limit}

    @app.get("/livez")
    @app.get("/metrics")
    async def live() -> dict[str, str]:
        return {"status": "ok"}


def make_client(app: FastAPI, *, base_url: str = ORIGIN) -> httpx.AsyncClient:
    """Make a client that says where its forms come from, as browsers do."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base_url, headers={"Origin": base_url})
