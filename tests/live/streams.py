"""A real HTTP server around the app under test, and a reader of event streams as a browser reads them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

WAIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it came."""

    name: str
    data: dict[str, Any]
    id: str


class Stream:
    """An open stream; `next_of` skips beats and waits."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def read(self) -> Event | None:
        """Return the next event; None at the end of the stream."""
        found: dict[str, str] = {}
        async with asyncio.timeout(WAIT_SECONDS):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if line:
                    found[name] = value
                elif "event" in found:
                    self.last_id = found.get("id", self.last_id)
                    return Event(found["event"], json.loads(found["data"]), self.last_id)
                else:
                    found = {}
        return None

    async def next_of(self, *names: str) -> Event:
        while event := await self.read():
            if event.name in names:
                return event
        raise AssertionError(f"the stream ended before {names}")

    async def read_to_end(self) -> list[Event]:
        events = []
        while event := await self.read():
            events.append(event)
        return events


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Serve an app whose lifespan runs already, on a free port of this machine; give its origin."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110  # uvicorn offers a flag, no event
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        app.state.live.stop()
        server.should_exit = True
        await running
        listener.close()


@asynccontextmanager
async def open_stream(
    origin: str, cookies: httpx.Cookies, *, after: str = "", last_event_id: str | None = None
) -> AsyncIterator[Stream]:
    """Open /live with a browser's cookies."""
    headers = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies.jar)}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    async with (
        httpx.AsyncClient(base_url=origin, timeout=WAIT_SECONDS) as client,
        client.stream("GET", "/live", params={"after": after} if after else {}, headers=headers) as response,
    ):
        assert response.status_code == 200, response.status_code
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield Stream(response)
