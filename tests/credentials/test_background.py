"""What the server fetches by itself between two checks, and how many keys it asks at once; on both databases."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from app.credentials.background import count_places
from app.credentials.models import Credential
from app.credentials.views import Status
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import RateLimited
from app.exchanges.health import RestingSite
from app.exchanges.types import Environment
from app.sandbox.scenarios import Fault
from tests.conftest import FakeClock
from tests.credentials.bench import Bench
from tests.credentials.workers import LONGER_THAN_ANY_SPREAD, count_checks, hold_balances, look, make_worker, wait_until


@pytest.fixture
async def bench(app: FastAPI) -> Bench:
    return await Bench.open(app)


async def test_balances_are_fetched_between_two_checks_without_asking_for_rights(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    worker, began_at = make_worker(bench), clock.now
    sandbox = bench.state.sandbox.state.sandbox
    fetched = []
    while not await count_checks(bench):
        clock.advance(seconds=30)
        sandbox.set_balance("htx", scenario="read-only", account="spot", asset="btc", available=Decimal(len(fetched) + 1))
        if await worker.run_due():
            fetched.append((clock.now - began_at).total_seconds())
            assert (await look(bench, view)).balances.fetched_at == clock.now
    assert len(fetched) == 3, "twice by themselves, and the third time with the check"
    assert all(270 <= later - earlier <= 360 for earlier, later in itertools.pairwise([0.0, *fetched[:2]]))
    assert 810 <= fetched[2] <= 1020


async def test_balances_that_show_the_key_is_dead_have_it_checked_at_once(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "read-only")
    worker = make_worker(bench)
    bench.state.sandbox.state.sandbox.set_fault("hitbtc", scenario="read-only", fault=Fault.ACCOUNT_BLOCKED)
    clock.advance(minutes=6)
    assert await worker.run_due() == 2
    dead = await look(bench, view)
    assert (dead.status, dead.balances.sheet) == (Status.ACCOUNT_BLOCKED, view.balances.sheet)
    assert await count_checks(bench) == {view.id: 1}


async def test_bad_weather_over_balances_alone_keeps_them_and_tries_again(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    worker, sandbox = make_worker(bench), bench.state.sandbox.state.sandbox
    sandbox.set_fault("htx", scenario="read-only", fault=Fault.MAINTENANCE)
    clock.advance(minutes=6)
    assert await worker.run_due() == 1
    cloudy = await look(bench, view)
    assert (cloudy.status, cloudy.balances.sheet) == (Status.CONNECTED, view.balances.sheet)
    assert (cloudy.balances.failure_code, cloudy.balances.failed_at) == ("maintenance", clock.now)
    sandbox.set_fault("htx", scenario="read-only", fault=None)
    clock.advance(minutes=6)
    assert await worker.run_due() == 1
    clear = await look(bench, view)
    assert (clear.balances.failure_code, clear.balances.fetched_at) == (None, clock.now)
    assert await count_checks(bench) == {}


async def test_balances_of_a_batch_are_stored_at_once_but_for_a_mark_that_is_gone(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [await bench.connect("hitbtc", scenario) for scenario in ("read-only", "empty", "large", "read-trade")]
    clock.advance(minutes=6)
    worker = make_worker(bench)
    batch = await worker.claim("hitbtc/sandbox/0")
    assert len(batch) == 4
    released, arrived = hold_balances(bench, monkeypatch)
    work = asyncio.create_task(worker.work(batch))
    await wait_until(lambda: len(arrived) == 4)
    await bench.execute("UPDATE credentials SET secret_version = secret_version + 1 WHERE id = :id", id=views[0].id)
    statements: list[str] = []
    with listen_to(bench.state.database.engine.sync_engine, statements):
        released.set()
        await work
    assert len([text for text in statements if "UPDATE credentials" in text]) == 1
    assert len([text for text in statements if "credential_balances" in text]) == 1
    ages = [clock.now - (await look(bench, view)).balances.fetched_at for view in views]
    assert [age.total_seconds() > 0 for age in ages] == [True, False, False, False], "the key was replaced meanwhile"
    assert [(await look(bench, view)).balances.sheet for view in views[1:]] == [view.balances.sheet for view in views[1:]]


@contextlib.contextmanager
def listen_to(engine: Engine, statements: list[str]) -> Iterator[None]:
    """Note every statement that the engine executes."""

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield
    event.remove(engine, "before_cursor_execute", note)


async def test_as_many_keys_are_asked_at_once_as_the_exchange_s_limits_bear(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    columns = ", ".join(
        column.name for column in Credential.__table__.columns if column.name not in ("id", "fingerprint", "due_at")
    )
    for number in range(100):
        copied = columns.replace("environment", "'live'") if number < 60 else columns
        await bench.execute(
            f"INSERT INTO credentials (id, fingerprint, {columns}) SELECT :id, :id, {copied} FROM credentials WHERE id = :source",
            id=f"crd_{number}", source=view.id,
        )  # fmt: skip
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    worker = make_worker(bench)
    assert await worker.find() == ["htx/live/0", "htx/sandbox/0", "htx/sandbox/1", "htx/sandbox/2"]
    assert count_places(bench.state.exchanges.get("htx")) == 10, "ten calls a second"
    batches = [await worker.claim("htx/live/0"), await worker.claim("htx/sandbox/0")]
    assert [len(batch) for batch in batches] == [min(16, 10 * len(bench.state.exchanges.ways)), 16]


async def test_a_site_that_rests_gets_one_probe_when_its_time_has_come(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scenario in ("read-only", "empty", "large"):
        await bench.connect("hitbtc", scenario)
    other = await bench.connect("htx", "read-only")
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    way = bench.state.exchanges.ways[0]
    rests = [RestingSite("hitbtc", Environment.SANDBOX, way, clock.now, clock.now + timedelta(seconds=30))]

    async def list_resting() -> list[RestingSite]:
        return rests

    monkeypatch.setattr(bench.state.exchanges, "list_resting", list_resting)
    worker = make_worker(bench)
    assert await worker.run_due() == 1
    assert await count_checks(bench) == {other.id: 1}
    clock.advance(seconds=30)
    assert await worker.find() == [f"hitbtc/sandbox/probe/{way}"]
    assert len(await worker.claim(f"hitbtc/sandbox/probe/{way}")) == 1
    rests.clear()
    assert await worker.run_due() == 2, "the rest come when the probe was answered"


async def test_our_own_refusal_to_exceed_a_limit_is_no_check_and_comes_round_soon(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect("hitbtc", "read-only")
    clock.advance(**LONGER_THAN_ANY_SPREAD)

    async def refuse(self: Any, request: Any, *, call: Any, attempts: Any) -> Any:
        raise RateLimited(call=call.label, retry_after_seconds=4.0)

    with monkeypatch.context() as crowded:
        crowded.setattr(ExchangeAdapter, "_transmit", refuse)
        assert await make_worker(bench).run_due() == 1
    found = await look(bench, view)
    assert (found.status, found.checking, found.checked_at) == (view.status, False, view.checked_at)
    assert await count_checks(bench) == {}
    clock.advance(seconds=11)
    assert await make_worker(bench).run_due() == 1
    assert await count_checks(bench) == {view.id: 1}


async def test_an_answer_that_comes_after_its_mark_ran_out_is_not_stored(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still for minutes cannot tell whether the exchange or itself was silent."""
    view = await bench.connect()
    released, arrived = hold_balances(bench, monkeypatch)
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    late = asyncio.create_task(make_worker(bench).run_due())
    await wait_until(lambda: bool(arrived))
    clock.advance(minutes=3)
    released.set()
    await late
    assert await count_checks(bench) == {view.id: 1}
    assert (await look(bench, view)).checked_at == clock.now, "it was asked again, and that answer counts"
