"""Streams a check that somebody asked for, step by step. Unlike an attempt to connect, it goes on when the page is left."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request

from app.accounts.current_user import Principal
from app.credentials.connect import StepListener
from app.credentials.connect_routes import open_credentials
from app.credentials.streams import conclude, describe_step, write_event
from app.credentials.views import Step

_BUSY = {
    "code": "internal",
    "cause": "This server has too much to do.",
    "remedy": "The key is checked by schedule. Try again in a minute.",
    "who_acts": "operator",
    "tone": "warn",
}


async def stream_check(request: Request, principal: Principal, credential_id: str) -> AsyncIterator[str]:
    """Yield the events `step` and at the end `done` (location) or `refused`; the check runs in the background meanwhile."""
    events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def tell(step: Step) -> None:
        events.put_nowait(("step", describe_step(step)))

    async def check(listener: StepListener) -> str:
        async with request.app.state.database.write() as unit:
            await open_credentials(request, unit).check(principal, credential_id, on_step=listener)
        return f"/credentials/{credential_id}"

    async def work() -> None:
        events.put_nowait(await conclude(check, tell))

    if not request.app.state.errands.start("a check", work):
        yield write_event("refused", _BUSY)
        return
    name = ""
    while name not in ("done", "refused"):
        name, data = await events.get()
        yield write_event(name, data)
