"""A key that gains a dangerous right is put aside by the check that sees it, and comes back when the right is gone."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.credentials.models import CredentialBalances
from app.credentials.repository import get_row
from app.credentials.safekeeping import Safekeeping, SecretsWithheld, Use
from app.credentials.views import CredentialView, Status
from app.credentials.watch import Watch
from app.exchanges.types import Answer, Permission
from app.main import Outside, create_app
from app.settings import Settings
from tests.conftest import FakeClock
from tests.credentials.bench import Bench

READ, TRADE, WITHDRAW = Permission.READ, Permission.TRADE, Permission.WITHDRAW
BALANCE_PATHS = ("/account/accounts", "/balance")


def set_rights(bench: Bench, *rights: Permission, exchange: str = "htx", scenario: str = "read-trade") -> None:
    bench.state.sandbox.state.sandbox.set_permissions(exchange, scenario=scenario, permissions=rights)


def count_balance_calls(bench: Bench) -> int:
    calls = bench.state.sandbox.state.sandbox.recorded_calls
    return sum(any(part in path for part in BALANCE_PATHS) for *_, path in calls)


async def list_changes(bench: Bench) -> list[tuple[str, str]]:
    rows = (await bench.dump())["credential_changes"]
    return [(row[3], row[4]) for row in sorted(rows, key=lambda row: (row[2], row[4]))]


async def list_actions(bench: Bench) -> list[str]:
    async with bench.state.database.connect() as connection:
        return [row[0] for row in await connection.exec_driver_sql("SELECT action FROM audit_events ORDER BY at")]


async def is_held_back(bench: Bench, view: CredentialView) -> bool:
    async with bench.state.database.read() as session:
        row = await get_row(session, view.id, user_id=bench.principal.user_id)
        assert row is not None
        keeping = Safekeeping(session, vault=bench.state.vault)
        assert await keeping.open(row, use=Use.CHECK)
        try:
            await keeping.open(row)
        except SecretsWithheld:
            return True
        return False


async def test_withdraw_gained_quarantines_at_once_and_gone_ends_it(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-trade")
    assert (view.status, view.quarantined_at) == (Status.CONNECTED, None)
    assert not await is_held_back(bench, view)
    set_rights(bench, READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    asked = count_balance_calls(bench)
    caught = await bench.check(view.id)
    assert (caught.status, caught.quarantined_at) == (Status.WITHDRAW_ENABLED, clock.now)
    assert caught.balances.fetched_at == view.balances.fetched_at
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).quarantined_at == caught.quarantined_at
    assert count_balance_calls(bench) == asked, "nothing but the check uses it"
    assert await is_held_back(bench, view)
    async with bench.work() as credentials:
        assert (await credentials.update(bench.principal, view.id, label="Renamed")).label == "Renamed"
    set_rights(bench, READ, TRADE)
    clock.advance(minutes=15)
    back = await bench.check(view.id)
    assert (back.status, back.quarantined_at, back.balances.fetched_at) == (Status.CONNECTED, None, clock.now)
    assert not await is_held_back(bench, view)
    assert await list_changes(bench) == [("withdraw_gained", "began"), ("withdraw_gained", "ended")]
    assert {"credential.quarantined", "credential.released"} <= set(await list_actions(bench))


async def test_transfer_gained_on_a_balances_only_key(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-only")
    set_rights(bench, READ, TRADE, scenario="read-only")  # at this exchange Trade lets a key transfer, too
    clock.advance(minutes=15)
    caught = await bench.check(view.id)
    assert (caught.status, caught.quarantined_at) == (Status.QUARANTINED, clock.now)
    assert caught.advice is not None
    assert (caught.advice.code, caught.advice.action) == ("transfer_enabled", "guide")
    assert "can move funds between accounts" in caught.advice.cause
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).status is Status.QUARANTINED
    async with bench.work() as credentials:
        changed = await credentials.update(bench.principal, view.id, plan="trading")
    assert changed.next_check_at == clock.now, "the new plan needs the right: it is looked at again at once"
    back = await bench.check(view.id)
    assert (back.status, back.quarantined_at, back.balances.fetched_at) == (Status.CONNECTED, None, clock.now)
    assert await list_changes(bench) == [("transfer_gained", "began"), ("transfer_gained", "ended")]


async def test_withdraw_gained_is_seen_on_a_key_that_lost_read(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("kraken", "read-only")
    set_rights(bench, WITHDRAW, exchange="kraken", scenario="read-only")
    clock.advance(minutes=15)
    caught = await bench.check(view.id)
    assert (caught.status, caught.quarantined_at) == (Status.WITHDRAW_ENABLED, clock.now)
    assert set(await list_changes(bench)) == {("right_lost", "began"), ("withdraw_gained", "began")}
    set_rights(bench, READ, exchange="kraken", scenario="read-only")
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).quarantined_at is None


async def test_following_the_guide_is_no_drift(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "read-only")
    set_rights(bench, READ, exchange="hitbtc", scenario="read-only")
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).quarantined_at is None
    set_rights(bench, READ, Permission.TRANSFER, exchange="hitbtc", scenario="read-only")  # the box Payment information
    clock.advance(minutes=15)
    asked = len(bench.state.sandbox.state.sandbox.recorded_calls)
    checked = await bench.check(view.id)
    assert (checked.status, checked.quarantined_at) == (Status.CONNECTED, None)
    assert checked.balances.fetched_at == clock.now
    assert len(bench.state.sandbox.state.sandbox.recorded_calls) > asked
    assert await list_changes(bench) == []


async def test_another_key_in_its_place_ends_it(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-trade")
    set_rights(bench, READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).quarantined_at is not None
    await bench.execute("UPDATE credentials SET account_id = NULL")
    clock.advance(minutes=1)
    back = await bench.replace(view.id, bench.key("htx", "read-only"))
    assert back.quarantined_at is None
    assert back.status is Status.LIMITED
    assert await list_changes(bench) == [("withdraw_gained", "began"), ("withdraw_gained", "ended")]
    clock.advance(minutes=15)
    await bench.check(view.id)
    assert len(await list_changes(bench)) == 2


async def test_a_dead_key_is_told_once_and_when_it_is_back(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("hitbtc", "read-only")
    key = bench.state.sandbox.state.sandbox.find_key("hitbtc", "read-only")
    key.active = False
    for _ in range(3):
        clock.advance(hours=1)
        assert (await bench.check(view.id)).status is Status.INVALID_KEY
    assert await list_changes(bench) == [("stopped_working", "began")]
    key.active = True
    clock.advance(hours=1)
    await bench.check(view.id)
    assert await list_changes(bench) == [("stopped_working", "began"), ("stopped_working", "ended")]


async def test_old_balances_are_noted_without_any_check(bench: Bench, clock: FakeClock) -> None:
    async def sweep() -> int:
        async with bench.state.database.write() as session:
            return await Watch(session, clock=clock).sweep_ages()

    view = await bench.connect("hitbtc", "read-only")
    paused = await bench.connect("htx", "read-only")
    async with bench.work() as credentials:
        await credentials.update(bench.principal, paused.id, paused=True)
    clock.advance(minutes=59)
    assert await sweep() == 0
    clock.advance(minutes=2)
    assert await sweep() == 1
    assert await sweep() == 0, "once"
    assert await list_changes(bench) == [("balances_old", "began")]
    clock.advance(minutes=5)
    await bench.check(view.id)
    assert await sweep() == 1
    assert await sweep() == 0
    assert await list_changes(bench) == [("balances_old", "began"), ("balances_old", "ended")]
    async with bench.work() as credentials:
        await credentials.update(bench.principal, paused.id, paused=False)
    assert await sweep() == 0, "what was resumed just now has yet to be read"
    clock.advance(minutes=6)
    assert await sweep() == 1


async def test_a_key_of_an_older_version_is_compared_with_its_newest_check(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-trade")
    await bench.execute("DELETE FROM credential_watch")
    set_rights(bench, READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    assert (await bench.check(view.id)).quarantined_at == clock.now
    assert await list_changes(bench) == [("withdraw_gained", "began")]


class TestWarn:
    """Where the operator lets keys withdraw, only a gain counts."""

    @pytest.fixture
    async def bench(self, settings: Settings, outside: Outside) -> Any:
        app: FastAPI = create_app(settings.model_copy(update={"withdraw_policy": "warn"}), outside=outside)
        async with app.router.lifespan_context(app):
            yield await Bench.open(app)

    async def test_what_was_connected_so_is_used_and_what_drifts_is_not(self, bench: Bench, clock: FakeClock) -> None:
        allowed = await bench.connect("htx", "withdraw-enabled")
        drifted = await bench.connect("htx", "read-trade")
        set_rights(bench, READ, TRADE, WITHDRAW)
        clock.advance(minutes=15)
        assert (await bench.check(allowed.id)).balances.fetched_at == clock.now
        assert (await bench.check(allowed.id)).quarantined_at is None
        caught = await bench.check(drifted.id)
        assert (caught.quarantined_at, caught.balances.fetched_at) == (clock.now, drifted.balances.fetched_at)
        again = await bench.replace(drifted.id, bench.key("htx", "read-trade"))
        assert again.quarantined_at is None, "the trader has put it in again, seeing what it may do"
        assert again.balances.fetched_at == clock.now


async def test_balances_row_is_there_from_the_start(bench: Bench) -> None:
    """The sweep joins it: a key whose balances were never read must be found, too."""
    await bench.connect("hitbtc", "read-only")
    assert len((await bench.dump())[CredentialBalances.__tablename__]) == 1


async def test_no_answer_about_the_right_lets_nothing_out_of_quarantine(bench: Bench, clock: FakeClock) -> None:
    view = await bench.connect("htx", "read-trade")
    set_rights(bench, READ, TRADE, WITHDRAW)
    clock.advance(minutes=15)
    caught = await bench.check(view.id)
    calls = bench.state.sandbox.state.sandbox.recorded_calls
    calls.clear()
    key = bench.state.sandbox.state.sandbox.find_key("htx", "read-trade")
    key.customer.is_sub_user = True  # HTX tells such a key nothing of its rights
    clock.advance(minutes=15)
    silent = await bench.check(view.id)
    assert silent.grants[WITHDRAW].answer is Answer.UNKNOWN
    assert (silent.status, silent.quarantined_at) == (Status.WITHDRAW_ENABLED, caught.quarantined_at)
    assert silent.balances.fetched_at == view.balances.fetched_at
    assert not [path for *_, path in calls if path.endswith("/balance")]
    key.customer.is_sub_user = False
    set_rights(bench, READ, TRADE)
    clock.advance(minutes=15)
    back = await bench.check(view.id)
    assert (back.status, back.quarantined_at, back.balances.fetched_at) == (Status.CONNECTED, None, clock.now)
