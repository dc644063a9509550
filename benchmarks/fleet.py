"""Runs a fleet of credentials against the sandbox by a virtual clock, and prints what a million of them would need.

Run from the repository: `python -m benchmarks.fleet [credentials per exchange] [hours]`. The schedule, the claims, the
checks and the storing are the real ones, on SQLite; only time is made up, so an hour takes a minute or so. Counted
are calls at the sandbox, rows and bytes in the database; docs/scaling.md explains the arithmetic.
"""

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import text

from app import schema
from app.credentials.background import BackgroundChecks
from app.credentials.bookkeeping import KEPT_CHECKS
from app.db import Database
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, find_adapters, list_origins
from app.exchanges.types import CallLimit, ProbePolicy
from app.masking import Secret
from app.sandbox.app import SANDBOX_URL, create_sandbox
from app.settings import Settings
from app.vault.boot import open_vault
from benchmarks.refresh import Unlimited
from benchmarks.seeding import add_credentials, add_owner, find_key

STEP_SECONDS = 5
WARM_UP = timedelta(minutes=30)
GOAL = 1_000_000
DAY_SECONDS = 86_400


class VirtualClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Tally:
    """What was counted in the measured time."""

    calls: Counter[str]
    paths: Counter[tuple[str, str]]
    busiest: dict[str, int]
    stored_checks: int = 0
    seconds: float = 0.0

    def note(self, recorded: list[tuple[str, str, str, str]]) -> None:
        step = Counter(exchange for exchange, *_ in recorded)
        self.calls += step
        self.paths += Counter((exchange, path) for exchange, _, _, path in recorded)
        for exchange, count in step.items():
            self.busiest[exchange] = max(self.busiest.get(exchange, 0), count)


async def count_checks(database: Database) -> int:
    async with database.read() as session:
        return int((await session.execute(text("SELECT count(*) FROM credential_checks"))).scalar_one())


async def measure_bytes(database: Database, table: str, columns: str) -> float:
    """Return the mean bytes of a row's long columns."""
    async with database.read() as session:
        return float((await session.execute(text(f"SELECT avg({columns}) FROM {table}"))).scalar_one() or 0)


async def run_fleet(count: int, *, hours: float) -> tuple[Tally, dict[str, float]]:
    clock, kinds = VirtualClock(), find_adapters()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = create_sandbox(clock=clock)
        http = ExchangeHttp(
            origins=list_origins(kinds, urls={}, sandbox_url=SANDBOX_URL),
            routes={SANDBOX_URL: httpx.ASGITransport(app=sandbox)},
            traffic=Unlimited(),
        )
        stack.push_async_callback(http.aclose)
        exchanges = Exchanges(http=http, clock=clock, probes=ProbePolicy.HARMLESS, sandbox_url=SANDBOX_URL, kinds=kinds)
        database = Database(Secret(f"sqlite+aiosqlite:///{folder / 'fleet.db'}"))
        stack.push_async_callback(database.aclose)
        await schema.migrate(database)
        vault = await open_vault(database, keyring_path=folder / "keyring.json", clock=clock)
        await add_owner(database, now=clock())
        for slug in kinds:
            keys = [find_key(slug, "read-only"), find_key(slug, "read-trade")]
            await add_credentials(database, vault, keys, count=count, now=clock(), spread_seconds=900)
        settings = Settings(data_dir=folder, sandbox="on")
        work = BackgroundChecks(database, vault=vault, exchanges=exchanges, settings=settings, clock=clock)
        tally = await pass_time(work, clock=clock, state=sandbox.state.sandbox, database=database, hours=hours)
        sizes = {
            "check": await measure_bytes(
                database, "credential_checks", "length(steps) + length(evidence) + length(grants) + 200"
            ),
            "balances": await measure_bytes(database, "credential_balances", "length(document) + 100"),
        }
    return tally, sizes


