"""Checks by which nobody was asked, or nobody listened: none are stored by themselves; on both databases."""

import asyncio
import time
from typing import Any

import pytest
from fastapi import FastAPI

from app.credentials import balance_run, check_run
from app.credentials.unasked import Reason
from app.credentials.views import Status
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.errors import ExchangeError, LimitsUnknown, Resting, StoodStill
from app.exchanges.stillness import STILL_SECONDS
from app.exchanges.types import Environment, Permission
from tests.conftest import FakeClock
from tests.credentials.bench import Bench
from tests.credentials.workers import LONGER_THAN_ANY_SPREAD, count_checks, hold_balances, look, make_worker, wait_until

UNASKED = [
    (Resting(retry_after_seconds=30.0, failing_for_seconds=60.0), Reason.RESTING, (30, 37)),
    (LimitsUnknown(), Reason.LIMITS_UNKNOWN, (9, 12)),
    (StoodStill(), Reason.STOOD_STILL, (9, 12)),
]


@pytest.fixture
async def bench(app: FastAPI) -> Bench:
    return await Bench.open(app)


@pytest.mark.parametrize(("error", "reason", "waits"), UNASKED)
@pytest.mark.parametrize("minutes", [6, 17], ids=["balances", "rights"])
async def test_a_check_by_which_nobody_was_asked_is_none_and_is_made_again(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, error: ExchangeError, reason: Reason,
    waits: tuple[int, int], minutes: int,
) -> None:  # fmt: skip
    view = await bench.connect("htx", "read-only")
    clock.advance(minutes=minutes)
    worker = make_worker(bench)

    async def refuse(self: Any, request: Any, *, call: Any, attempts: Any) -> Any:
        raise error

    with monkeypatch.context() as away:
        away.setattr(ExchangeAdapter, "_transmit", refuse)
        assert await worker.run_due() == 1
    assert worker.put_off == {one: int(one is reason) for one in Reason}
    found = await look(bench, view)
    assert (found.status, found.checking, found.checked_at) == (view.status, False, view.checked_at)
    assert found.balances == view.balances, "the last known ones, as old as they are"
    assert await count_checks(bench) == {}
    clock.advance(seconds=waits[0] - 1)
    assert await worker.run_due() == 0
    clock.advance(seconds=waits[1] - waits[0] + 1)
    assert await worker.run_due() == 1
    assert await count_checks(bench) == ({view.id: 1} if minutes == 17 else {})
    assert (await look(bench, view)).balances.fetched_at == clock.now


async def test_balances_are_not_missing_at_an_exchange_that_was_not_asked(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect("hitbtc", "read-only")
    clock.advance(minutes=6)
    original, asked = ExchangeAdapter._transmit, []

    async def stand_still(self: Any, request: Any, *, call: Any, attempts: Any) -> Any:
        asked.append(call)
        if len(asked) == 2:
            raise StoodStill(call=call.label)
        return await original(self, request, call=call, attempts=attempts)

    with monkeypatch.context() as still:
        still.setattr(ExchangeAdapter, "_transmit", stand_still)
        assert await make_worker(bench).run_due() == 1
    assert len(asked) == 2, "what is left is not asked either"
    assert (await look(bench, view)).balances == view.balances


async def test_what_a_key_has_shown_is_kept_whatever_came_afterwards(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect("hitbtc", "read-trade", plan="trading")
    bench.state.sandbox.state.sandbox.set_permissions("hitbtc", scenario="read-trade", permissions=[Permission.READ])
    clock.advance(**LONGER_THAN_ANY_SPREAD)
    kind = type(bench.state.exchanges.open("hitbtc", Environment.SANDBOX, bench.key("hitbtc", "empty").secrets, key_id="x"))

    async def stand_still(self: Any) -> Any:
        raise StoodStill

    monkeypatch.setattr(kind, "fetch_balances", stand_still)
    await make_worker(bench).run_due()
    assert (await look(bench, view)).status is Status.WAITING
    assert await count_checks(bench) == {view.id: 1}


async def test_a_check_that_a_person_waits_for_tells_that_the_exchange_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect("hitbtc", "read-only")

    async def refuse(self: Any, request: Any, *, call: Any, attempts: Any) -> Any:
        raise Resting(retry_after_seconds=30.0, failing_for_seconds=60.0)

    monkeypatch.setattr(ExchangeAdapter, "_transmit", refuse)
    told = await bench.check(view.id)
    assert (told.status, told.advice and told.advice.code) == (Status.UNAVAILABLE, "exchange_unavailable")
    assert await count_checks(bench, "manual") == {view.id: 1}


async def test_a_check_whose_process_stood_still_past_its_time_says_nothing_of_the_exchange(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own time and the exchange's were over together: a second would be enough for anybody else."""
    view = await bench.connect("hitbtc", "read-only")
    hold_balances(bench, monkeypatch)
    for module in (check_run, balance_run):
        monkeypatch.setattr(module, "LIMIT_SECONDS", 0.3)
    for minutes in (6, 17):
        clock.advance(minutes=minutes)
        worker = make_worker(bench)
        asyncio.get_running_loop().call_later(0.1, time.sleep, STILL_SECONDS + 0.8)
        assert await worker.run_due() == 1
        assert worker.put_off[Reason.STOOD_STILL] == 1
    assert (await look(bench, view)).balances == view.balances


async def test_a_check_by_hand_that_comes_after_its_mark_ran_out_is_not_stored(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await bench.connect()
    released, arrived = hold_balances(bench, monkeypatch)
    late = asyncio.create_task(bench.check(view.id))
    await wait_until(lambda: bool(arrived))
    clock.advance(minutes=3)
    released.set()
    told = await late
    assert (told.checked_at, told.checking, told.balances) == (view.checked_at, False, view.balances)
    assert await count_checks(bench, "manual") == {}
    assert not [row for row in (await bench.dump())["audit_events"] if "credential.checked" in row]
    assert await make_worker(bench).run_due() == 1, "it is made again at once"
    assert await count_checks(bench) == {view.id: 1}
