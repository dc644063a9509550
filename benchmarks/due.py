"""Prints what finding and claiming due credentials costs with 100,000 of them, on SQLite and PostgreSQL.

Run from the repository: `python -m benchmarks.due [credentials]`. The figure to reach: the due query an index scan,
under 5 ms. 1 credential in 100 is due, as in a fleet that keeps up.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app import schema
from app.clock import utc_now
from app.credentials.background import BATCH_SIZE
from app.credentials.schedule import Schedule
from app.credentials.schedule_repository import select_due_for_worker
from app.credentials.status import CHECK_TIME
from app.db import Database
from app.masking import Secret
from app.vault.boot import open_vault
from benchmarks.seeding import add_credentials, add_owner, find_key
from tests.databases import PostgresCluster

SLUG = "htx"
ROUNDS = 200
SPREAD_SECONDS = 900.0


async def measure(database: Database, work: Callable[[AsyncSession], Awaitable[object]], *, writes: bool) -> tuple[float, float]:
    """Return the median and the 95th percentile of the milliseconds of one unit of work."""
    taken = []
    for _ in range(ROUNDS):
        async with database.write() if writes else database.read() as session:
            await session.execute(text("SELECT 1"))  # the connection and its transaction are there
            before = time.perf_counter()
            await work(session)
            taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


async def explain(database: Database, session: AsyncSession) -> str:
    now = utc_now()
    due = select_due_for_worker(SLUG, "sandbox", now=now, stale_before=now - CHECK_TIME).order_by("due_at").limit(BATCH_SIZE)
    compiled = due.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True})
    word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    rows = (await session.execute(text(f"{word} {compiled}"))).all()
    return " / ".join(str(row[-1]).strip() for row in rows)


async def run(name: str, url: Secret, *, count: int, folder: Path) -> None:
    database = Database(url)
    await schema.migrate(database)
    vault = await open_vault(database, keyring_path=folder / "keyring.json", clock=utc_now)
    start = utc_now() - timedelta(seconds=SPREAD_SECONDS / 100)
    await add_owner(database, now=start)
    await add_credentials(database, vault, [find_key(SLUG, "read-only")], count=count, now=start, spread_seconds=SPREAD_SECONDS)
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    async with database.read() as session:
        plan = await explain(database, session)

    async def find(session: AsyncSession) -> object:
        now = utc_now()
        due = select_due_for_worker(SLUG, "sandbox", now=now, stale_before=now - CHECK_TIME).order_by("due_at").limit(BATCH_SIZE)
        return (await session.execute(due)).all()

    async def claim(session: AsyncSession) -> object:
        return await Schedule(session, clock=utc_now).claim(SLUG, "sandbox", limit=BATCH_SIZE)

    found, claimed = await measure(database, find, writes=False), await measure(database, claim, writes=True)
    print(f"{name}, {count} credentials: {plan}")
    print(f"  find {BATCH_SIZE} due: median {found[0]:.2f} ms, 95 % {found[1]:.2f} ms")
    print(f"  claim {BATCH_SIZE}:    median {claimed[0]:.2f} ms, 95 % {claimed[1]:.2f} ms")
    await database.aclose()


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await run("SQLite", Secret(f"sqlite+aiosqlite:///{folder / 'due.db'}"), count=count, folder=folder)
        (folder / "keyring.json").unlink()
        with PostgresCluster.start() as cluster, cluster.create_database() as url:
            await run("PostgreSQL", url, count=count, folder=folder)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
