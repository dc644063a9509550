"""A trader's own program for tests: a real web server that takes webhooks and verifies them as the documentation says."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """What came, and how it answers."""

    port: int = 0
    secret: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    pause_seconds: float = 0
    documents: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: int = 0
    calls: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def titles(self) -> list[str]:
        return [alert["title"] for document in self.documents for alert in document["alerts"]]

    @property
    def ids(self) -> list[str]:
        return [alert["id"] for document in self.documents for alert in document["alerts"]]

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.read()
        timestamp = request.headers["Keydeck-Timestamp"]
        digest = hmac.new(self.secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers["Keydeck-Signature"], f"v1={digest}"):
            self.refused += 1
            return web.Response(status=403)
        await asyncio.sleep(self.pause_seconds)
        self.bodies.append(body)
        if self.status < 300:
            self.documents.append(json.loads(body))
        return web.Response(status=self.status, headers=self.headers, text="canary-answer" if self.status != 204 else None)


@asynccontextmanager
async def run_receiver(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server: Any = site._server
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
