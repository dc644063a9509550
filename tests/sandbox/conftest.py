"""A sandbox of its own for every test, reached in process."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from app.sandbox.app import create_sandbox
from app.sandbox.state import Sandbox
from tests.sandbox.clients import ORIGIN, MovableClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def moment() -> MovableClock:
    return MovableClock()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def sandbox_app(moment: MovableClock, slept: list[float]) -> Starlette:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return create_sandbox(clock=moment, sleep=sleep)


@pytest.fixture
def sandbox(sandbox_app: Starlette) -> Sandbox:
    kept: Sandbox = sandbox_app.state.sandbox
    return kept


@pytest.fixture
async def http(sandbox_app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox_app), base_url=ORIGIN) as client:
        yield client
