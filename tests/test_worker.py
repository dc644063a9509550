"""Keys are checked by themselves: on time, each by one worker, through bad weather, crashes and stops; on both databases."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI

from app.credentials import background
from app.credentials.background import BackgroundChecks
from app.credentials.bookkeeping import Bookkeeping
from app.credentials.questions import ask_exchange
from app.credentials.views import Status
from app.job_engine import JobPace
from app.jobs import Jobs
from app.main import Outside, create_app
from app.sandbox.scenarios import Fault
from app.settings import Settings
from tests.conftest import FakeClock
from tests.credentials.bench import Bench
from tests.credentials.workers import LONGER_THAN_ANY_SPREAD, count_checks, hold_balances, look, make_worker, wait_until


@pytest.fixture
async def bench(app: FastAPI) -> Bench:
    return await Bench.open(app)


@asynccontextmanager
async def work_by_itself(bench: Bench, *, grace_seconds: float = 5.0) -> AsyncIterator[Jobs]:
    """Let a worker run on the job engine, as the app does."""
    settings: Settings = bench.state.settings
    pace = JobPace(polling_seconds=0.05, grace_seconds=grace_seconds)
    jobs = Jobs(settings.database_url_text, data_dir=settings.data_dir, clock=bench.state.clock, pace=pace)
    worker = make_worker(bench)
    worker.register(jobs, seconds=1)
    await jobs.start()
    try:
        yield jobs
    finally:
        worker.stop()
        await jobs.stop()
        await worker.settle()


async def wait_for_checks(bench: Bench, count: int) -> None:
    """Wait until so many credentials have been checked since they were connected."""
    async with asyncio.timeout(30):
        while len(await count_checks(bench) + await count_checks(bench, "manual")) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_key_is_checked_by_itself_when_its_time_has_come(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    worker = make_worker(bench)
    assert await worker.run_due() == 0
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    bench.state.sandbox.state.sandbox.set_balance(
        "htx", scenario="read-only", account="spot", asset="btc", available=Decimal("7.5")
    )
    assert await worker.run_due() == 1
    checked = await look(bench, view)
    assert (checked.status, checked.checked_at, checked.checking) == (Status.CONNECTED, clock.now, False)
    assert checked.balances.fetched_at == clock.now
    assert checked.balances.sheet != view.balances.sheet
    assert checked.next_check_at is not None
    assert checked.next_check_at > clock.now
    assert await worker.run_due() == 0
    assert await count_checks(bench) == {view.id: 1}
    events = (await bench.dump())["audit_events"]
    assert len(events) == 1, "the server's own checks are not deeds of anybody"


async def test_a_paused_key_is_left_alone_until_it_is_resumed(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect()
    async with bench.work() as credentials:
        await credentials.update(bench.principal, view.id, paused=True)
    clock.advance(days=1)
    assert await make_worker(bench).run_due() == 0
    async with bench.work() as credentials:
        await credentials.update(bench.principal, view.id, paused=False)
    assert await make_worker(bench).run_due() == 1


async def test_a_key_that_gains_the_right_to_withdraw_shows_by_itself(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "drifting")
    assert view.status is Status.CONNECTED
    worker = make_worker(bench)
    rounds = 0
    while (await look(bench, view)).status is Status.CONNECTED:
        rounds += 1
        assert rounds < 26
        clock.advance(**LONGER_THAN_ANY_SPREAD)
        assert await worker.run_due() == 1
    found = await look(bench, view)
    assert found.status is Status.WITHDRAW_ENABLED
    assert found.advice is not None
    assert found.advice.code == "withdraw_enabled"


async def test_bad_weather_keeps_what_is_known_backs_off_and_passes(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    sandbox = bench.state.sandbox.state.sandbox
    worker = make_worker(bench)
    sandbox.set_fault("htx", scenario="read-only", fault=Fault.MAINTENANCE)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    for at_most_minutes in (1.1, 2.2, 5.5, 16.5, 16.5):
        assert await worker.run_due() == 1
        cloudy = await look(bench, view)
        assert (cloudy.status, cloudy.advice.code if cloudy.advice else None) == (Status.UNAVAILABLE, "maintenance")
        assert cloudy.balances.sheet == view.balances.sheet
        assert cloudy.grants == view.grants
        assert cloudy.next_check_at is not None
        assert 0.8 * at_most_minutes < (cloudy.next_check_at - clock.now).total_seconds() / 60 <= at_most_minutes
        clock.advance(minutes=at_most_minutes)
    sandbox.set_fault("htx", scenario="read-only", fault=None)
    assert await worker.run_due() == 1
    clear = await look(bench, view)
    assert (clear.status, clear.balances.failure_code) == (Status.CONNECTED, None)
    assert clear.balances.fetched_at == clock.now


async def test_secrets_that_do_not_open_are_not_tried_again_at_once(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect()
    await bench.execute("UPDATE credential_secrets SET wrapped_key = :junk", junk=b"junk")
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    assert await make_worker(bench).run_due() == 1
    locked = await look(bench, view)
    assert locked.status is Status.LOCKED
    assert locked.next_check_at is not None
    assert (locked.next_check_at - clock.now).total_seconds() >= 3000


async def test_an_exchange_off_the_list_and_a_failing_check_stop_no_other(
    bench: Bench, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = await bench.connect("hitbtc", "read-only")
    failing = await bench.connect("htx", "read-only")
    fine = await bench.connect("htx", "empty")
    bench.state.exchanges._kinds.pop("hitbtc")

    async def fail(question: Any, **parts: Any) -> Any:
        if question.row.id == failing.id:
            raise ValueError("cAnArY-secret-in-a-text")
        return await ask_exchange(question, **parts)

    monkeypatch.setattr(background, "ask_exchange", fail)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    caplog.set_level(logging.INFO)
    assert await make_worker(bench).run_due() == 3
    assert await count_checks(bench) == {fine.id: 1}
    assert f"the check of credential {failing.id} failed: ValueError" in caplog.text
    assert f"{gone.id} was not checked: exchange_not_offered" in caplog.text
    assert "cAnArY" not in caplog.text
    async with bench.work() as credentials:
        waits = {view.id: (view.next_check_at - clock.now).total_seconds() / 60 for view in
                 await credentials.list_all(bench.principal) if view.next_check_at and not view.checking}  # fmt: skip
    assert 54 <= waits[gone.id] <= 66
    assert 13.5 <= waits[failing.id] <= 16.5


async def test_a_database_that_is_away_is_waited_for(bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await bench.connect()
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    database, original, refusals = bench.state.database, bench.state.database.read, []

    def refuse() -> Any:
        refusals.append("refused")
        raise ConnectionError("postgresql://keydeck:cAnArY@db/keydeck")

    monkeypatch.setattr(database, "read", refuse)
    async with work_by_itself(bench) as jobs:
        await wait_until(lambda: len(refusals) > 2)
        monkeypatch.setattr(database, "read", original)
        await wait_for_checks(bench, 1)
        assert jobs.heartbeat_at == clock.now
    assert (await look(bench, view)).checked_at == clock.now


async def test_two_workers_check_each_key_once(app: FastAPI, bench: Bench, clock: FakeClock) -> None:
    views = []
    for person in (bench, await Bench.open(app, "second@example.org")):
        for exchange, scenario in (("hitbtc", "read-only"), ("hitbtc", "empty"), ("htx", "read-only"), ("htx", "empty")):
            views.append(await person.connect(exchange, scenario))
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    await asyncio.gather(*[make_worker(bench).run_due() for _ in range(3)], bench.check(views[0].id))
    await make_worker(bench).run_due()
    every = await count_checks(bench) + await count_checks(bench, "manual")
    assert all(every[view.id] == 1 for view in views if view.id != views[0].id)
    assert set((await count_checks(bench)).values()) == {1}


async def test_one_result_that_cannot_be_stored_spoils_no_other(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    views = [await bench.connect("hitbtc", scenario) for scenario in ("read-only", "empty", "large")]
    original = Bookkeeping.store_check

    async def store(self: Any, row: Any, *values: Any, **more: Any) -> bool:
        if row.id == views[1].id:
            raise ValueError("cAnArY")
        return await original(self, row, *values, **more)

    monkeypatch.setattr(Bookkeeping, "store_check", store)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    assert await make_worker(bench).run_due() == 3
    assert await count_checks(bench) == {views[0].id: 1, views[2].id: 1}
    assert "a batch is stored one by one: ValueError" in caplog.text
    assert "cAnArY" not in caplog.text
    assert not (await look(bench, views[1])).checking


async def test_a_killed_worker_s_mark_is_taken_over_after_two_minutes(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect()
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    killed = make_worker(bench)
    (left,) = await killed.claim((await killed.find())[0])
    assert (await look(bench, view)).status is Status.CHECKING
    assert await make_worker(bench).run_due() == 0
    clock.advance(minutes=2)
    await make_worker(bench).work([left])
    assert (await look(bench, view)).status is Status.CONNECTED, "whoever goes on with its batch takes it up"
    assert await count_checks(bench) == {view.id: 1}
    await killed.work([left])
    assert await make_worker(bench).run_due() == 0
    assert await count_checks(bench) == {view.id: 1}, "nobody does it twice"


async def test_a_worker_that_wakes_up_after_its_mark_was_taken_over_stores_nothing(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect()
    released, arrived = hold_balances(bench, monkeypatch)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    late = asyncio.create_task(make_worker(bench).run_due())
    await wait_until(lambda: len(arrived) == 1)
    clock.advance(minutes=3)
    second = asyncio.create_task(make_worker(bench).run_due())
    await wait_until(lambda: len(arrived) == 2)
    released.set()
    assert (await late, await second) == (1, 1)
    assert await count_checks(bench) == {view.id: 1}
    assert not (await look(bench, view)).checking


async def test_a_stopped_worker_gives_back_what_does_not_end_in_time(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    view = await bench.connect()
    released, arrived = hold_balances(bench, monkeypatch)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    async with asyncio.timeout(20), work_by_itself(bench, grace_seconds=0.05):
        await wait_until(lambda: bool(arrived))
    assert "before 1 checks had ended" in caplog.text
    assert not (await look(bench, view)).checking
    released.set()
    assert await make_worker(bench).run_due() == 1, "due at once, for whoever comes first"


async def test_the_app_runs_a_worker_only_when_told(settings: Settings, outside: Outside, clock: FakeClock) -> None:
    quiet = create_app(settings, outside=outside)
    async with quiet.router.lifespan_context(quiet):
        assert quiet.state.worker is None
        view = await (await Bench.open(quiet)).connect()
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    busy = create_app(settings, outside=outside, runs_worker=True)
    async with busy.router.lifespan_context(busy):
        bench = Bench(busy, None)  # type: ignore[arg-type]  # only read from
        await wait_for_checks(bench, 1)
        assert busy.state.jobs.heartbeat_at == clock.now
        assert await count_checks(bench) == {view.id: 1}


async def test_what_was_claimed_when_the_stop_came_is_given_back(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop between claim and work: nobody would begin, and the mark would hold for two minutes."""
    view = await bench.connect()
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    original, stopping = BackgroundChecks.claim, asyncio.Event()

    async def claim(self: BackgroundChecks, subject: str) -> Any:
        claims = await original(self, subject)
        if claims:
            stopping.set()
            await asyncio.sleep(0.3)
        return claims

    monkeypatch.setattr(BackgroundChecks, "claim", claim)
    async with asyncio.timeout(20), work_by_itself(bench):
        await stopping.wait()
    assert "before 1 checks had begun" in caplog.text
    assert not (await look(bench, view)).checking
    assert await count_checks(bench) == {}
    assert await make_worker(bench).run_due() == 1, "due at once, for whoever comes first"