async def pass_time(work: BackgroundChecks, *, clock: VirtualClock, state: object, database: Database, hours: float) -> Tally:
    """Let time pass in steps and do what comes due, first to spread, then to count."""
    start = clock() + WARM_UP
    end, tally, before = start + timedelta(hours=hours), Tally(Counter(), Counter(), {}), 0
    while clock() < end:
        while subjects := await work.list_subjects():
            claims = [await work.claim(subject) for subject in subjects]
            await asyncio.gather(*(work.run(claimed) for claimed in claims if claimed))
        if clock() >= start:
            tally.note(state.recorded_calls)  # type: ignore[attr-defined]  # the sandbox's state
        elif clock() + timedelta(seconds=STEP_SECONDS) >= start:
            before = await count_checks(database)
        state.forget_calls()  # type: ignore[attr-defined]  # the same
        clock.now += timedelta(seconds=STEP_SECONDS)
    tally.stored_checks = await count_checks(database) - before
    tally.seconds = hours * 3600
    return tally


def count_per_address(tally: Tally, slug: str, limits: Iterable[CallLimit], *, count: int) -> tuple[float, CallLimit]:
    """Return how many credentials one address carries below the tightest of the limits, and which one that is."""
    found = []
    for limit in limits:
        asked = sum(calls for (exchange, path), calls in tally.paths.items() if exchange == slug and path.startswith(limit.path))
        found.append((limit.calls / limit.seconds * tally.seconds * count / max(asked, 1), limit))
    return min(found, key=lambda one: one[0])


def report(tally: Tally, sizes: dict[str, float], *, count: int) -> None:
    hours = tally.seconds / 3600
    print(f"{count} credentials at each exchange, {hours:g} h of virtual time, default intervals")
    heads = ("calls/credential/h", "mean/s", "busiest/s", "limit/s", "credentials/address", "addresses for 1M")
    print("exchange  ", *[head.rjust(len(head)) for head in heads], sep="  ")
    for slug, kind in find_adapters().items():
        hourly = tally.calls[slug] / count / hours
        per_address, limit = count_per_address(tally, slug, kind.exchange.host_limits, count=count)
        busiest = tally.busiest.get(slug, 0) / STEP_SECONDS
        figures = (
            hourly,
            tally.calls[slug] / tally.seconds,
            busiest,
            limit.calls / limit.seconds,
            per_address,
            GOAL / per_address,
        )
        texts = [f"{value:.{2 if value < 10 else 0}f}".rjust(len(head)) for value, head in zip(figures, heads, strict=True)]
        print(slug.ljust(10), *texts, limit.path, sep="  ")
    report_rows(tally, sizes, fleet=count * len(find_adapters()))


def report_rows(tally: Tally, sizes: dict[str, float], *, fleet: int) -> None:
    checks = tally.stored_checks / fleet * DAY_SECONDS / tally.seconds
    fetched = max(DAY_SECONDS / Settings().balance_interval_seconds, checks)  # each check fetches balances, too
    written = checks * sizes["check"] + fetched * sizes["balances"]
    kept = KEPT_CHECKS * sizes["check"] + sizes["balances"]
    print(f"a check's row {sizes['check']:.0f} bytes, balances {sizes['balances']:.0f} bytes")
    print(f"per credential and day: {checks:.0f} checks, {fetched:.0f} times balances, {written / 1e6:.2f} MB written")
    print(f"kept per credential: {kept / 1e3:.0f} kB ({KEPT_CHECKS} checks)")
    print(f"for {GOAL:,}: {GOAL * written / 1e9:,.0f} GB written a day before indexes and logs, {GOAL * kept / 1e9:,.0f} GB kept")
    print(f"for {GOAL:,}: {GOAL * fetched / DAY_SECONDS:,.0f} credentials a second")


async def main(count: int, hours: float) -> None:
    tally, sizes = await run_fleet(count, hours=hours)
    report(tally, sizes, count=count)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    given = sys.argv[1:]
    asyncio.run(main(int(given[0]) if given else 20, float(given[1]) if len(given) > 1 else 1.0))
