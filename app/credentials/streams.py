"""Streams an attempt to connect or replace to the browser as it happens: one event per step, then how it ended.

Nothing is kept between two requests: the attempt lives exactly as long as the answer. A browser that leaves cancels it.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from app.credentials.connect import ConnectRefused, StepListener
from app.credentials.presentation import choose_refusal_tone, split_addresses
from app.credentials.views import Step
from app.web.errors import Problem

MEDIA_TYPE = "text/event-stream"
HEADERS = {"X-Accel-Buffering": "no"}  # a proxy must not hold the steps back
Attempt = Callable[[StepListener], Awaitable[str]]
"""Runs the attempt, telling its steps; returns where to go. Raises ConnectRefused or Problem."""

_log = logging.getLogger(__name__)
_INTERNAL = {
    "code": "internal",
    "cause": "The fault is on this server.",
    "remedy": "Nothing is wrong with your key. Try again; if it stays, tell the operator.",
    "who_acts": "operator",
    "tone": "warn",
}


async def stream_attempt(attempt: Attempt) -> AsyncIterator[str]:
    """Yield the events `step` (name, state, detail, duration_ms) and at the end `done` (location) or `refused`."""
    events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def tell(step: Step) -> None:
        events.put_nowait(("step", describe_step(step)))

    async def run() -> None:
        events.put_nowait(await conclude(attempt, tell))

    task = asyncio.create_task(run())
    try:
        name = ""
        while name not in ("done", "refused"):
            name, data = await events.get()
            yield write_event(name, data)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def conclude(attempt: Attempt, tell: StepListener) -> tuple[str, dict[str, Any]]:
    """Run the attempt to its last event; whatever happens, there is one."""
    try:
        return "done", {"location": await attempt(tell)}
    except ConnectRefused as refused:
        return "refused", describe_refusal(refused)
    except Problem as problem:
        return "refused", describe_problem(problem)
    except Exception as error:  # noqa: BLE001  # the answer has begun: no error page can follow
        _log.error("an attempt failed: %s", type(error).__name__)  # a traceback could hold a secret
        return "refused", dict(_INTERNAL)


def write_event(name: str, data: dict[str, Any]) -> str:
    """Return one event as the wire has it; JSON holds no line break."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def describe_step(step: Step) -> dict[str, Any]:
    return {"name": step.name.value, "state": step.state.value, "detail": step.detail, "duration_ms": step.duration_ms}


def describe_refusal(refused: ConnectRefused) -> dict[str, Any]:
    """Return a refusal for the page's module; addresses to copy come one by one."""
    advice = refused.advice
    return {
        "code": advice.code,
        "cause": advice.cause,
        "remedy": advice.remedy,
        "who_acts": advice.who_acts,
        "tone": choose_refusal_tone(advice),
        "field": advice.field,
        "copy": split_addresses(advice),
        "link": advice.link,
        "verdict": refused.blame.sentence if refused.blame else None,
        "existing": f"/credentials/{refused.existing_id}" if refused.existing_id else None,
        "steps": [describe_step(step) for step in refused.steps],
    }


def describe_problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "cause": problem.title + ".",
        "remedy": problem.detail or problem.next_step,
        "who_acts": problem.who_acts,
        "tone": "warn",
    }
