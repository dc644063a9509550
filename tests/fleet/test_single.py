"""One process, SQLite, 200 keys: all are checked and read again by themselves, and pages answer while that goes on."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import httpx
import pytest

from app.exchanges.registry import find_adapters
from app.main import create_app
from app.settings import Settings
from tests.browser.server import find_free_port
from tests.databases import copy_sqlite
from tests.fleet.fleet import Fleet, play_exchange, wait_for_answer
from tests.fleet.judge import find_overlaps, find_peaks, read_calls
from tests.fleet.seeding import seed

COUNTS = {"bitexbit": 100, "hitbtc": 50, "htx": 50}


def count(path: Path, question: str) -> int:
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
        return int(connection.execute(question).fetchone()[0])


@pytest.mark.timeout(400)
async def test_one_process_keeps_two_hundred_keys_and_its_pages(tmp_path: Path, sqlite_template: Path) -> None:
    url = copy_sqlite(sqlite_template, tmp_path / "keydeck.db")
    app = create_app(Settings(database_url=url, data_dir=tmp_path))
    async with app.router.lifespan_context(app):
        keys = await seed(app, COUNTS, within_seconds=1)
    async with play_exchange(tmp_path, keys=max(COUNTS.values())) as (port, calls_path):
        settings = {"KEYDECK_CHECK_INTERVAL_SECONDS": "120", "KEYDECK_BALANCE_INTERVAL_SECONDS": "45"}
        fleet = Fleet(tmp_path, url, port, settings, tuple(COUNTS), web_port=find_free_port())
        fleet.start("web", "serve")
        try:
            base = f"http://127.0.0.1:{fleet.web_port}"
            await wait_for_answer(f"{base}/livez")
            answers = await visit_until_done(base, tmp_path / "keydeck.db", count_of_keys=len(keys))
            assert set(fleet.stop().values()) <= {0, -15}, fleet.read_logs()[-2000:]
        finally:
            fleet.running["web"].kill()
            fleet.running["web"].wait()
    assert len(answers) >= 20
    assert set(answers) == {200}, "every page was answered while keys were checked"
    assert count(tmp_path / "keydeck.db", "SELECT count(*) FROM credentials WHERE checking_since IS NOT NULL") == 0
    calls = read_calls(calls_path)
    assert find_overlaps(calls) == []
    limits = {slug: kind.exchange.host_limits for slug, kind in find_adapters().items() if slug in COUNTS}
    assert max(find_peaks(calls, limits).values()) <= 1.0


async def visit_until_done(base: str, path: Path, *, count_of_keys: int) -> list[int]:
    """Ask for pages until every key was checked, and its balances were read again after that; return the statuses."""
    done = (
        "SELECT count(*) FROM credentials c JOIN credential_balances b ON b.credential_id = c.id"
        " WHERE b.document IS NOT NULL AND b.fetched_at > c.checked_at"
    )
    answers = []
    async with httpx.AsyncClient(base_url=base) as client, asyncio.timeout(300):
        while count(path, done) < count_of_keys * 0.9:
            answers.append((await client.get("/sign-in")).status_code)
            answers.append((await client.get("/readyz")).status_code)
            await asyncio.sleep(0.5)
    return answers
