"""The sandbox: one ASGI app that plays every exchange under its slug, in process or on a port of its own."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.sandbox.exchange import SimulatedExchange, find_exchanges, json_answer
from app.sandbox.state import Sandbox, Sleep
from app.sandbox.switch_api import SwitchApi
from app.sandbox.switches import Switchboard

SWITCHES_PATH = "/_sandbox"
SANDBOX_URL = "http://sandbox.keydeck.internal"


def create_sandbox(*, clock: Callable[[], datetime], sleep: Sleep = asyncio.sleep, latency_ms: int = 0) -> Starlette:
    """Return the app with fresh accounts; its memory is `app.state.sandbox`, its switches `app.state.switchboard`.

    Each exchange lives under `/<slug>` at its real paths, the switches under `/_sandbox`. `sleep` is what slow answers
    wait with.
    """
    sandbox = Sandbox(clock=clock, sleep=sleep, latency_ms=latency_ms)
    played = tuple(kind(sandbox) for kind in find_exchanges())
    board = Switchboard(sandbox, played)

    async def show_index(request: Request) -> Response:
        return json_answer({"sandbox": "Keydeck", "exchanges": [_describe(exchange) for exchange in played]})

    mounts = [Mount(f"/{exchange.slug}", app=exchange) for exchange in played]
    app = Starlette(routes=[Route("/", show_index), Mount(SWITCHES_PATH, app=SwitchApi(board)), *mounts])
    app.state.sandbox = sandbox
    app.state.switchboard = board
    return app


def _describe(exchange: SimulatedExchange) -> dict[str, object]:
    """Return what the index page tells of an exchange: never a key, never a secret."""
    return {
        "slug": exchange.slug,
        "name": exchange.name,
        "url": f"/{exchange.slug}",
        "scenarios": [{"name": scenario.name, "shows": scenario.words} for scenario in exchange.scenarios],
    }
