"""Jobs run by the clock and in batches, on both databases; they stop in time, and the engine keeps quiet and holds no secret."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from app.clock import utc_now
from app.job_engine import FILE_NAME, SCHEMA, JobPace, choose_times
from app.jobs import Jobs
from app.masking import Secret

QUICK = JobPace(pulse_seconds=0.1, polling_seconds=0.05, grace_seconds=0.5)


class Record:
    """What the jobs of a test did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.left = ["red", "green"]
        self.hold: asyncio.Event | None = None

    async def run(self) -> None:
        self.done.append("round")

    async def find(self) -> list[str]:
        return list(self.left)

    async def claim(self, subject: str) -> list[str]:
        if subject not in self.left:
            return []
        self.left.remove(subject)
        return [f"{subject}_1", f"{subject}_2"]

    async def work(self, ids: list[str]) -> None:
        self.done += ids
        if self.hold is not None:
            await self.hold.wait()
            self.done.append("ended")


@asynccontextmanager
async def running(url: Secret, folder: Path, *records: Record, register: Any = None) -> AsyncIterator[Jobs]:
    jobs = Jobs(url, data_dir=folder, clock=utc_now, pace=QUICK)
    for record in records:
        jobs.every("run", seconds=1, run=record.run)
        jobs.in_batches("batches", seconds=1, find=record.find, claim=record.claim, work=record.work)
    if register is not None:
        register(jobs)
    await jobs.start()
    try:
        yield jobs
    finally:
        await jobs.stop()


async def wait_until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_true():  # noqa: ASYNC110  # what is waited for happens in the engine's threads
            await asyncio.sleep(0.02)


async def test_rounds_come_round_and_batches_work_on_what_they_claimed(database_url: Secret, tmp_path: Path) -> None:
    record = Record()
    async with running(database_url, tmp_path, record) as jobs:
        await wait_until(lambda: record.done.count("round") >= 2 and len(set(record.done)) == 5)
        await wait_until(lambda: jobs.heartbeat_at is not None)
    batches = [found for found in record.done if found != "round"]
    assert sorted(batches) == ["green_1", "green_2", "red_1", "red_2"]
    rounds = record.done.count("round")
    await asyncio.sleep(1.5)
    assert record.done.count("round") == rounds, "nothing runs after the stop"


async def test_two_apps_in_one_process_keep_apart(tmp_path: Path) -> None:
    first, second = Record(), Record()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    urls = [Secret(f"sqlite+aiosqlite:///{tmp_path / name / 'keydeck.db'}") for name in ("first", "second")]
    begun, ended = asyncio.Event(), asyncio.Event()

    async def run_first() -> None:
        async with running(urls[0], tmp_path / "first", first):
            begun.set()
            await ended.wait()

    holder = asyncio.create_task(run_first())
    await begun.wait()
    async with running(urls[1], tmp_path / "second", second):
        await wait_until(lambda: len(set(first.done)) == 5 and len(set(second.done)) == 5)
        ended.set()
        await holder
        second.left.append("blue")
        await wait_until(lambda: "blue_2" in second.done)
    assert (tmp_path / "second" / FILE_NAME).exists(), "the one that stays goes on with its own database"
    assert not [found for found in first.done if found.startswith("blue")]


async def test_a_failing_job_is_told_by_its_type_and_comes_round_again(
    database_url: Secret, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    async def fail() -> None:
        tries.append("tried")
        raise ConnectionError("postgresql://keydeck:cAnArY@db/keydeck")

    async with running(database_url, tmp_path, register=lambda jobs: jobs.every("fail", seconds=1, run=fail)):
        await wait_until(lambda: len(tries) >= 2)
    assert "the job fail failed: ConnectionError" in caplog.text
    assert "cAnArY" not in caplog.text
    assert "cAnArY" not in read_engine_tables(database_url, tmp_path)


async def test_a_stop_waits_a_little_and_then_cuts_off(database_url: Secret, tmp_path: Path) -> None:
    record = Record()
    record.hold = asyncio.Event()
    async with running(database_url, tmp_path, record):
        await wait_until(lambda: "red_1" in record.done and "green_1" in record.done)
    assert "ended" not in record.done
    patient = Record()
    patient.hold = asyncio.Event()
    async with running(database_url, tmp_path, patient):
        await wait_until(lambda: "red_1" in patient.done and "green_1" in patient.done)
        asyncio.get_running_loop().call_later(0.2, patient.hold.set)
    assert patient.done.count("ended") == 2


async def test_the_engine_keeps_quiet(
    database_url: Secret, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """No banner, no console of its own, no invitation to one; what it has to say goes through Keydeck's log, cut short."""
    record = Record()
    async with running(database_url, tmp_path, record):
        await wait_until(lambda: "round" in record.done)
        logging.getLogger("dbos").warning("Exception: %s", "first line\nsecond line with cAnArY")
    shown = capfd.readouterr()
    assert "dbos" not in (shown.out + shown.err).lower()
    said = [entry.getMessage() for entry in caplog.records if entry.name == "dbos" and entry.levelno >= logging.WARNING]
    assert said == ["the job engine: Exception: first line"]


async def test_names_are_unique_and_times_must_come_round(tmp_path: Path) -> None:
    jobs = Jobs(Secret("sqlite+aiosqlite:///x.db"), data_dir=tmp_path, clock=utc_now)
    jobs.every("run", seconds=5, run=Record().run)
    with pytest.raises(ValueError, match="already"):
        jobs.every("run", seconds=5, run=Record().run)
    for seconds in (0, -5, 7, 90, 7200):
        with pytest.raises(ValueError, match="neither"):
            choose_times(seconds)
    assert [choose_times(seconds) for seconds in (5, 60, 300, 3600)] == [
        "*/5 * * * * *", "0 */1 * * * *", "0 */5 * * * *", "0 0 * * * *",
    ]  # fmt: skip


def read_engine_tables(url: Secret, folder: Path) -> str:
    """Return everything the engine wrote down, as one text."""
    if url.reveal().startswith("sqlite"):
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            return "\n".join(connection.iterdump())
    engine = create_engine(url.reveal())
    with engine.connect() as connection:
        names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"), {"schema": SCHEMA})
        found = [str(connection.execute(text(f'SELECT * FROM {SCHEMA}."{name}"')).all()) for (name,) in names.all()]
    engine.dispose()
    return "\n".join(found)
