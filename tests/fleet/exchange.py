"""A process that plays the exchanges for a whole fleet: the sandbox with many keys, every call written down with who made it.

`python -m tests.fleet.exchange PORT KEYS FILE`. A process of the fleet calls by a path of its own (/w1/hitbtc/…), so that
the file tells whose call each was. `POST /away` and `POST /back` take the exchanges away and bring them back.
"""

import json
import sys
import time
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.clock import Clock, utc_now
from app.sandbox.app import create_sandbox
from app.sandbox.exchange import find_exchanges
from app.sandbox.state import Sandbox

_KEY: ContextVar[list[str]] = ContextVar("key")


def write_fleet_keys(slug: str, count: int) -> list[tuple[str, str]]:
    """Return (access key, secret) of each key that the exchange knows beside its scenarios."""
    kind = next(kind for kind in find_exchanges() if kind.slug == slug)
    return [kind.write_key(f"fleet-{number}") for number in range(count)]


class Counter:
    """ASGI: the sandbox, with a line in the file for every call. While away, every call ends in 502."""

    def __init__(self, sandbox_app: Any, path: Path) -> None:
        self._app = sandbox_app
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self.is_away = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began, keys = time.monotonic(), []
        _KEY.set(keys)
        worker, slug, *rest = scope["path"].removeprefix("/").split("/", 2)
        if self.is_away:
            await Response("Bad Gateway", 502)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
        line = {"began": began, "ended": time.monotonic(), "worker": worker, "exchange": slug, "key": keys[-1] if keys else ""}
        self._file.write(json.dumps({**line, "path": "/" + "".join(rest), "away": self.is_away}) + "\n")


def watch_keys(sandbox: Sandbox) -> None:
    """Note which key a call was made with, where the exchanges look it up."""
    original = sandbox.get_key

    def get_key(exchange: str, access_key: str) -> Any:
        _KEY.get().append(access_key)
        return original(exchange, access_key)

    sandbox.get_key = get_key  # type: ignore[method-assign]  # the sandbox has no hook for it, and needs none


def make_sandbox(*, clock: Clock, keys: int) -> Starlette:
    """Return the sandbox with so many further keys at each exchange, each like the one that reads."""
    played = create_sandbox(clock=clock)
    sandbox: Sandbox = played.state.sandbox
    for kind in find_exchanges():
        pattern = sandbox.find_key(kind.slug, "read-only")
        for access_key, secret in write_fleet_keys(kind.slug, keys):
            sandbox.add_keys([replace(pattern, access_key=access_key, secret=secret, switches=set(), last_nonce=0)])
    return played


def create_fleet_exchange(count: int, path: Path) -> Starlette:
    played = make_sandbox(clock=utc_now, keys=count)
    watch_keys(played.state.sandbox)
    counter = Counter(Starlette(routes=[Mount("/{worker}", app=played)]), path)

    async def switch(request: Request) -> Response:
        counter.is_away = request.url.path == "/away"
        return Response("done")

    return Starlette(
        routes=[Route("/away", switch, methods=["POST"]), Route("/back", switch, methods=["POST"]), Mount("", counter)]
    )


if __name__ == "__main__":
    port, count, file = sys.argv[1:]
    uvicorn.run(
        create_fleet_exchange(int(count), Path(file)), host="127.0.0.1", port=int(port), log_level="warning", access_log=False
    )
