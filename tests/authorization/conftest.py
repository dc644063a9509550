"""An instance as it stands in production: a public address under https, open sign-up so that its page is asked for, too."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings
from tests.authorization.world import ADDRESS, SITE, World, build_world


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": SITE, "open_sign_up": "on"})


class HangUp:
    """Lets go of a stream of events once it has begun, as a closed page does: it would never end by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_stream, has_begun = False, asyncio.Event()

        async def watch(message: Message) -> None:
            nonlocal is_stream
            if message["type"] == "http.response.start":
                is_stream = b"text/event-stream" in dict(message.get("headers", [])).get(b"content-type", b"")
                await send(message)
                if is_stream:
                    has_begun.set()
            elif not is_stream:
                await send(message)

        async def listen() -> Message:
            waiting = [asyncio.ensure_future(receive()), asyncio.ensure_future(has_begun.wait())]
            done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            return waiting[0].result() if waiting[0] in done else {"type": "http.disconnect"}

        await self.app(scope, listen, watch)
        if is_stream:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def open_client(app: Any) -> httpx.AsyncClient:
    """Return a client that comes from somewhere else, by the public address."""
    transport = httpx.ASGITransport(app=HangUp(app), client=(ADDRESS, 50000))
    return httpx.AsyncClient(transport=transport, base_url=SITE)


@pytest.fixture
async def world(app: Any, clock: Any) -> AsyncIterator[World]:
    async with open_client(app) as client:
        yield await build_world(app, client, clock)
