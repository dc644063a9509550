"""For tests of the server's own checks: a worker on a bench's app, what it stored, and balances that wait for the test."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from app.credentials.background import BackgroundChecks
from app.credentials.views import CredentialView
from app.exchanges.types import Environment
from app.worker import Worker
from tests.credentials.bench import Bench

LONGER_THAN_ANY_SPREAD = {"minutes": 17}


def make_worker(bench: Bench) -> Worker:
    state = bench.state
    parts = {"vault": state.vault, "exchanges": state.exchanges, "settings": state.settings, "clock": state.clock}
    return Worker(BackgroundChecks(state.database, **parts))


async def look(bench: Bench, view: CredentialView) -> CredentialView:
    async with bench.work() as credentials:
        return await credentials.get(bench.principal, view.id)


async def count_checks(bench: Bench, reason: str = "schedule") -> Counter[str]:
    """Count the stored checks by credential."""
    async with bench.state.database.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT credential_id, reason FROM credential_checks")
        return Counter(credential_id for credential_id, found in rows if found == reason)


def hold_balances(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, list[str]]:
    """Let every check wait at the balances until the event is set; the list grows as they come there."""
    view_key = bench.key("hitbtc", "read-only")
    kind = type(bench.state.exchanges.open("hitbtc", Environment.SANDBOX, view_key.secrets, key_id="x"))
    original, released, arrived = kind.fetch_balances, asyncio.Event(), []

    async def fetch(self: Any) -> Any:
        arrived.append("here")
        await released.wait()
        return await original(self)

    monkeypatch.setattr(kind, "fetch_balances", fetch)
    return released, arrived


async def wait_until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_true():  # noqa: ASYNC110  # what is waited for happens inside the app, which has no event for it
            await asyncio.sleep(0.01)
