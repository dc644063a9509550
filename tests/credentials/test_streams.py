"""A streamed attempt: it always ends with one last event, and dies with the browser that asked."""

import asyncio
import json

import pytest

from app.credentials.connect import ConnectRefused, StepListener
from app.credentials.rechecks import check_each
from app.credentials.streams import stream_attempt
from app.credentials.views import Advice, Step, StepName, StepState
from app.web.errors import NotFound


async def collect(attempt: object) -> list[tuple[str, dict[str, object]]]:
    found = []
    async for text in stream_attempt(attempt):  # type: ignore[arg-type]  # any awaitable function will do
        event, data = text.strip().split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_steps_come_before_the_place_to_go() -> None:
    async def attempt(tell: StepListener) -> str:
        await tell(Step(StepName.FORMAT, StepState.PASSED, 'with "quotes"\nand lines', 3))
        return "/credentials/crd_1"

    step = {"name": "format", "state": "passed", "detail": 'with "quotes"\nand lines', "duration_ms": 3}
    assert await collect(attempt) == [("step", step), ("done", {"location": "/credentials/crd_1"})]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectRefused(Advice("invalid_key", "c", "r", "trader", field="api_key")), "invalid_key"),
        (NotFound("credential"), "not_found"),
        (ValueError("hidden-cause"), "internal"),
    ],
)
async def test_whatever_happens_the_last_event_explains_it(error: Exception, code: str) -> None:
    async def attempt(_tell: StepListener) -> str:
        raise error

    ((name, refusal),) = await collect(attempt)
    assert (name, refusal["code"]) == ("refused", code)
    assert {"cause", "remedy", "who_acts", "tone"} <= refusal.keys()
    assert "hidden-cause" not in str(refusal)


async def test_a_browser_that_leaves_ends_the_attempt() -> None:
    ended = asyncio.Event()

    async def attempt(tell: StepListener) -> str:
        await tell(Step(StepName.FORMAT, StepState.PASSED))
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "/never"

    stream = stream_attempt(attempt)
    assert "format" in await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # what the server does when the browser is gone
    assert ended.is_set()


async def test_one_check_that_fails_stops_no_other() -> None:
    done: list[str] = []

    async def check(credential_id: str) -> None:
        if credential_id == "crd_2":
            raise NotFound("credential")
        done.append(credential_id)

    await check_each(["crd_1", "crd_2", "crd_3"], check=check)
    assert sorted(done) == ["crd_1", "crd_3"]
