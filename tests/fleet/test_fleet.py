"""Four real processes on PostgreSQL, killed and paused at random: every key on time, none twice at once, no limit exceeded.

In CI two minutes with shortened spans; `make prove-fleet` is the whole of it: 2,000 keys for ten minutes, spans as they are.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.db import Database
from app.exchanges.registry import find_adapters
from app.main import create_app
from app.settings import Settings
from tests.browser.server import find_free_port
from tests.databases import PostgresCluster
from tests.fleet.fleet import IS_FULL, PAUSE_SECONDS, Fleet, play_exchange, wait_for_answer
from tests.fleet.judge import find_overlaps, find_peaks, read_calls
from tests.fleet.seeding import seed

COUNTS = {"bitexbit": 1800, "hitbtc": 120, "htx": 80} if IS_FULL else {"bitexbit": 40, "hitbtc": 20, "htx": 20}
CHECK_SECONDS = 300 if IS_FULL else 60
BALANCE_SECONDS = 200 if IS_FULL else 45
RUN_SECONDS = 600.0 if IS_FULL else 90.0
INTERVALS = 2 if IS_FULL else 3
"""Within how many intervals every key comes round: the short form shares its machine with other tests."""
WORKERS = ["east", "north", "west"]
pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(1500 if IS_FULL else 400)]


@pytest.fixture
async def fleet(postgres_cluster: PostgresCluster, tmp_path: Path) -> AsyncIterator[Fleet]:
    with postgres_cluster.create_database() as url:
        async with play_exchange(tmp_path, keys=max(COUNTS.values())) as (port, _):
            settings = {
                "KEYDECK_KEYRING_FILE": str(tmp_path / "keyring.json"),
                "KEYDECK_CHECK_INTERVAL_SECONDS": str(CHECK_SECONDS),
                "KEYDECK_BALANCE_INTERVAL_SECONDS": str(BALANCE_SECONDS),
                "KEYDECK_EXCHANGES": ",".join(COUNTS),
            }
            made = Fleet(tmp_path, url, port, settings, tuple(COUNTS), web_port=find_free_port())
            try:
                yield made
            finally:
                for process in made.running.values():
                    process.kill()
                    process.wait()


async def seed_fleet(fleet: Fleet) -> dict[str, str]:
    settings = Settings(database_url=fleet.database_url, data_dir=fleet.folder, keyring_file=fleet.folder / "keyring.json")
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        return await seed(app, COUNTS, within_seconds=BALANCE_SECONDS)


async def read(database: Database, statement: str) -> list[Any]:
    async with database.read() as session:
        return list(await session.execute(text(statement)))


async def wait_for_first_checks(database: Database, count: int) -> None:
    async with asyncio.timeout(BALANCE_SECONDS + 120):
        while (await read(database, "SELECT count(*) FROM credentials WHERE checked_at IS NOT NULL"))[0][0] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.5)


@dataclass
class OldestSeen:
    """The oldest check and the oldest balances that any key had at any moment, in seconds."""

    check: float = 0.0
    balances: float = 0.0

    async def watch(self, database: Database) -> None:
        while True:
            query = (
                "SELECT max(clock_timestamp() - c.checked_at), max(clock_timestamp() - b.fetched_at)"
                " FROM credentials c LEFT JOIN credential_balances b ON b.credential_id = c.id"
            )
            check, balances = (await read(database, query))[0]
            self.check = max(self.check, check.total_seconds())
            self.balances = max(self.balances, balances.total_seconds())
            await asyncio.sleep(1)


async def wait_for_the_killed(database: Database) -> None:
    """Wait until others have taken over what killed processes had begun: their marks run out, and the checks are made."""
    moment = (await read(database, "SELECT clock_timestamp()"))[0][0]
    async with asyncio.timeout(PAUSE_SECONDS * 2):
        while (await read(database, f"SELECT count(*) FROM credentials WHERE checking_since < '{moment.isoformat()}'"))[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def test_a_fleet_that_is_killed_and_paused_loses_nothing_and_does_nothing_twice(fleet: Fleet) -> None:
    keys = await seed_fleet(fleet)
    fleet.start("web", "serve", "--no-worker")
    for name in WORKERS:
        fleet.start(name, "worker")
    database = Database(fleet.database_url)
    await wait_for_answer(f"http://127.0.0.1:{fleet.web_port}/livez")
    await wait_for_first_checks(database, len(keys))
    oldest = OldestSeen()
    watching = asyncio.create_task(oldest.watch(database))
    await fleet.disturb(WORKERS, seconds=RUN_SECONDS, pause_between=30.0 if IS_FULL else 6.0)
    await wait_for_answer(f"http://127.0.0.1:{fleet.web_port}/sign-in")
    await wait_for_the_killed(database)
    watching.cancel()
    failures = await read(
        database, "SELECT failure_code FROM credentials c LEFT JOIN credential_balances b ON b.credential_id = c.id"
    )
    exit_codes = fleet.stop()
    marked = await read(database, "SELECT id FROM credentials WHERE checking_since IS NOT NULL")
    found = await read(database, "SELECT exchange, code FROM credential_checks k JOIN credentials c ON c.id = k.credential_id")
    await database.aclose()
    codes = Counter((exchange, code) for exchange, code in found)
    assert set(exit_codes.values()) <= {0, -15}, fleet.read_logs()[-3000:]
    assert fleet.killed >= 1, "the run was disturbed"
    assert fleet.paused >= 1

    foreseen = {"ok"} if IS_FULL else {"ok", "unreachable"}  # a short check may end early on a machine that is busy
    assert {code for _, code in codes} <= foreseen, (codes, fleet.read_logs()[-3000:])
    assert oldest.check <= INTERVALS * CHECK_SECONDS, "every key was on time, all the while"
    assert oldest.balances <= INTERVALS * BALANCE_SECONDS, "and so were its balances"
    assert len(failures) == len(keys)
    assert IS_FULL is False or Counter(code for (code,) in failures) == {None: len(keys)}, "the newest balances are good ones"
    assert marked == [], "no mark is left"

    calls = read_calls(fleet.folder / "calls.jsonl")
    assert find_overlaps(calls) == []
    limits = {slug: kind.exchange.host_limits for slug, kind in find_adapters().items() if slug in COUNTS}
    peaks = find_peaks(calls, limits)
    assert max(peaks.values()) <= 1.0, peaks
    disturbed = f"{fleet.killed} kills, {fleet.paused} pauses, oldest {oldest}, fullest windows {peaks}"
    sys.stdout.write(f"{len(keys)} keys, {len(calls)} calls, {sum(codes.values())} checks, {disturbed}\n")
